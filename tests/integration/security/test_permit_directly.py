"""Anyone who reaches Temporal may call activities, start windows by hand, or run other workflows.

These tests use a real server with a real worker. The lab's own record shows what came on.
"""

from __future__ import annotations

import asyncio
import inspect
import uuid
from datetime import timedelta
from typing import Any

import pytest
from temporalio import activity, workflow
from temporalio.client import ActivityFailureError, Client, WorkflowExecutionStatus, WorkflowFailureError
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.permit import Duty
from domain.errors import ErrorCode
from domain.executions.execution import Execution, RunFailure, Verdict
from domain.executions.windows import WindowInput
from domain.names import WorkflowType, calls_workflow_id, fault_workflow_id, load_queue, rules_workflow_id
from domain.resilience.model import Phase
from lab import Kind, LogEntry
from tests.support.activities.offered import name_of, offered
from tests.support.runs.bench import Bench
from tests.support.runs.endings import LONG_LOAD
from tests.support.store.counting import row_counts

pytestmark = pytest.mark.timeout(400)
SOON = timedelta(seconds=60)
LONG_OPEN = 1e9
ON_THE_LOAD_QUEUE = ("measure_batch", "compare_pair", "ask_broken")


def order_for(kind: type, execution: Execution) -> dict[str, Any]:
    """Build a hostile order of this type.

    It is about a real execution, with far too much of everything.
    """
    run = execution.execution_id
    window = {"window_id": fault_workflow_id(execution, "reviews"), "run_id": str(uuid.uuid4())}
    ending = {"status": "completed", "phase": "DONE", "recovery": "verified", "verdict": "passed"}
    facts: dict[str, dict[str, Any]] = {
        "NewExecution": {"plan_json": "{}", "workflow_id": "evil", "run_id": "1"},
        "Ending": ending,
        "NewRecord": {"kind": "countdown", "definition_json": "{}", "workflow_id": "evil", "run_id": "1"},
        "StepChange": {"step": "evil"},
        "PhaseChange": {"phase": "DONE"},
        "LedgerEntry": window | {
            "parent_workflow_id": "evil", "parent_run_id": "1", "kind": "fault", "service": "reviews",
            "peer_name": "blade-1", "close_by": "2058-01-01T00:00:00Z",
        },
        "LedgerUpdate": window | {"state": "closed"},
        "FaultOrder": {"service": "reviews", "fault_name": "blade-of-somebody"},
        "RulesOrder": {"services": ["reviews", "kube-dns"], "ttl_seconds": 315_360_000},
        "BatchOrder": {"cases": {"first": 0, "end": 10**9}},
        "AnalysisOrder": {"task_id": "t"},
        "SteadyOrder": {"moment": "before"},
        "StabilityOrder": {"services": ["reviews"] * 3 + ["kube-dns"]},
        "ExclusionOrder": {"exclusions": [{"service": "reviews", "outcome": "skipped", "reason": "evil"}]},
        "PairsOrder": {"share": 100.0},
        "CallsOrder": {"round": 1},
        "AskOrder": {"case_index": 1, "faults": {"reviews": "blade-1"}},
        "PairOrder": {"case_index": 3, "case_id": "reviews+shipping", "faults": {"reviews": "blade-1"}},
        "UncheckedPair": {"case_index": 3, "reason": "evil"},
        "PreflightOrder": {"leftovers": "clean"},
        "RunRef": {"workflow_id": "evil", "run_id": "1"},
        "LockWait": {"lock_id": "nobody's"},
        "OthersWait": {"cancel": True},
    }  # fmt: skip
    assert kind.__name__ in facts or kind.__name__ in ("ExecutionRef", "RecordingsOrder", "SweepOrder"), kind
    return {"execution_id": run} | facts.get(kind.__name__, {})


def recordings(bench: Bench) -> list[LogEntry]:
    """Return everything that the lab has ever recorded."""
    return [entry for entry in bench.lab._cluster.journal.log if entry.kind is Kind.RECORDING]


async def before_and_after(bench: Bench, execution_id: int) -> tuple[Any, ...]:
    """Return all that must not change: calls to the peers, and the store's content."""
    store, seen = bench.store, bench.lab.counters
    acted = (dict(seen.executes), seen.upserts, dict(seen.replays), dict(seen.entry_baggage), len(recordings(bench)))
    counts = await row_counts(store, execution_id)
    counts.pop("task_execution_log", None)
    results = await store.results.all(execution_id)
    return (acted, counts, results, await store.executions.row(execution_id), await store.ledger.of(execution_id))


