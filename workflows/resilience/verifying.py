"""Verification of pairs: two real faults against the pair made of rules.

It covers the requested pairs, and those whose result is in doubt. It begins when the rules are off. If the answers
differ, the behaviour of the really broken services decides the case's verdict.
"""

from __future__ import annotations

from temporalio import workflow

from domain.errors import ErrorCode
from domain.names import pairs_workflow_id
from domain.pairs.comparing import per_page
from domain.pairs.model import PairsOrder, PairsReport, PairsWindowInput
from domain.plans import durations
from workflows import policies
from workflows.execution.execution_workflow import Pausable
from workflows.execution.failures import StageError
from workflows.resilience.resilience_run import ResilienceRun
from workflows.windows.pairs import PairsWindow

with workflow.unsafe.imports_passed_through():
    from activities.stages.pairs import PairActivities


class VerifyingRun(ResilienceRun):
    """A run that may verify its pairs."""

    async def _verify_pairs(self) -> None:
        """Verify the chosen pairs, page by page (still LOAD_TEST_BASELINE).

        Each pair has two fault windows of its own.
        """
        share = self._input.verify_pairs
        if share is None and not self._discovered:
            return
        timing = self.execution.timing
        chosen = await workflow.execute_activity_method(
            PairActivities.choose,
            PairsOrder(execution_id=self.execution.execution_id, share=share),
            summary="Choose the pairs that run with two real faults",
            **policies.bookkeeping(timing),
        )
        self._raise_if_ending()
        if share is None and not chosen.cases:
            return
        self._board.pairs_chosen(share, chosen.measured, len(chosen.cases))
        self._publish()
        left = chosen.cases
        size = per_page(len(chosen.cases))
        while left:
            await self._wait_while_paused()
            report = await self._verify_page(left[:size])
            left = left[report.done :]
        await workflow.execute_activity_method(
            PairActivities.conclude,
            self._ref,
            summary="Log how many pairs agree",
            **policies.bookkeeping(timing),
        )
        self._raise_if_ending()

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
        """Run one pairs window.

        The pairs that it has not done when it ends are left to the next window.
        """
        page, self._pair_pages = self._pair_pages, self._pair_pages + 1
        window = await workflow.start_child_workflow(
            PairsWindow.run,
            order,
            id=pairs_workflow_id(self.execution, page),
            static_summary=f"Pairs with two real faults, {len(order.cases)} of them",
            **policies.WINDOW,
        )
        # A paused pairs window ends after its current pair. The other pairs get a window when the run is resumed.
        await self._begin_pausable("pairs", Pausable(window, PairsWindow.pause))
        report: PairsReport = await window
        self._raise_if_ending()
        return report
