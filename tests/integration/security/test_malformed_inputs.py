"""A workflow with malformed input ends at once with E001, and malformed signals change nothing.

There is one real server and one worker for all tests, and everything is started at once.
"""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

import pytest
from temporalio import workflow
from temporalio.api.common.v1 import Payload, Payloads, WorkflowExecution, WorkflowType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    SignalWithStartWorkflowExecutionRequest,
    SignalWorkflowExecutionRequest,
    StartWorkflowExecutionRequest,
)
from temporalio.client import Client, WorkflowFailureError, WorkflowQueryFailedError, WorkflowUpdateFailedError
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from clients.settings import Settings
from domain.base import Contract
from domain.cases import cases
from domain.executions import starting
from domain.executions.windows import FaultInput, RulesWindowInput
from domain.names import WorkflowType as Type
from domain.pairs import comparing as fidelity
from domain.pairs.model import MOST_PAIRS
from domain.plans import durations
from domain.plans.validation import plan_rules
from domain.timing import TimingPreset
from tests.support.histories.recorded import NAMES, recorded, replayer, type_of
from tests.support.security.malformed import EXECUTION, ORDERS, SHAPES, Shape, in_json, payload, some
from worker import WORKFLOWS, running
from workflows.execution import intake

pytestmark = pytest.mark.timeout(600)

SECONDS = 60
"""Time within which every refusal must have come. A workflow that is retried for ever would never be refused."""


