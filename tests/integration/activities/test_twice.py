"""Every writing activity of a run is done twice, as after a worker's death, and leaves one row of everything."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar, cast

from activities.load.batches import LoadActivities
from activities.run.executions import ExecutionActivities
from activities.run.judging import JudgingActivities
from activities.run.ledger import LedgerActivities
from clients.temporal.runs import RunDirectory
from domain.executions.execution import Ending, FinalStep, Recovery, RunStatus
from domain.executions.windows import LedgerEntry, LedgerState, LedgerUpdate, WindowKind
from domain.faults.model import FaultOrder
from domain.measuring.load import BatchOrder, CaseOutcome, CaseRange, Exclusion, ExclusionOrder
from domain.plans.canonical import canonical_json
from domain.resilience.model import NewExecution, Phase, PhaseChange
from domain.traffic.summary import AnalysisOrder, RecordingsOrder
from tests.support.activities.permits import WINDOW_RUN, own_fault_name
from tests.support.activities.stage import Stage
from tests.support.store.counting import row_counts

S = TypeVar("S")
R = TypeVar("R")


class Started:
    """A server that knows every window as a child of the run."""

    async def parent_of(self, *_: str) -> tuple[str, str]:
        return "w", "1"


async def test_a_repeated_activity_adds_no_rows(stage: Stage) -> None:
    """From the run's record to its end, on real peers. The rows are those of an undisturbed run."""
    execution_id, store = stage.execution.execution_id, stage.tools.store

    async def twice(work: Callable[[S], Awaitable[R]], order: S) -> R:
        first = await stage.do(work, order)
        once = await row_counts(store, execution_id)
        await stage.do(work, order, attempt=2)
        assert await row_counts(store, execution_id) == once, work
        return first

    records = ExecutionActivities(stage.tools, stage.execution.timing)
    ledger, load = LedgerActivities(stage.tools, cast("RunDirectory", Started())), LoadActivities(stage.tools)
    new = NewExecution(plan_json=canonical_json(stage.plan), workflow_id="w", run_id="1")
    assert (await twice(records.create, new)).execution_id == execution_id
    entry = LedgerEntry(
        window_id=f"fault/{execution_id}/reviews",
        run_id=WINDOW_RUN,
        execution_id=execution_id,
        parent_workflow_id="w",
        parent_run_id="1",
        kind=WindowKind.FAULT,
        service="reviews",
        peer_name=own_fault_name(stage.execution, "reviews"),
        close_by=datetime.now(UTC) + timedelta(minutes=5),
    )
    await twice(ledger.record_intent, entry)
    # A second start is tested in `test_late_analysis.py`: its effect depends on how late it comes.
    started = await stage.do(stage.traffic.start, stage.ref)
    await twice(stage.traffic.await_patterns, AnalysisOrder(execution_id=execution_id, task_id=started.task_id))
    await twice(stage.traffic.stop, RecordingsOrder(execution_id=execution_id, analysis_over=True))
    await twice(records.change_phase, PhaseChange(execution_id=execution_id, phase=Phase.INJECTING_AND_REPLAYING))
    await twice(records.generate_cases, stage.ref)
    fault = FaultOrder(execution_id=execution_id, service="reviews", fault_name=entry.peer_name, known_to_exist=True)
    await twice(stage.faults.inject, fault)
    await twice(stage.faults.await_running, fault)
    await twice(stage.faults.replay, fault)
    await twice(stage.faults.recover, fault)
    closed = LedgerUpdate(window_id=entry.window_id, run_id=entry.run_id, state=LedgerState.CLOSED)
    await twice(ledger.update_ledger, closed)
    unusable = [
        Exclusion(service=name, outcome=CaseOutcome.SKIPPED, reason="a test")
        for name in stage.plan.service_names
        if name != "reviews"
    ]
    await twice(load.exclude, ExclusionOrder(execution_id=execution_id, exclusions=unusable))
    await twice(load.measure_batch, BatchOrder(execution_id=execution_id, cases=CaseRange(first=0, end=16)))
    await twice(JudgingActivities(stage.tools).judge, stage.ref)
    ending = Ending(
        execution_id=execution_id, status=RunStatus.COMPLETED, phase=FinalStep.DONE, recovery=Recovery.VERIFIED
    )
    await twice(records.finish, ending)

    rows = await row_counts(store, execution_id)
    assert {name: rows[name] for name in ("task_execution", "ledger", "intercept_replay_result")} == {
        "task_execution": 1,
        "ledger": 4,
        "intercept_replay_result": 1,
    }
    assert {name: rows[name] for name in ("test_cases", "test_result", "baggage_map", "request_pattern")} == {
        "test_cases": 16,
        "test_result": 16,
        "baggage_map": 5,
        "request_pattern": 5,
    }
    assert (await stage.counters()).executes == {entry.peer_name: 1}