async def alone(bench: Bench, work: Any, execution: Execution) -> str:
    """Call an activity by itself.

    Returns the code of the refusal, or an empty string if there was none.
    """
    (kind,) = activity._Definition.must_from_callable(work).arg_types or []
    queue = bench.settings.task_queue
    handle = await bench.temporal.start_activity(
        name_of(work),
        order_for(kind, execution),
        id=f"evil-{name_of(work)}-{uuid.uuid4().hex}",
        task_queue=load_queue(queue) if name_of(work) in ON_THE_LOAD_QUEUE else queue,
        start_to_close_timeout=SOON,
        schedule_to_close_timeout=SOON,
    )
    try:
        await handle.result()
    except ActivityFailureError as error:
        return str(error.cause.type) if isinstance(error.cause, ApplicationError) else str(error.cause)
    return ""


@pytest.mark.exhaustive
async def test_no_activity_does_anything_when_it_is_called_alone(bench: Bench) -> None:
    """Every activity that the worker offers is called for an ended run: the run is unchanged, and nothing came on."""
    summary = await bench.run(bench.small_plan("reviews"))
    execution = await bench.store.executions.get(summary.execution_id)
    before = await before_and_after(bench, summary.execution_id)
    # The others only look, and would wait as long as the plan allows for something that never comes.
    tried = [
        candidate
        for candidate in offered()
        if name_of(candidate) not in ("await_fault_running", "await_rules_registered", "await_rules_acting")
    ]
    refusals = await asyncio.gather(*(alone(bench, work, execution) for work in tried))
    for work, refused in zip(tried, refusals, strict=True):
        if work.duty in (Duty.ACTS, Duty.WRITES):
            assert refused == ErrorCode.NO_PERMIT, (name_of(work), refused)
    assert bench.lab.state().clean
    assert await before_and_after(bench, summary.execution_id) == before


def window_of(execution: Execution, run_id: str, plan: Any, **more: Any) -> dict[str, Any]:
    """Build the input of a window that is started by hand and never closes."""
    facts = WindowInput(
        execution=execution,
        parent_workflow_id=more.pop("parent", "evil"),
        parent_run_id=run_id,
        timeouts=plan.timeouts,
        hold_seconds=LONG_OPEN,
        service=more.pop("service", ""),
    )
    return facts.model_dump(mode="json") | more


async def windows_by_hand(bench: Bench, execution: Execution, *, parent: str, run_id: str) -> None:
    """Start every kind of window for an execution.

    None of them may switch anything on.
    """
    plan = await bench.store.executions.plan(execution.execution_id)
    rules = {
        "services": ["reviews"], "case_count": 2, "batch_seconds": 60.0, "ttl_seconds": 315_360_000,
    }  # fmt: skip
    page = {
        "execution": execution.model_dump(mode="json"), "cases": {"first": 0, "end": 2}, "batch_size": 2,
        "batch_seconds": 60.0,
    }  # fmt: skip
    pairs = {"cases": [3], "fault_seconds": LONG_OPEN, "request_seconds": 60.0}
    again = uuid.uuid4().hex
    fault = window_of(execution, run_id, plan, service="reviews", parent=parent)
    plain = window_of(execution, run_id, plan, parent=parent)
    started = [
        (WorkflowType.FAULT_WINDOW, f"evil/{again}/fault", fault),
        (WorkflowType.RULES_WINDOW, f"evil/{again}/rules", plain | rules),
        (WorkflowType.RECORDING_WINDOW, f"evil/{again}/recording", plain),
        (WorkflowType.CALLS_WINDOW, f"evil/{again}/calls", plain),
        (WorkflowType.FAULT_WINDOW, f"evil/{again}/later", fault | {"asks_case": 1, "discovery_round": 2}),
        (WorkflowType.PAIRS_WINDOW, f"evil/{again}/pairs", plain | pairs),
        (WorkflowType.PAIRS_WINDOW, f"evil/{again}/asked", plain | pairs | {"discovers": True}),
        (WorkflowType.LOAD_PAGE, f"load/{execution.execution_id}/99", page),
        # Under the same names as the run's own windows.
        (WorkflowType.FAULT_WINDOW, fault_workflow_id(execution, "reviews"), fault),
        (WorkflowType.RULES_WINDOW, rules_workflow_id(execution), plain | rules),
        (WorkflowType.CALLS_WINDOW, calls_workflow_id(execution), plain),
        (WorkflowType.FAULT_WINDOW, fault_workflow_id(execution, "reviews", 2), fault | {"discovery_round": 2}),
    ]
    await asyncio.gather(*(by_hand(bench, *window) for window in started))


async def by_hand(bench: Bench, kind: str, workflow_id: str, order: dict[str, Any]) -> None:
    """Start a window, and check that it fails."""
    handle = await bench.temporal.start_workflow(kind, order, id=workflow_id, task_queue=bench.settings.task_queue)
    with pytest.raises(WorkflowFailureError):
        await handle.result()


