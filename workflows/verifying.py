"""Pairs with two real faults, compared with those made of rules: those asked for, and those whose result is in doubt.

It begins when the rules are off. Where the answers differ, what really broken services did is the case's verdict.
"""

from __future__ import annotations

from temporalio import workflow

from workflows import policies
from workflows.contracts.errors import ErrorCode
from workflows.contracts.pairs import PairsReport, PairsWindowInput, PairsWish
from workflows.logic import durations
from workflows.logic.fidelity import per_page
from workflows.names import pairs_workflow_id
from workflows.run_failures import StageError
from workflows.run_shell import RunShell
from workflows.windows.pairs import PairsWindow

with workflow.unsafe.imports_passed_through():
    from activities.pairs import PairActivities


class VerifyingRun(RunShell):
    """A run that may verify its pairs."""

    async def _verify_pairs(self) -> None:
        """Still LOAD_TEST_BASELINE: a page of pairs after the other, each pair with its own two fault windows."""
        share = self._input.verify_pairs
        if share is None and not self._discovered:
            return
        timing = self.execution.timing
        chosen = await workflow.execute_activity_method(
            PairActivities.choose,
            PairsWish(execution_id=self.execution.execution_id, share=share),
            summary="Choose the pairs that run with two real faults",
            **policies.bookkeeping(timing),
        )
        self._ensure_going_on()
        if share is None and not chosen.cases:
            return
        self._board.pairs_chosen(share, chosen.measured, len(chosen.cases))
        self._publish()
        left, size = chosen.cases, per_page(len(chosen.cases))
        while left:
            await self._unpaused()
            report = await self._verify_page(left[:size])
            left = left[report.done :]
        await workflow.execute_activity_method(
            PairActivities.conclude,
            self._ref,
            summary="Log how many pairs agree",
            **policies.bookkeeping(timing),
        )
        self._ensure_going_on()

    async def _verify_page(self, cases: list[int]) -> PairsReport:
        order = PairsWindowInput(
            **self._window_input(durations.pairs_hold(self._plan, len(cases)).total_seconds()).model_dump(),
            cases=cases,
            fault_seconds=durations.pair_fault_hold(self._plan).total_seconds(),
            request_seconds=durations.pair_asking(self._plan).total_seconds(),
        )
        report = await self._pairs_page(order)
        self._board.pairs_verified(report.findings)
        self._publish()
        if report.trouble:
            raise StageError(ErrorCode.RECOVERY_UNVERIFIED, report.trouble)
        return report

    async def _pairs_page(self, order: PairsWindowInput) -> PairsReport:
        """One window of pairs; those that it has not done when it ends are for another one."""
        page, self._pair_pages = self._pair_pages, self._pair_pages + 1
        self._pairs = await workflow.start_child_workflow(
            PairsWindow.run,
            order,
            id=pairs_workflow_id(self.execution, page),
            static_summary=f"Pairs with two real faults, {len(order.cases)} of them",
            **policies.WINDOW,
        )
        if self._paused:
            await self._tell_pairs()
        report: PairsReport = await self._pairs
        self._ensure_going_on()
        return report
