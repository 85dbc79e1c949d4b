"""`PairsWindow`: runs pairs with two real faults, one pair after the other.

Each is compared with the pair made of rules. The window itself holds nothing at a peer: each fault has a `FaultWindow`,
a child of this window, which is entered in the ledger for the run. The row of the pairs window has two purposes. The
sweeper finds the window by it when the run is gone, because after a reset the server does not cancel it. And the lock
waits for it between two pairs.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, FailureError

from domain.calls.model import AskOrder
from domain.cases.cases import case_at
from domain.executions.windows import FaultInput, PairHold, WindowChanged, WindowKind, WindowState
from domain.faults.model import FaultReport
from domain.measuring.load import Case
from domain.names import PAUSE_SIGNAL, WINDOW_SIGNAL, WorkflowType, load_queue, pair_fault_workflow_id
from domain.pairs.fidelity import PairFinding, PairOutcome
from domain.pairs.model import PairOrder, PairsReport, PairsWindowInput, UncheckedPair
from workflows import policies
from workflows.windows.cancellation import despite_cancel, is_refusal, text_of
from workflows.windows.fault import FaultWindow
from workflows.windows.holding import Holding
from workflows.windows.together import close_all

with workflow.unsafe.imports_passed_through():
    from activities.stages.calls import CallActivities
    from activities.stages.pairs import PairActivities

ASKED = "run to find its calls; there were no rules to compare with yet"

Faults = dict[str, asyncio.Task[FaultReport]]
"""The fault windows of a pair's services, by workflow id."""


