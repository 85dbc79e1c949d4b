"""`PairsWindow`: pairs with two real faults, one pair after the other, each compared with the pair made of rules.

It holds nothing at a peer itself: each fault has a `FaultWindow` of its own, a child of this one, under the run's name
in the ledger. Its own row is there so that the sweeper finds it when its run is gone (after a reset nobody tells it),
and so that the lock waits for it between two pairs.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, FailureError

from workflows import policies
from workflows.contracts.calls import AskOrder
from workflows.contracts.faults import FaultReport
from workflows.contracts.fidelity import PairFinding, PairOutcome
from workflows.contracts.load import Case
from workflows.contracts.pairs import PairOrder, PairsReport, PairsWindowInput, UncheckedPair
from workflows.contracts.windows import FaultInput, PairHold, WindowChanged, WindowKind, WindowState
from workflows.logic.cases import case_at
from workflows.names import PAUSE_SIGNAL, WINDOW_SIGNAL, WorkflowType, load_queue, pair_fault_workflow_id
from workflows.windows.cancellation import despite_cancel, is_refusal, text_of
from workflows.windows.fault import FaultWindow
from workflows.windows.holding import Holding
from workflows.windows.together import close_all

with workflow.unsafe.imports_passed_through():
    from activities.calls import CallActivities
    from activities.pairs import PairActivities

ASKED = "asked for its calls; there were no rules to compare with yet"

Faults = dict[str, asyncio.Task[FaultReport]]
"""The fault window of each service of a pair, by its workflow id."""


@workflow.defn(name=WorkflowType.PAIRS_WINDOW)
class PairsWindow:
    """Verifies a page of pairs."""

    @workflow.init
    def __init__(self, order: PairsWindowInput) -> None:
        """Take the order."""
        self._order = order
        self._holding = Holding(order, WindowKind.PAIRS)
        self._report = PairsReport()
        self._paused = False
        self._acting: dict[str, WindowChanged] = {}
        """What the fault windows of the present pair have said that are open, by workflow id."""

    @workflow.run
    async def run(self, order: PairsWindowInput) -> PairsReport:
        """Verify one pair after the other, until all are done or the run is paused."""
        held = await self._holding.hold(self._work(), None, [])
        held.get()
        return self._report

    async def _work(self) -> None:
        await self._holding.intend()
        await self._holding.opened()
        for index in self._order.cases:
            if self._paused or self._report.trouble:
                return
            found = await self._verify(case_at(self._order.execution.services, index))
            self._holding.ensure_open()
            report = self._report
            self._report = report.model_copy(
                update={"done": report.done + 1, "findings": [*report.findings, found]},
            )

    async def _verify(self, case: Case) -> PairFinding:
        """Break both services at once, compare, and see both recover. A pair's trouble is a finding, not an error."""
        self._acting = {}
        faults = {}
        for service in case.services:
            window_id = pair_fault_workflow_id(self._order.execution, case.index, service)
            faults[window_id] = asyncio.create_task(self._break(case, service, window_id))
        try:
            found, trouble = await self._compare(case, faults)
            reports = await self._recovered(faults)
            self._holding.ensure_open()
        except (Exception, asyncio.CancelledError):
            # Not `finally`: see `Holding.hold`.
            await despite_cancel(close_all(faults.values()))
            raise
        unverified = [one for one in reports if not one.recovery_verified]
        if unverified:
            said = "; ".join(f"{one.service} was not seen to recover: {one.error}" for one in unverified)
            self._report = self._report.model_copy(update={"trouble": said})
        if self._order.discovers:
            return found or PairFinding(case_id=case.case_id, outcome=PairOutcome.UNCHECKED, reason=trouble)
        return found or await self._unchecked(case, trouble or "; ".join(one.error for one in reports if one.error))

    async def _break(self, case: Case, service: str, window_id: str) -> FaultReport:
        info, order = workflow.info(), self._order
        half = FaultInput(
            # Without the names of a thousand others: it is in the history twice for every pair.
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
        """Ask while both faults are on; or why that could not be."""
        await workflow.wait_condition(
            lambda: self._acting.keys() >= faults.keys() or any(one.done() for one in faults.values())
        )
        self._holding.ensure_open()
        if any(one.done() for one in faults.values()):
            return None, ""
        order = PairOrder(
            execution_id=self._order.execution.execution_id,
            case_index=case.index,
            case_id=case.case_id,
            faults={self._acting[one].service: self._acting[one].peer_name for one in faults},
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
        """See what the plan's request really gets, and let its calls be recorded. There is nothing to compare with."""
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

    async def _recovered(self, faults: Faults) -> list[FaultReport]:
        """Release both, also one that is not on yet, and wait until they have closed."""
        for window_id in faults:
            try:
                await workflow.get_external_workflow_handle_for(FaultWindow.run, window_id).signal(FaultWindow.release)
            except FailureError as error:
                workflow.logger.info("%s did not take its release: %s", window_id, error)
        await workflow.wait(list(faults.values()))
        return [one.result() for one in faults.values()]

    async def _unchecked(self, case: Case, reason: str) -> PairFinding:
        order = UncheckedPair(
            execution_id=self._order.execution.execution_id,
            case_index=case.index,
            reason=reason or "no reason was told",
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
        """One of the present pair's faults is on."""
        if change.state is WindowState.OPEN:
            self._acting[change.window_id] = change

    @workflow.signal(name=PAUSE_SIGNAL)
    def pause(self) -> None:
        """No further pair: the run begins the others when it is resumed."""
        self._paused = True
