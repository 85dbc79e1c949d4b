"""`LoadPage`: one page of batches, a child of `RulesWindow`.

Pages keep every history bounded.
"""

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
    """Measures its batches, each with one activity.

    One after the other, or as many at once as the plan allows. Any load worker can take a batch. If a worker is lost,
    another takes over its batch.
    """

    @workflow.init
    def __init__(self, order: PageInput) -> None:
        """Split the page into batches."""
        self._order = order
        self._paused = order.paused
        self._report = PageReport()
        self._left = deque(batches_in(order.cases, order.batch_size))

    @workflow.run
    async def run(self, order: PageInput) -> PageReport:
        """Measure every batch of the page."""
        if order.at_once == 1:
            # Without tasks, so that older histories, from before several could run at once, replay unchanged.
            await self._one_after_the_other(None)
            return self._report
        if order.cases.first == 0:
            # The batch with the baseline runs alone: it must be sound before anything else is worth measuring.
            await self._next(None)
        await self._several_at_once(min(order.at_once, len(self._left)))
        return self._report

    async def _several_at_once(self, lanes: int) -> None:
        """Measure in lanes, each taking a batch when its last has ended.

        After an error or a cancel, no further batch begins.
        """
        shares = [LoadShare(lane=lane, of=self._order.at_once) for lane in range(lanes)]
        tasks = [asyncio.create_task(self._one_after_the_other(share)) for share in shares]
        try:
            if tasks:
                await workflow.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            for task in tasks:
                if task.done():
                    task.result()
        except (Exception, asyncio.CancelledError):
            # Not `finally`: it must not run when a worker drops the cached workflow, see `Holding.hold`.
            # Cleared, because a batch may end normally although cancelled, and no other may follow it.
            self._left.clear()
            await despite_cancel(close_all(tasks))
            raise

    async def _one_after_the_other(self, share: LoadShare | None) -> None:
        while self._left:
            await self._next(share)

    async def _next(self, share: LoadShare | None) -> None:
        await workflow.wait_condition(lambda: not self._paused)
        if not self._left:
            # After a pause, another lane may have taken the last batch first.
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
            # If the worker is dead, a cancel shows as a timeout.
            ensure_not_cancelled()
            raise

    @workflow.signal(name=PAUSE_SIGNAL)
    def pause(self) -> None:
        """Begin no further batch until resumed."""
        self._paused = True

    @workflow.signal(name=RESUME_SIGNAL)
    def resume(self) -> None:
        """Resume a paused page."""
        self._paused = False


def _summary(batch: CaseRange) -> str:
    return f"Measure cases {batch.first} to {batch.end - 1}"