class Log(logging.Handler):
    """Everything that the worker logs."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@contextmanager
def logged() -> Iterator[Log]:
    log = Log()
    logging.getLogger().addHandler(log)
    try:
        yield log
    finally:
        logging.getLogger().removeHandler(log)


class Served(NamedTuple):
    """A worker, and how to reach it without any of our own checks."""

    client: Client
    queue: str

    async def start(self, kind: str, payloads: list[Payload]) -> str:
        """Start a workflow with these payloads. Returns its id."""
        workflow_id = f"malformed-{uuid.uuid4().hex}"
        await self.client.workflow_service.start_workflow_execution(
            StartWorkflowExecutionRequest(
                namespace=self.client.namespace,
                workflow_id=workflow_id,
                workflow_type=WorkflowType(name=kind),
                task_queue=TaskQueue(name=self.queue),
                input=Payloads(payloads=payloads),
                request_id=uuid.uuid4().hex,
            )
        )
        return workflow_id

    async def end(self, workflow_id: str) -> ApplicationError:
        """Return how the workflow failed.

        The error is something other than a refusal if the workflow did not fail, or did something first.
        """
        try:
            await asyncio.wait_for(self.client.get_workflow_handle(workflow_id).result(), SECONDS)
        except WorkflowFailureError as error:
            return error.cause if isinstance(error.cause, ApplicationError) else ApplicationError(str(error.cause))
        except TimeoutError:
            return ApplicationError("goes on")
        return ApplicationError("completed")

    async def signal(self, workflow_id: str, name: str, payloads: list[Payload]) -> None:
        """Send a signal with these payloads."""
        await self.client.workflow_service.signal_workflow_execution(
            SignalWorkflowExecutionRequest(
                namespace=self.client.namespace,
                workflow_execution=WorkflowExecution(workflow_id=workflow_id),
                signal_name=name,
                input=Payloads(payloads=payloads),
            )
        )


@pytest.fixture(scope="module")
async def served(temporal: Client, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """Serve every workflow and activity with one worker for all tests."""
    queue = f"malformed-{uuid.uuid4().hex[:8]}"
    folder = tmp_path_factory.mktemp("malformed")
    settings = Settings(
        database_url=f"sqlite+aiosqlite:///{folder}/holdfast.db",
        timing=TimingPreset.FAST,
        task_queue=queue,
        sweeper=False,
    )
    async with running(temporal, settings):
        yield Served(temporal, queue)


class Refused(NamedTuple):
    """The ends of all refused workflows, and the log."""

    ends: list[tuple[Type, Shape, str, ApplicationError]]
    log: Log


@pytest.fixture(scope="module", params=["some", pytest.param("all", marks=pytest.mark.exhaustive)])
async def refused(request: pytest.FixtureRequest, served: Served) -> Refused:
    """Start every shape of every workflow, at most 16 at a time, and wait until the last has ended."""
    shapes = SHAPES if request.param == "all" else some()
    # More would only wait for each other, for longer than workflow tasks may take.
    at_once = asyncio.Semaphore(16)

    async def end_of(kind: Type, shape: Shape) -> tuple[Type, Shape, str, ApplicationError]:
        async with at_once:
            workflow_id = await served.start(kind, shape.payloads)
            return kind, shape, workflow_id, await served.end(workflow_id)

    with logged() as log:
        ends = await asyncio.gather(*[end_of(kind, shape) for kind, shape in shapes])
    return Refused(ends, log)


def test_every_workflow_of_the_worker_is_tried() -> None:
    tried = {kind for kind, _ in SHAPES}
    assert (
        {workflow.__name__ for workflow in WORKFLOWS} == {str(kind) for kind in tried} == {str(kind) for kind in Type}
    )


async def test_malformed_input_fails_every_workflow_at_once_with_its_code(refused: Refused) -> None:
    wrong = [
        (kind, shape.name, error.type, error.message)
        for kind, shape, _, error in refused.ends
        if error.type != "VALIDATION_ERROR" or not error.non_retryable or "E001" not in error.message
    ]
    assert wrong == []


async def test_the_refusal_is_short_and_names_the_field(refused: Refused) -> None:
    unnamed = [
        (kind, shape.name, error.message)
        for kind, shape, _, error in refused.ends
        if kind is not Type.RESILIENCE_TEST
        and (len(error.message) > 2_000 or shape.field.split(".")[-1] not in error.message)
    ]
    assert unnamed == []


async def test_refused_workflows_begin_nothing_and_no_task_fails(served: Served, refused: Refused) -> None:
    for _, shape, workflow_id, _ in refused.ends[::7]:
        kinds = [event.WhichOneof("attributes") for event in await _events(served, workflow_id)]
        assert "workflow_task_failed_event_attributes" not in kinds, shape.name
        assert "activity_task_scheduled_event_attributes" not in kinds, shape.name


async def test_the_log_has_a_line_for_each_refusal_and_no_stack_trace(refused: Refused) -> None:
    traces = [
        f"{record.getMessage()}: {record.exc_info and record.exc_info[1]}"
        for record in refused.log.records
        if record.exc_info or "Traceback" in record.getMessage()
    ]
    # Where a worker is short of CPU time, the SDK takes it for deadlocked, and hands the task out again.
    assert [trace for trace in traces if "TMPRL1101" not in trace] == []
    lines = [record for record in refused.log.records if record.levelno >= logging.WARNING]
    # The server hands a task out once more if its answer came too late. A task that is retried for ever would fill the
    # log.
    assert len(lines) <= 2 * len(refused.ends)
    assert all(len(record.getMessage()) < 3_000 for record in lines)


async def test_a_refused_workflow_answers_a_query_instead_of_retrying_it(served: Served, refused: Refused) -> None:
    for _, _, workflow_id, _ in refused.ends[:: len(refused.ends) // 8]:
        with pytest.raises((WorkflowQueryFailedError, RPCError)):
            await asyncio.wait_for(served.client.get_workflow_handle(workflow_id).query("status"), SECONDS)


async def _events(served: Served, workflow_id: str) -> list[HistoryEvent]:
    handle = served.client.get_workflow_handle(workflow_id)
    return [event async for event in handle.fetch_history_events()]


SIGNALLED = [
    [],
    [payload(b"\xff\x00")],
    [payload(b"{}", b"nonsense")],
    [payload(b"null")],
    [in_json({"state": "sideways"})],
    [in_json("x"), in_json("y")],
    [payload(b"{}", b"json/external-storage-reference")],
    [payload(b"{}", __temporal_external_storage_reference=b"true")],
    [payload(b"\x00" * 40, b"binary/encrypted")],
]


async def test_malformed_signals_change_nothing(served: Served) -> None:
    """Each signal arrives before the first task, and the window ends as it would without any signal."""

    async def events_of(kind: Type, signal: str, payloads: list[Payload]) -> list[str | None]:
        order = ORDERS[kind].model_dump_json().encode() if kind in ORDERS else b'{"plan": {}}'
        request = SignalWithStartWorkflowExecutionRequest(
            namespace=served.client.namespace,
            workflow_id=f"signalled-{uuid.uuid4().hex}",
            workflow_type=WorkflowType(name=kind),
            task_queue=TaskQueue(name=served.queue),
            input=Payloads(payloads=[payload(order)]),
            request_id=uuid.uuid4().hex,
            signal_name=signal,
            signal_input=Payloads(payloads=payloads),
        )
        await served.client.workflow_service.signal_with_start_workflow_execution(request)
        await asyncio.wait_for(_closed(served, request.workflow_id), SECONDS)
        return [event.WhichOneof("attributes") for event in await _events(served, request.workflow_id)]

    tried = [
        (kind, signal, payloads)
        for kind in Type
        if kind not in (Type.LOAD_PAGE, Type.SWEEPER)
        for signal in _signals_of(kind)
        for payloads in SIGNALLED
    ]
    assert {kind for kind, _, _ in tried} == {
        Type.RESILIENCE_TEST,
        Type.CALLS_WINDOW,
        Type.FAULT_WINDOW,
        Type.RULES_WINDOW,
        Type.PAIRS_WINDOW,
    }
    with logged() as log:
        for events in await asyncio.gather(*[events_of(*each) for each in tried]):
            assert "workflow_task_failed_event_attributes" not in events
    decoding = [record for record in log.records if "deserializing" in record.getMessage()]
    assert decoding == [], "dropped with a stack trace"


async def _closed(served: Served, workflow_id: str) -> None:
    with suppress(WorkflowFailureError):
        await served.client.get_workflow_handle(workflow_id).result()


def _signals_of(kind: Type) -> list[str]:
    workflow_class = next(candidate for candidate in WORKFLOWS if candidate.__name__ == kind)
    return [name for name in workflow._Definition.must_from_class(workflow_class).signals if name]


class ProbeOrder(Contract):
    """The order of a workflow that somebody may write one day."""

    count: int


@workflow.defn
class Probe:
    """A workflow without any checks of its input or its handlers' arguments."""

    def __init__(self) -> None:
        self.names: list[str] = []

    @workflow.run
    async def run(self, order: ProbeOrder) -> list[str]:
        await workflow.wait_condition(lambda: len(self.names) == order.count)
        return self.names

    @workflow.signal
    def add(self, name: str) -> None:
        self.names.append(name)

    @workflow.update
    def put(self, name: str) -> int:
        self.names.append(name.upper())
        return len(self.names)


