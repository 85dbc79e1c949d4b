"""`FaultWindow`: one real fault in one service; replay and capture inside; recovered and stable after.

Trouble with the fault or the replay is a result, not an error: one service's trouble stays its own.
"""

from __future__ import annotations

from temporalio import workflow
from temporalio.exceptions import FailureError

from workflows import policies
from workflows.contracts.faults import CapturedFailure, FaultOrder, FaultReport, InjectionState
from workflows.contracts.windows import Closing, WindowInput, WindowKind
from workflows.names import WorkflowType, fault_name
from workflows.windows.cancellation import text_of
from workflows.windows.holding import Holding

with workflow.unsafe.imports_passed_through():
    from activities.faults import FaultActivities


@workflow.defn(name=WorkflowType.FAULT_WINDOW)
class FaultWindow:
    """Holds one fault."""

    @workflow.init
    def __init__(self, order: WindowInput) -> None:
        """Take the order, and the fault's name, which is new for every run of a window."""
        self._order = order
        name = fault_name(order.execution.execution_id, order.service, workflow.info().run_id, attempt=1)
        self._fault = FaultOrder(execution_id=order.execution.execution_id, service=order.service, fault_name=name)
        self._holding = Holding(order, WindowKind.FAULT, peer_name=name)
        self._injected = False

    @workflow.run
    async def run(self, order: WindowInput) -> FaultReport:
        """Inject, capture, and recover whatever happens."""
        held = await self._holding.hold(self._inject_and_capture(), self._recover, [order.service])
        captured, trouble, closing = None, "", held.closing
        try:
            captured = held.get()
        except FailureError as error:
            trouble = text_of(error)
        return FaultReport(
            service=order.service,
            fault_name=self._fault.fault_name,
            state=InjectionState.RECOVERED if captured and closing.verified else InjectionState.FAILED,
            captured=captured,
            error=trouble or closing.detail,
            recovery_verified=closing.verified,
            stable_after=all(one.stable for one in closing.stability) if closing.stability else None,
        )

    async def _inject_and_capture(self) -> CapturedFailure:
        timing, timeouts = self._order.execution.timing, self._order.timeouts
        service = self._order.service
        await self._holding.intend()
        await workflow.execute_activity_method(
            FaultActivities.inject, self._fault, summary=f"Inject the fault into {service}", **policies.opening(timing)
        )
        self._injected = True
        self._holding.ensure_open()
        await workflow.execute_activity_method(
            FaultActivities.await_running,
            self._fault,
            summary=f"Wait until the fault runs in {service}",
            **policies.waiting(timing, timeouts.fault_running),
        )
        self._holding.ensure_open()
        await self._holding.opened()
        captured: CapturedFailure = await workflow.execute_activity_method(
            FaultActivities.replay,
            self._fault,
            summary=f"Replay against {service} and capture how it fails",
            **policies.waiting(timing, timeouts.replay),
        )
        self._holding.ensure_open()
        return captured

    async def _recover(self) -> Closing:
        return await workflow.execute_activity_method(
            FaultActivities.recover,
            self._fault.model_copy(update={"known_to_exist": self._injected}),
            summary=f"Remove the fault from {self._order.service} and verify it",
            **policies.closing(self._order.execution.timing, self._order.timeouts.recovery),
        )
