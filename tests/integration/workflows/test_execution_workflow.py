"""The end and the publishing of an execution without a lock, on a real server with stand-ins for its activities."""

from __future__ import annotations

import asyncio
import base64
import os
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from temporalio import activity
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHandle
from temporalio.common import SearchAttributeKey
from temporalio.worker import Worker

from clients.temporal.connection import ensure_search_attributes
from clients.temporal.payloads import data_converter
from domain.executions.execution import Ending, ExecutionRecord, ExecutionSummary, NewRecord, RunStatus, StepChange
from domain.names import ABORT_UPDATE, SearchAttribute
from domain.timing import Timing, TimingPreset
from tests.support.kinds.countdown_workflow import CountdownWorkflow
from tests.support.runs.bench import until
from worker import sandbox

Run = WorkflowHandle[CountdownWorkflow, ExecutionSummary]


class Records:
    """Stands in for the store. With its gate closed, the end takes until the test opens it."""

    def __init__(self, *, search_attributes: bool = False, missing: Sequence[str] = ()) -> None:
        self.endings: list[Ending] = []
        self.gate = asyncio.Event()
        self._registered = {"search_attributes": search_attributes, "missing_search_attributes": list(missing)}

    @activity.defn(name="create_record")
    async def create(self, _: NewRecord) -> ExecutionRecord:
        timing = Timing.of(TimingPreset.FAST)
        began = datetime.now(UTC)
        record = ExecutionRecord(execution_id=7, timing=timing, started_at=began)
        return record.model_copy(update=self._registered)

    @activity.defn(name="change_step")
    async def step(self, _: StepChange) -> None:
        pass

    @activity.defn(name="finish_execution")
    async def finish(self, ending: Ending) -> None:
        self.endings.append(ending)
        while not self.gate.is_set():
            await asyncio.sleep(0.01)


@asynccontextmanager
async def counting(client: Client, records: Records, **more: object) -> AsyncIterator[Run]:
    queue = f"countdown-{uuid.uuid4().hex[:8]}"
    document = {"countdown": "x", "start": 1, "pause_seconds": 0} | more
    async with Worker(
        client,
        task_queue=queue,
        workflows=[CountdownWorkflow],
        activities=[records.create, records.step, records.finish],
        workflow_runner=sandbox(),
    ):
        yield await client.start_workflow(CountdownWorkflow.run, document, id=queue, task_queue=queue)


@pytest.mark.parametrize("how", ["cancel", "abort"])
async def test_an_execution_ends_once_whatever_comes_while_its_end_is_written(temporal: Client, how: str) -> None:
    """The first end stands in the store, so Temporal must not say another one."""
    records = Records()
    async with counting(temporal, records) as run:

        async def is_ending() -> bool:
            return bool(records.endings)

        await until(is_ending, "the end being written")
        await (run.cancel() if how == "cancel" else run.execute_update(ABORT_UPDATE, "a test"))
        records.gate.set()
        assert (await run.result()).status is RunStatus.COMPLETED
    assert [ending.status for ending in records.endings] == [RunStatus.COMPLETED]


async def test_a_step_of_any_length_ends_no_workflow(temporal: Client) -> None:
    """The server terminates a workflow whose search attribute is longer than 2 KiB."""
    assert await ensure_search_attributes(temporal)
    records = Records(search_attributes=True)
    records.gate.set()
    async with counting(temporal, records, step="s" * 3_000) as run:
        assert (await run.result()).status is RunStatus.COMPLETED


async def test_a_search_attribute_that_the_server_does_not_have_is_left_out_alone(temporal: Client) -> None:
    """A workflow that sets an unregistered one hangs."""
    assert await ensure_search_attributes(temporal)
    records = Records(search_attributes=True, missing=[SearchAttribute.KIND])
    records.gate.set()
    async with counting(temporal, records) as run:
        assert (await run.result()).status is RunStatus.COMPLETED
        attributes = (await run.describe()).typed_search_attributes
    assert attributes.get(SearchAttributeKey.for_keyword(SearchAttribute.PLAN)) == "x"
    assert attributes.get(SearchAttributeKey.for_keyword(SearchAttribute.KIND)) is None


async def test_an_execution_waits_for_a_worker_that_has_its_key(temporal: Client) -> None:
    """One that has begun is not failed by a worker that cannot read it."""
    key = base64.b64encode(os.urandom(32)).decode()
    keyed = Client(**{**temporal.config(), "data_converter": data_converter({"HOLDFAST_PAYLOAD_KEYS": f"k:{key}"})})
    records, queue = Records(), f"countdown-{uuid.uuid4().hex[:8]}"

    def worker(client: Client) -> Worker:
        return Worker(client, task_queue=queue, workflows=[CountdownWorkflow], workflow_runner=sandbox())

    async with Worker(keyed, task_queue=queue, activities=[records.create, records.step, records.finish]):
        async with worker(keyed):
            document = {"countdown": "x", "start": 1, "pause_seconds": 0}
            run = await keyed.start_workflow(CountdownWorkflow.run, document, id=queue, task_queue=queue)

            async def is_ending() -> bool:
                return bool(records.endings)

            await until(is_ending, "the end being written")
        async with worker(temporal):
            records.gate.set()

            async def has_waited() -> bool:
                failed = EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
                return any([event.event_type == failed async for event in run.fetch_history_events()])

            await until(has_waited, "a task that the worker without the key leaves to others")
        async with worker(keyed):
            assert (await run.result()).status is RunStatus.COMPLETED
