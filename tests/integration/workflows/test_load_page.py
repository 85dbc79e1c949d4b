"""A page of batches, several at once: the first alone, no more than allowed, all of them, and none after an error."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from domain.executions.execution import Execution
from domain.measuring.load import BatchOrder, BatchReport, CaseRange, PageInput, PageReport
from domain.names import load_queue
from domain.timing import Timing, TimingPreset
from tests.support.runs.bench import until
from worker import sandbox
from workflows.windows.load_page import LoadPage

SIZE = 2


class Batches:
    """Stands in for the load worker: measures nothing, and ends batches when the test opens the gate."""

    def __init__(self) -> None:
        self.begun: list[BatchOrder] = []
        self.going_on: set[int] = set()
        self.most = 0
        self.gate = asyncio.Event()
        self.wrong: int | None = None
        """The first case of a batch that fails."""

    @activity.defn(name="measure_batch")
    async def measure(self, order: BatchOrder) -> BatchReport:
        """Wait until the gate is open."""
        first = order.cases.first
        self.begun.append(order)
        self.going_on.add(first)
        self.most = max(self.most, len(self.going_on))
        try:
            while not self.gate.is_set():
                activity.heartbeat()
                await asyncio.sleep(0.01)
            if first == self.wrong:
                raise ApplicationError("wrong", non_retryable=True)
        finally:
            self.going_on.remove(first)
        return BatchReport(measured=order.cases.end - order.cases.first)


Start = Callable[..., Any]


@asynccontextmanager
async def pages(client: Client, batches: Batches) -> AsyncIterator[Start]:
    """Serve pages, and yield a function that starts a page of batches."""
    queue = f"page-{uuid.uuid4().hex[:8]}"

    async def start(first: int, count: int, at_once: int, **more: Any) -> WorkflowHandle[Any, PageReport]:
        order = PageInput(
            execution=execution(),
            cases=CaseRange(first=first, end=first + count * SIZE),
            batch_size=SIZE,
            batch_seconds=60,
            at_once=at_once,
            **more,
        )
        return await client.start_workflow(LoadPage.run, order, id=queue, task_queue=queue)

    beat = Timing.of(TimingPreset.FAST).heartbeat_timeout / 10
    async with (
        Worker(client, task_queue=queue, workflows=[LoadPage], workflow_runner=sandbox()),
        Worker(
            client,
            task_queue=load_queue(queue),
            activities=[batches.measure],
            max_heartbeat_throttle_interval=beat,
            default_heartbeat_throttle_interval=beat,
        ),
    ):
        yield start


async def under_way(batches: Batches, count: int) -> None:
    """Wait until this many batches are measured at once."""

    async def look() -> bool:
        return len(batches.going_on) == count

    await until(look, f"{count} batches at once")


async def test_batches_run_at_once_up_to_the_limit_each_with_its_own_share(temporal: Client) -> None:
    """Every batch runs once."""
    batches = Batches()
    async with pages(temporal, batches) as start:
        page = await start(first=40, count=7, at_once=3)
        await under_way(batches, 3)
        assert {batch.share.lane for batch in batches.begun if batch.share} == {0, 1, 2}
        batches.gate.set()
        report = await page.result()
    assert batches.most == 3
    assert sorted(batch.cases.first for batch in batches.begun) == list(range(40, 54, SIZE))
    assert {batch.share.of for batch in batches.begun if batch.share} == {3}
    assert (report.batches, report.measured) == (7, 14)


async def test_the_batch_with_the_baseline_runs_alone(temporal: Client) -> None:
    """It has all of the plan's load, without a share."""
    batches = Batches()
    batches.wrong = 0
    async with pages(temporal, batches) as start:
        page = await start(first=0, count=4, at_once=2)
        await under_way(batches, 1)
        batches.gate.set()
        with pytest.raises(WorkflowFailureError):
            await page.result()
    assert [(batch.cases.first, batch.share) for batch in batches.begun] == [(0, None)]


async def test_no_batch_begins_after_an_error_and_running_batches_are_awaited(temporal: Client) -> None:
    """A batch that goes on would send load while the rules are removed."""
    batches = Batches()
    batches.wrong = 42
    async with pages(temporal, batches) as start:
        page = await start(first=40, count=9, at_once=2)
        await under_way(batches, 2)
        batches.gate.set()
        with pytest.raises(WorkflowFailureError):
            await page.result()
        assert not batches.going_on
        assert len(batches.begun) < 9


async def test_a_cancellation_reaches_all_batches(temporal: Client) -> None:
    """The page ends when they have ended."""
    batches = Batches()
    async with pages(temporal, batches) as start:
        page = await start(first=40, count=9, at_once=3)
        await under_way(batches, 3)
        await page.cancel()
        with pytest.raises(WorkflowFailureError):
            await page.result()
        assert not batches.going_on
        assert len(batches.begun) == 3


async def test_a_pause_holds_every_lane(temporal: Client) -> None:
    """Batches in progress go on to their end; then nothing begins until the run resumes."""
    batches = Batches()
    batches.gate.set()
    async with pages(temporal, batches) as start:
        page = await start(first=40, count=5, at_once=2, paused=True)
        await page.signal(LoadPage.resume)
        report = await page.result()
    assert (report.batches, batches.most <= 2) == (5, True)


def execution() -> Execution:
    """Return any execution."""
    return Execution(
        execution_id=1,
        task_id=1,
        req_def_id=1,
        record_id="hf1x",
        plan_sha256="",
        environment="e",
        namespace="n",
        services=[],
        timing=Timing.of(TimingPreset.FAST),
        started_at=datetime.now(UTC),
    )