@workflow.defn(name=WorkflowType.PAIRS_WINDOW)
class PairsWindow:
    """Runs a page of pairs with two real faults."""

    @workflow.init
    def __init__(self, order: PairsWindowInput) -> None:
        """Prepare the window; nothing is switched on yet."""
        self._order = order
        self._holding = Holding(order, WindowKind.PAIRS)
        self._report = PairsReport()
        self._paused = False
        self._acting: dict[str, WindowChanged] = {}
        """The signals of the current pair's open fault windows, by workflow id."""

    @workflow.run
    async def run(self, order: PairsWindowInput) -> PairsReport:
        """Verify pair by pair until all are done or the run pauses.

        It also ends after a pair whose services were not verified to recover.
        """
        held = await self._holding.hold(self._work(), None, [])
        held.get()
        return self._report

    async def _work(self) -> None:
        await self._holding.record_intent()
        await self._holding.record_open()
        for index in self._order.cases:
            if self._paused or self._report.trouble:
                return
            found = await self._verify(case_at(self._order.execution.services, index))
            self._holding.ensure_open()
            earlier = self._report
            self._report = earlier.model_copy(
                update={"done": earlier.done + 1, "findings": [*earlier.findings, found]},
            )

    async def _verify(self, case: Case) -> PairFinding:
        """Break both services at once, compare, and verify that both recover.

        A problem with the pair is a finding, not an error.
        """
        self._acting = {}
        faults = {}
        for service in case.services:
            window_id = pair_fault_workflow_id(self._order.execution, case.index, service)
            faults[window_id] = asyncio.create_task(self._break(case, service, window_id))
        try:
            found, trouble = await self._compare(case, faults)
            reports = await self._release_faults(faults)
            self._holding.ensure_open()
        except (Exception, asyncio.CancelledError):
            # Not `finally`: it must not run when a worker drops the cached workflow, see `Holding.hold`.
            await despite_cancel(close_all(faults.values()))
            raise
        unverified = [report for report in reports if not report.recovery_verified]
        if unverified:
            message = "; ".join(f"{report.service} was not seen to recover: {report.error}" for report in unverified)
            self._report = self._report.model_copy(update={"trouble": message})
        if self._order.discovers:
            return found or PairFinding(case_id=case.case_id, outcome=PairOutcome.UNCHECKED, reason=trouble)
        return found or await self._record_unchecked(
            case, trouble or "; ".join(report.error for report in reports if report.error)
        )

    async def _break(self, case: Case, service: str, window_id: str) -> FaultReport:
        info = workflow.info()
        order = self._order
        half = FaultInput(
            # Only this service, not the names of a thousand others: this input is in the history twice for every pair.
            execution=order.execution.model_copy(update={"services": [service]}),
            parent_workflow_id=order.parent_workflow_id,
            parent_run_id=order.parent_run_id,
            timeouts=order.timeouts,
            hold_seconds=order.fault_seconds,
            service=service,
            pair=PairHold(case_index=case.index, window_id=info.workflow_id, run_id=info.run_id),
        )
        return await workflow.execute_child_workflow(
            FaultWindow.run,
            half,
            id=window_id,
            static_summary=f"Break {service} for the pair {case.case_id}",
            **policies.WINDOW,
        )

    async def _compare(self, case: Case, faults: Faults) -> tuple[PairFinding | None, str]:
        """Compare while both faults are active, or return why that failed."""
        await workflow.wait_condition(
            lambda: self._acting.keys() >= faults.keys() or any(task.done() for task in faults.values())
        )
        self._holding.ensure_open()
        if any(task.done() for task in faults.values()):
            return None, ""
        order = PairOrder(
            execution_id=self._order.execution.execution_id,
            case_index=case.index,
            case_id=case.case_id,
            faults={self._acting[workflow_id].service: self._acting[workflow_id].peer_name for workflow_id in faults},
        )
        if self._order.discovers:
            return await self._ask(case, order.faults)
        try:
            found = await workflow.execute_activity_method(
                PairActivities.compare,
                order,
                summary=f"Ask while {' and '.join(case.services)} are broken, and compare",
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
            return None, text_of(error)
        self._holding.ensure_open()
        return found, ""

    async def _ask(self, case: Case, faults: dict[str, str]) -> tuple[PairFinding, str]:
        """Send the plan's request while its calls are recorded.

        Its answers are stored. There are no rules yet to compare them with.
        """
        order = AskOrder(execution_id=self._order.execution.execution_id, case_index=case.index, faults=faults)
        trouble = ""
        try:
            await workflow.execute_activity_method(
                CallActivities.ask_broken,
                order,
                summary=f"Send the plan's request while {' and '.join(case.services)} are broken",
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
            trouble = text_of(error)
        self._holding.ensure_open()
        return PairFinding(case_id=case.case_id, outcome=PairOutcome.UNCHECKED, reason=trouble or ASKED), ""

    async def _release_faults(self, faults: Faults) -> list[FaultReport]:
        """Release both fault windows, and wait until they have closed.

        A window whose fault is not active yet is released too.
        """
        for window_id in faults:
            try:
                await workflow.get_external_workflow_handle_for(FaultWindow.run, window_id).signal(FaultWindow.release)
            except FailureError as error:
                workflow.logger.info("%s did not take its release: %s", window_id, error)
        await workflow.wait(list(faults.values()))
        return [task.result() for task in faults.values()]

    async def _record_unchecked(self, case: Case, reason: str) -> PairFinding:
        order = UncheckedPair(
            execution_id=self._order.execution.execution_id,
            case_index=case.index,
            reason=reason or "no reason was given",
        )
        found: PairFinding = await workflow.execute_activity_method(
            PairActivities.unchecked,
            order,
            summary=f"Record that {case.case_id} could not be verified",
            **self._holding.timing_options,
        )
        self._holding.ensure_open()
        return found

    @workflow.signal(name=WINDOW_SIGNAL)
    def window_changed(self, change: WindowChanged) -> None:
        """Record that a fault of the current pair is active."""
        if change.state is WindowState.OPEN:
            self._acting[change.window_id] = change

    @workflow.signal(name=PAUSE_SIGNAL)
    def pause(self) -> None:
        """Begin no further pair.

        The run begins the rest in a new window when it is resumed.
        """
        self._paused = True
