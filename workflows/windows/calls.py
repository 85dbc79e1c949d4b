"""`CallsWindow`: holds recordings in every service open during discovery.

Meanwhile the run breaks one service after the other, and reads which calls the failures cause
(`workflows/resilience/discovering.py`).
"""

from __future__ import annotations

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from domain.calls.model import CallsReport
from domain.errors import ErrorCode
from domain.executions.execution import ExecutionRef
from domain.executions.windows import Closing, WindowInput, WindowKind
from domain.names import RELEASE_SIGNAL, WorkflowType
from domain.plans.durations import earlier_recordings, recordings_start
from domain.traffic.summary import RecordingsOrder
from workflows import policies
from workflows.windows.holding import Holding

with workflow.unsafe.imports_passed_through():
    from activities.stages.calls import CallActivities
    from activities.stages.traffic import TrafficActivities


@workflow.defn(name=WorkflowType.CALLS_WINDOW)
class CallsWindow:
    """Holds a run's recordings of calls."""

    @workflow.init
    def __init__(self, order: WindowInput) -> None:
        """Prepare the window; nothing is switched on yet."""
        self._order = order
        self._holding = Holding(order, WindowKind.CALLS)
        self._ref = ExecutionRef(execution_id=order.execution.execution_id)
        self._started = False
        self._released = False

    @workflow.run
    async def run(self, order: WindowInput) -> CallsReport:
        """Record until released, and always close."""
        held = await self._holding.hold(self._record(), self._stop, order.execution.services)
        held.get()
        return CallsReport(recovery_verified=held.closing.verified)

    async def _record(self) -> None:
        timing = self._order.execution.timing
        services = self._order.execution.services
        await self._holding.record_intent()
        await workflow.execute_activity_method(
            CallActivities.start,
            self._ref,
            summary=f"Record the calls of {len(services)} services",
            # Includes time to stop, after a worker's death, the recordings that it left behind.
            **policies.carefully(timing, recordings_start(len(services)) + earlier_recordings(timing)),
        )
        self._started = True
        self._holding.ensure_open()
        await self._require_stable()
        await workflow.execute_activity_method(
            CallActivities.send_healthy,
            self._ref,
            summary="Send the plan's request while nothing is broken",
            **policies.waiting(timing, self._order.timeouts.analyze),
        )
        self._holding.ensure_open()
        await self._holding.record_open()
        await workflow.wait_condition(lambda: self._released)
        self._holding.ensure_open()

    async def _require_stable(self) -> None:
        options = policies.waiting(self._order.execution.timing, self._order.timeouts.stability)
        report = await self._holding.stability(self._order.execution.services, options, None)
        self._holding.ensure_open()
        if report.unstable:
            names = ", ".join(f"{service.service} ({service.detail})" for service in report.unstable[:5])
            raise ApplicationError(
                f"not stable while it is recorded: {names}", type=ErrorCode.SERVICE_NOT_STABLE, non_retryable=True
            )

    async def _stop(self) -> Closing:
        return await workflow.execute_activity_method(
            TrafficActivities.stop,
            RecordingsOrder(execution_id=self._ref.execution_id, analysis_over=self._started),
            summary="Stop all recordings and verify it",
            **policies.closing(self._order.execution.timing, self._order.timeouts.recovery),
        )

    @workflow.signal(name=RELEASE_SIGNAL)
    def release(self) -> None:
        """Let the window close: everything was recorded and read."""
        self._released = True
