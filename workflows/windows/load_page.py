"""`LoadPage`: one page of batches. Pages bound every history; they are children of `RulesWindow`."""

from __future__ import annotations

import asyncio
from collections import deque
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

from domain.cases.cases import batches_in
from domain.measuring.load import BatchOrder, BatchReport, CaseRange, LoadShare, PageInput, PageReport
from domain.measuring.merging import CARRIED_CASES, merged
from domain.names import PAUSE_SIGNAL, RESUME_SIGNAL, WorkflowType, load_queue
from workflows import policies
from workflows.windows.cancellation import despite_cancel, ensure_not_cancelled
from workflows.windows.together import close_all

with workflow.unsafe.imports_passed_through():
    from activities.load.batches import LoadActivities


@workflow.defn(name=WorkflowType.LOAD_PAGE)
class LoadPage:
    """Measures its batches, an activity each: one after the other, or as many at once as the plan allows.

    Whichever load workers there are take them. A batch whose worker is lost is given to another one.
    """

    @workflow.init
    def __init__(self, order: PageInput) -> None:
        """Take the order."""
        self._order = order
        self._paused = order.paused
        self._report = PageReport()
        self._left = deque(batches_in(order.cases, order.batch_size))

    @workflow.run
    async def run(self, order: PageInput) -> PageReport:
        """Measure every batch of the page."""
        if order.at_once == 1:
            # Without tasks, so that runs under way, and their histories, know nothing of several at once.
            await self._one_after_the_other(None)
            return self._report
        if order.cases.first == 0:
            # With the baseline: it must be sound before anything else is worth measuring.
            await self._next(None)
        await self._several_at_once(min(order.at_once, len(self._left)))
        return self._report

    async def _several_at_once(self, lanes: int) -> None:
        """A lane takes the next batch when its last has ended. After an error, or a cancel, nothing begins any more."""
        shares = [LoadShare(lane=lane, of=self._order.at_once) for lane in range(lanes)]
        tasks = [asyncio.create_task(self._one_after_the_other(share)) for share in shares]
        try:
            if tasks:
                await workflow.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            for task in tasks:
                if task.done():
                    task.result()
        except (Exception, asyncio.CancelledError):
            # Not `finally`: see `Holding.hold`. A batch that ends normally although cancelled must not be followed.
            self._left.clear()
            await despite_cancel(close_all(tasks))
            raise

    async def _one_after_the_other(self, share: LoadShare | None) -> None:
        while self._left:
            await self._next(share)

    async def _next(self, share: LoadShare | None) -> None:
        await workflow.wait_condition(lambda: not self._paused)
        if not self._left:
            # Another lane was let go first.
            return
        done = await self._measure(self._left.popleft(), share)
        ensure_not_cancelled()
        report = self._report
        self._report = PageReport(
            batches=report.batches + 1,
            measured=report.measured + done.measured,
            invalid=report.invalid + done.invalid,
            skipped=report.skipped + done.skipped,
            metrics=merged(report.metrics, done.metrics, CARRIED_CASES),
        )

    async def _measure(self, batch: CaseRange, share: LoadShare | None) -> BatchReport:
        execution = self._order.execution
        try:
            return await workflow.execute_activity_method(
                LoadActivities.measure_batch,
                BatchOrder(execution_id=execution.execution_id, cases=batch, share=share),
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