@pytest.mark.exhaustive
async def test_a_window_started_by_hand_switches_nothing_on(bench: Bench) -> None:
    """For an ended run, while halted or not, with the run's own ids as its parent's."""
    summary = await bench.run(bench.small_plan("reviews"))
    execution = await bench.store.executions.get(summary.execution_id)
    row = await bench.store.executions.row(summary.execution_id)
    before = await before_and_after(bench, summary.execution_id)
    await windows_by_hand(bench, execution, parent=row.workflow_id, run_id=row.run_id)
    await bench.store.halting.halt("a fire", "a test")
    await windows_by_hand(bench, execution, parent=row.workflow_id, run_id=row.run_id)
    assert bench.lab.state().clean
    assert await before_and_after(bench, summary.execution_id) == before


@workflow.defn(name=WorkflowType.FAULT_WINDOW, sandboxed=False)
class Impostor:
    """A workflow with our type's name in somebody else's worker.

    It asks our queue for our activities.
    """

    @workflow.run
    async def run(self, wanted: dict[str, Any]) -> Any:
        """Ask for the wanted activity."""
        return await workflow.execute_activity(
            wanted["activity"],
            wanted["order"],
            task_queue=wanted["queue"],
            start_to_close_timeout=SOON,
            schedule_to_close_timeout=SOON,
        )


def a_worker_of_somebody_else(client: Client, queue: str) -> Worker:
    return Worker(client, task_queue=queue, workflows=[Impostor], workflow_runner=UnsandboxedWorkflowRunner())


async def test_a_window_of_another_worker_is_not_a_window_of_the_run(bench: Bench) -> None:
    """Beside a run that holds its lock, it gets neither an intent nor a fault, even under the run's own names."""
    handle = await bench.start(bench.small_plan("reviews", load=LONG_LOAD))
    await bench.until_phase(handle, Phase.LOAD_TEST_BASELINE)
    (row,) = await bench.store.executions.newest(1)
    execution = await bench.store.executions.get(row.execution_id)
    rows = await bench.store.ledger.of(row.execution_id)
    queue = f"evil-{bench.name}"
    async with a_worker_of_somebody_else(bench.temporal, queue):
        for name in ("record_intent", "inject_fault", "replay_and_capture", "update_ledger"):
            (work,) = [candidate for candidate in offered() if name_of(candidate) == name]
            (kind,) = activity._Definition.must_from_callable(work).arg_types or []
            order = order_for(kind, execution)
            window_id = fault_workflow_id(execution, "reviews")
            with pytest.raises(WorkflowFailureError) as raised:
                await bench.temporal.execute_workflow(
                    WorkflowType.FAULT_WINDOW,
                    {"activity": name, "order": order, "queue": bench.settings.task_queue},
                    id=window_id,
                    task_queue=queue,
                )
            cause: Any = raised.value.cause
            assert isinstance(cause.cause, ApplicationError), name
            assert cause.cause.type == ErrorCode.NO_PERMIT, (name, cause.cause)
    assert bench.lab.state().faults == {}
    known = {(entry.window_id, entry.run_id) for entry in rows}
    assert {(entry.window_id, entry.run_id) for entry in await bench.store.ledger.of(row.execution_id)} == known
    assert (await handle.describe()).status is WorkflowExecutionStatus.RUNNING
    await bench.cancelled(handle)


@pytest.mark.exhaustive
async def test_narrower_rails_stop_a_run_in_progress_at_its_next_step(idle_bench: Bench) -> None:
    """The run ends with NO_PERMIT, and the worker that no longer allows the plan closes everything."""
    bench = idle_bench
    first = await bench.worker()
    handle = await bench.start(bench.small_plan(load=LONG_LOAD))
    await bench.until_phase(handle, Phase.LOAD_TEST_BASELINE)
    first.kill()
    await first.wait()
    assert not bench.lab.state().clean
    await bench.worker(HOLDFAST_ALLOWED_NAMESPACES="books")
    with pytest.raises(WorkflowFailureError) as raised:
        await handle.result()
    assert isinstance(raised.value.cause, ApplicationError)
    failure = RunFailure.model_validate(raised.value.cause.details[0])
    assert failure.code is ErrorCode.NO_PERMIT
    assert "HOLDFAST_ALLOWED_NAMESPACES" in failure.message
    report = await bench.lock_ended(handle)
    assert report is not None
    assert bench.lab.state().clean
    (row,) = await bench.store.executions.newest(1)
    assert (row.error_code, row.verdict) == (ErrorCode.NO_PERMIT, None)
    assert row.verdict is not Verdict.PASSED
    assert [entry.kind for entry in await bench.store.ledger.unsettled()] == []


def test_offered_activities_are_plain_functions_of_one_order() -> None:
    """The tests above can therefore reach each of them."""
    assert all(len(inspect.signature(work).parameters) == 1 for work in offered())
