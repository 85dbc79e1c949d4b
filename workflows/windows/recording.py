"""`RecordingWindow`: holds the recordings of the analysis.

Inside, the request is sent and its patterns are awaited. Afterwards the recordings are verified to be off.
"""

from __future__ import annotations

from temporalio import workflow

from domain.executions.execution import ExecutionRef
from domain.executions.windows import Closing, WindowInput, WindowKind
from domain.names import WorkflowType
from domain.plans.durations import analysis_start
from domain.traffic.summary import AnalysisOrder, AnalysisReport, RecordedService, RecordingsOrder
from workflows import policies
from workflows.windows.holding import Holding

with workflow.unsafe.imports_passed_through():
    from activities.stages.traffic import TrafficActivities


@workflow.defn(name=WorkflowType.RECORDING_WINDOW)
class RecordingWindow:
    """Holds the recordings of one analysis."""

    @workflow.init
    def __init__(self, order: WindowInput) -> None:
        """Prepare the window; nothing is switched on yet."""
        self._order = order
        self._holding = Holding(order, WindowKind.RECORDING)
        self._ref = ExecutionRef(execution_id=order.execution.execution_id)
        self._analysis_over = False

    @workflow.run
    async def run(self, order: WindowInput) -> AnalysisReport:
        """Record, and always close."""
        held = await self._holding.hold(self._record(), self._stop, order.execution.services)
        task_id, services = held.get()
        return AnalysisReport(
            task_id=task_id,
            services=services,
            stability=held.closing.stability,
            recovery_verified=held.closing.verified,
        )

    async def _record(self) -> tuple[str, list[RecordedService]]:
        timing = self._order.execution.timing
        timeouts = self._order.timeouts
        await self._holding.record_intent()
        started = await workflow.execute_activity_method(
            TrafficActivities.start,
            self._ref,
            summary="Ask the proxy to record",
            **policies.waiting(timing, analysis_start(timing.analyze_dedupe)),
        )
        self._holding.ensure_open()
        await self._holding.record_open(analyze_task_id=started.task_id)
        recorded = await workflow.execute_activity_method(
            TrafficActivities.await_patterns,
            AnalysisOrder(execution_id=self._ref.execution_id, task_id=started.task_id),
            summary="Send the request and wait for its patterns",
            **policies.waiting(timing, timeouts.analyze),
        )
        self._analysis_over = True
        self._holding.ensure_open()
        return started.task_id, recorded.services

    async def _stop(self) -> Closing:
        return await workflow.execute_activity_method(
            TrafficActivities.stop,
            RecordingsOrder(execution_id=self._ref.execution_id, analysis_over=self._analysis_over),
            summary="Stop all recordings and verify it",
            **policies.closing(self._order.execution.timing, self._order.timeouts.recovery),
        )
