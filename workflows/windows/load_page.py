"""`LoadPage`: one page of batches. Pages bound every history; they are children of `RulesWindow`."""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

from workflows import policies
from workflows.contracts.load import BatchOrder, BatchReport, CaseRange, PageInput, PageReport
from workflows.logic.cases import batches_in
from workflows.logic.metrics import CARRIED_CASES, merged
from workflows.names import PAUSE_SIGNAL, RESUME_SIGNAL, WorkflowType, load_queue
from workflows.windows.cancellation import ensure_not_cancelled

with workflow.unsafe.imports_passed_through():
    from activities.load import LoadActivities


@workflow.defn(name=WorkflowType.LOAD_PAGE)
class LoadPage:
    """Measures its batches one after the other, an activity each."""

    @workflow.init
    def __init__(self, order: PageInput) -> None:
        """Take the order."""
        self._order = order
        self._paused = order.paused

    @workflow.run
    async def run(self, order: PageInput) -> PageReport:
        """Measure every batch of the page."""
        report = PageReport()
        for batch in batches_in(order.cases, order.batch_size):
            await workflow.wait_condition(lambda: not self._paused)
            done = await self._measure(batch)
            ensure_not_cancelled()
            report = PageReport(
                batches=report.batches + 1,
                measured=report.measured + done.measured,
                invalid=report.invalid + done.invalid,
                skipped=report.skipped + done.skipped,
                metrics=merged(report.metrics, done.metrics, CARRIED_CASES),
            )
        return report

    async def _measure(self, batch: CaseRange) -> BatchReport:
        execution = self._order.execution
        try:
            return await workflow.execute_activity_method(
                LoadActivities.measure_batch,
                BatchOrder(execution_id=execution.execution_id, cases=batch),
                summary=_summary(batch),
                **policies.measuring(
                    execution.timing,
                    timedelta(seconds=self._order.batch_seconds),
                    load_queue(workflow.info().task_queue),
                ),
            )
        except ActivityError:
            # With a dead worker a cancel comes out as a timeout.
            ensure_not_cancelled()
            raise

    @workflow.signal(name=PAUSE_SIGNAL)
    def pause(self) -> None:
        """No further batch until resumed."""
        self._paused = True

    @workflow.signal(name=RESUME_SIGNAL)
    def resume(self) -> None:
        """Go on."""
        self._paused = False


def _summary(batch: CaseRange) -> str:
    return f"Measure cases {batch.first} to {batch.end - 1}"