async def test_a_new_workflow_is_guarded_without_code_of_its_own(served: Served) -> None:
    """The runner guards signals, updates and input, not the workflow."""
    queue = f"probe-{uuid.uuid4().hex[:8]}"
    probes = served._replace(queue=queue)
    runner = intake.GuardedRunner(UnsandboxedWorkflowRunner())
    async with Worker(served.client, task_queue=queue, workflows=[Probe], workflow_runner=runner):
        refused = await probes.end(await probes.start("Probe", [payload(b"{}")]))
        assert (refused.type, "count" in refused.message) == ("VALIDATION_ERROR", True)
        workflow_id = await probes.start("Probe", [in_json({"count": 2})])
        for payloads in (*SIGNALLED[:3], *SIGNALLED[5:6]):
            await probes.signal(workflow_id, "add", payloads)
        handle = served.client.get_workflow_handle(workflow_id, result_type=list[str])
        for arguments in ([], ["a", "b"], [{"a": 1}]):
            with pytest.raises(WorkflowUpdateFailedError):
                await handle.execute_update("put", args=arguments)
        await handle.signal("add", "a")
        await handle.execute_update("put", "b")
        assert await handle.result() == ["a", "B"]
        events = [event.WhichOneof("attributes") for event in await _events(served, workflow_id)]
    assert "workflow_task_failed_event_attributes" not in events


@pytest.mark.parametrize("name", NAMES)
def test_nothing_started_by_a_landed_version_would_be_refused(name: str) -> None:
    history = recorded(name)
    kind = type_of(history)
    started = history.events[0].workflow_execution_started_event_attributes
    definition = workflow._Definition.must_from_class(
        next(candidate for candidate in WORKFLOWS if candidate.__name__ == kind)
    )
    converter = pydantic_data_converter.payload_converter
    assert intake.unfit_input(definition.run_fn, definition.arg_types, started.input.payloads, converter) == []


def test_the_largest_order_of_a_plan_is_within_the_bounds() -> None:
    """The bounds are those of the plan: services, cases, batches, times."""
    assert plan_rules.MOST_SERVICES == starting.MOST_SERVICES
    assert cases.case_count(starting.MOST_SERVICES) == starting.MOST_CASES
    assert cases.MOST_BATCHES_PER_PAGE <= starting.MOST_BATCHES
    assert fidelity.MOST_PER_PAGE <= MOST_PAIRS
    names = [f"{number:063d}" for number in range(starting.MOST_SERVICES)]
    execution = EXECUTION.model_copy(update={"services": names})
    order = ORDERS[Type.RULES_WINDOW].model_copy(
        update={
            "execution": execution,
            "services": names,
            "case_count": starting.MOST_CASES,
            "hold_seconds": durations.LONGEST_RULES_TTL.total_seconds(),
            "ttl_seconds": int(durations.LONGEST_RULES_TTL.total_seconds()),
        }
    )
    written = order.model_dump_json()
    assert len(written) < intake.LARGEST_INPUT
    assert RulesWindowInput.model_validate_json(written, context=starting.Reading.AT_START) == order


def test_a_running_window_reads_an_order_that_would_be_refused_today() -> None:
    """Everything active must be switched off, even by a worker with narrower bounds."""
    order = json.loads(ORDERS[Type.FAULT_WINDOW].model_dump_json()) | {"hold_seconds": 1e9, "parent_run_id": "x"}
    assert FaultInput.model_validate_json(json.dumps(order)).hold_seconds == 1e9


@pytest.mark.parametrize("name", ["half-fault-open", "half-rules-open", "half-page-open"])
async def test_a_window_that_has_begun_is_never_refused(name: str) -> None:
    """Its history goes on under a worker that would refuse its order today: everything active must be switched off."""
    history = recorded(name)
    started = history.events[0].workflow_execution_started_event_attributes.input.payloads[0]
    order = json.loads(started.data)
    started.data = json.dumps(order | {"parent_run_id": "x", "batch_seconds": -1.0, "more": "x" * 300_000}).encode()
    await replayer().replay_workflow(history)
