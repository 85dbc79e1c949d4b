"""`FaultWindow`: holds one real fault in one service.

Inside, requests are replayed and the failure is captured. Afterwards the service is recovered and stable. As one half
of a pair, the window captures nothing: it holds its fault until its pairs window releases it.

An error with the fault or the replay is a result, not an error of the window. It only affects this one service.
"""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, FailureError

from domain.calls.model import AskOrder
from domain.executions.windows import Closing, FaultInput, WindowKind
from domain.faults.model import CapturedFailure, FaultOrder, FaultReport, InjectionState
from domain.names import RELEASE_SIGNAL, WorkflowType, fault_name, load_queue
from workflows import policies
from workflows.windows.cancellation import is_refusal, text_of
from workflows.windows.holding import Holding

with workflow.unsafe.imports_passed_through():
    from activities.stages.calls import CallActivities
    from activities.stages.capturing_calls import CaptureActivities
    from activities.stages.faults import FaultActivities


@workflow.defn(name=WorkflowType.FAULT_WINDOW)
class FaultWindow:
    """Holds one fault."""

    @workflow.init
    def __init__(self, order: FaultInput) -> None:
        """Prepare the window; nothing is switched on yet."""
        self._order = order
        attempt = order.pair.case_index if order.pair else order.discovery_round
        # New for every run of the window, because it contains part of the run id.
        name = fault_name(order.execution.execution_id, order.service, workflow.info().run_id, attempt)
        self._fault = FaultOrder(execution_id=order.execution.execution_id, service=order.service, fault_name=name)
        kind = WindowKind.PAIR_FAULT if order.pair else WindowKind.FAULT
        self._holding = Holding(order, kind, peer_name=name)
        self._injected = False
        self._began = workflow.now()
        self._released = False

    @workflow.run
    async def run(self, order: FaultInput) -> FaultReport:
        """Inject, capture, and always recover."""
        held = await self._holding.hold(self._work(), self._recover, [order.service])
        captured, trouble, closing = None, "", held.closing
        try:
            captured = held.get()
        except FailureError as error:
            if is_refusal(error):
                # What is refused for one service is refused for all. So the run ends instead of trying each of them.
                raise
            trouble = text_of(error)
        return FaultReport(
            service=order.service,
            fault_name=self._fault.fault_name,
            state=InjectionState.FAILED if trouble or not closing.verified else InjectionState.RECOVERED,
            captured=captured,
            error=trouble or closing.detail,
            recovery_verified=closing.verified,
            stable_after=all(result.stable for result in closing.stability) if closing.stability else None,
        )

    async def _work(self) -> CapturedFailure | None:
        await self._inject()
        if self._order.pair is None:
            captured = await (self._capture() if self._order.discovery_round == 1 else self._capture_calls())
            await self._ask()
            return captured
        await workflow.wait_condition(lambda: self._released)
        self._holding.ensure_open()
        return None

    async def _inject(self) -> None:
        timing = self._order.execution.timing
        timeouts = self._order.timeouts
        service = self._order.service
        await self._holding.record_intent()
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
        await self._holding.record_open()

    async def _capture(self) -> CapturedFailure:
        captured: CapturedFailure = await workflow.execute_activity_method(
            FaultActivities.replay,
            self._fault,
            summary=f"Replay against {self._order.service} and capture how it fails",
            **policies.waiting(self._order.execution.timing, self._order.timeouts.replay),
        )
        self._holding.ensure_open()
        return captured

    async def _capture_calls(self) -> CapturedFailure:
        captured: CapturedFailure = await workflow.execute_activity_method(
            CaptureActivities.capture,
            self._fault,
            summary=f"Capture how {self._order.service} fails at calls that other failures cause",
            **policies.waiting(self._order.execution.timing, self._order.timeouts.replay),
        )
        self._holding.ensure_open()
        return captured

    async def _ask(self) -> None:
        """Send the plan's request, to see what it really gets.

        An error here loses nothing that was captured.
        """
        if self._order.asks_case is None:
            return
        needed = (workflow.now() - self._began).total_seconds() + self._order.request_seconds
        if needed > self._order.hold_seconds:
            # The captured failure matters more: the window must not run out of time over this.
            workflow.logger.info("no time is left to ask while only %s is broken", self._order.service)
            return
        order = AskOrder(
            execution_id=self._fault.execution_id,
            case_index=self._order.asks_case,
            faults={self._order.service: self._fault.fault_name},
        )
        try:
            await workflow.execute_activity_method(
                CallActivities.ask_broken,
                order,
                summary=f"Send the plan's request while {self._order.service} is broken",
                **policies.measuring(
                    self._order.execution.timing,
                    timedelta(seconds=self._order.request_seconds),
                    load_queue(workflow.info().task_queue),
                ),
            )
        except ActivityError as error:
            self._holding.ensure_open()
            if is_refusal(error):
                raise
            workflow.logger.info("it is not known what happens while only %s is broken: %s", self._order.service, error)
        self._holding.ensure_open()

    async def _recover(self) -> Closing:
        return await workflow.execute_activity_method(
            FaultActivities.recover,
            self._fault.model_copy(update={"known_to_exist": self._injected}),
            summary=f"Remove the fault from {self._order.service} and verify it",
            **policies.closing(self._order.execution.timing, self._order.timeouts.recovery),
        )

    @workflow.signal(name=RELEASE_SIGNAL)
    def release(self) -> None:
        """Let half of a pair close: its fault is no longer needed."""
        self._released = True
