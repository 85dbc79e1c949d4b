"""`CallsWindow`: recordings are on in every service while the run breaks one after the other, so that calls are seen.

Which calls failures cause is read by the run (`workflows/discovering.py`); this window holds the recordings open.
"""

from __future__ import annotations

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from workflows import policies
from workflows.contracts.calls import CallsReport
from workflows.contracts.errors import ErrorCode
from workflows.contracts.execution import ExecutionRef
from workflows.contracts.traffic import RecordingsOrder
from workflows.contracts.windows import Closing, WindowInput, WindowKind
from workflows.logic.durations import earlier_recordings, recordings_start
from workflows.names import RELEASE_SIGNAL, WorkflowType
from workflows.windows.holding import Holding

with workflow.unsafe.imports_passed_through():
    from activities.calls import CallActivities
    from activities.traffic import TrafficActivities


@workflow.defn(name=WorkflowType.CALLS_WINDOW)
class CallsWindow:
    """Holds one run's recordings of calls."""

    @workflow.init
    def __init__(self, order: WindowInput) -> None:
        """Take the order."""
        self._order = order
        self._holding = Holding(order, WindowKind.CALLS)
        self._ref = ExecutionRef(execution_id=order.execution.execution_id)
        self._started = False
        self._released = False

    @workflow.run
    async def run(self, order: WindowInput) -> CallsReport:
        """Record until released, and close whatever happens."""
        held = await self._holding.hold(self._record(), self._stop, order.execution.services)
        held.get()
        return CallsReport(recovery_verified=held.closing.verified)

    async def _record(self) -> None:
        timing, services = self._order.execution.timing, self._order.execution.services
        await self._holding.intend()
        await workflow.execute_activity_method(
            CallActivities.start,
            self._ref,
            summary=f"Record the calls of {len(services)} services",
            # After the death of a worker its recordings are first stopped.
            **policies.carefully(timing, recordings_start(len(services)) + earlier_recordings(timing)),
        )
        self._started = True
        self._holding.ensure_open()
        await self._stable_while_recorded()
        await workflow.execute_activity_method(
            CallActivities.send_healthy,
            self._ref,
            summary="Send the plan's request while nothing is broken",
            **policies.waiting(timing, self._order.timeouts.analyze),
        )
        self._holding.ensure_open()
        await self._holding.opened()
        await workflow.wait_condition(lambda: self._released)
        self._holding.ensure_open()

    async def _stable_while_recorded(self) -> None:
        options = policies.waiting(self._order.execution.timing, self._order.timeouts.stability)
        report = await self._holding.stability(self._order.execution.services, options, None)
        self._holding.ensure_open()
        if report.unstable:
            names = ", ".join(f"{one.service} ({one.detail})" for one in report.unstable[:5])
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
        """Everything that was to be recorded has happened, and was read."""
        self._released = True
