"""A whole run on the shop: what it finds, what it stores, what it leaves behind."""

from __future__ import annotations

import itertools

from temporalio.api.enums.v1 import EventType

from domain.executions.execution import Recovery, RunStatus, Verdict
from domain.executions.windows import LedgerState
from domain.faults.model import InjectionState
from domain.measuring.load import CaseOutcome
from domain.resilience.model import Phase
from tests.support.http import http_client
from tests.support.runs.whole import Whole
from tests.support.store.counting import row_counts

PLANTED = {"bestsellers+recommendations", "bestsellers+reviews", "reviews+shipping"}


async def test_the_planted_pairs_fail_and_nothing_else(whole: Whole) -> None:
    """Real faults find the three weaknesses that only pairs show, every case is measured, and everything is off."""
    bench, summary = whole.bench, whole.summary
    results = await bench.store.results.all(summary.execution_id)
    assert {result.case_id for result in results if result.verdict is Verdict.FAILED} == PLANTED
    assert {case.case_id for case in summary.failed_cases} == PLANTED
    assert all(result.outcome is CaseOutcome.MEASURED for result in results)
    assert summary.verdict is Verdict.FAILED
    assert summary.recovery is Recovery.VERIFIED
    assert (summary.cases.baseline, summary.cases.single, summary.cases.dual) == (1, 5, 10)
    assert (summary.cases.measured, summary.cases.passed, summary.cases.failed) == (16, 13, 3)
    assert bench.lab.state().clean


async def test_a_run_stores_every_row_exactly_once(whole: Whole) -> None:
    """Nothing is stored twice and nothing is missing, and the record has ended as the server reports."""
    bench, summary = whole.bench, whole.summary
    rows = await row_counts(bench.store, summary.execution_id)
    assert rows["task_execution"] == 1
    assert rows["test_cases"] == 16
    assert rows["baggage_map"] == 5
    assert rows["request_pattern"] == 6  # with that of the fallback call
    assert rows["recorded_service"] == 5
    assert rows["intercept_replay_result"] == 6
    assert rows["test_result"] == 16
    assert rows["ledger"] == 10  # lock, recording, calls, five faults and one for the fallback call, rules
    record = await bench.store.executions.row(summary.execution_id)
    assert (record.status, record.run_status) == (Phase.DONE, RunStatus.COMPLETED)
    assert (record.verdict, record.recovery) == (Verdict.FAILED, Recovery.VERIFIED)
    assert record.finished_at is not None
    ledger = await bench.store.ledger.of(summary.execution_id)
    assert {row.state for row in ledger} == {LedgerState.CLOSED}


async def test_status_has_every_panel(whole: Whole) -> None:
    """After the run the query still returns analysis, injections, rules, load, phases and windows."""
    state = await whole.bench.status(whole.handle)

    assert state is not None
    assert [phase.phase for phase in state.phases] == [
        Phase.GENERATING_CASES,
        Phase.ANALYZING_PATTERNS,
        Phase.INJECTING_AND_REPLAYING,
        Phase.RULES_READY,
        Phase.LOAD_TEST_BASELINE,
        Phase.DONE,
    ]
    assert all(phase.finished_at is not None for phase in state.phases[:-1])
    assert state.analysis.analyze_task_id.startswith("task_")
    assert [service.patterns for service in state.analysis.recorded] == [1] * 5
    assert len(state.analysis.stability) == 5
    assert {row.state for row in state.injections} == {InjectionState.RECOVERED}
    assert {row.service: row.replay_status for row in state.injections} == {
        "bestsellers": 500,
        "inventory": 504,
        "recommendations": 503,
        "reviews": 503,
        "shipping": 500,
    }
    assert state.rules.rules == 11  # a rule and a canary for each service, and a rule for the fallback call
    assert not state.rules.ready  # the rules are off again
    assert len(state.rules.stability) == 5
    assert (state.load.batches_done, state.load.batches_total, state.load.cases_done) == (1, 1, 16)
    assert state.recovery is Recovery.VERIFIED
    assert len(state.windows) == 10


async def test_only_one_fault_is_active_at_a_time(whole: Whole) -> None:
    """By the lab's own log no two faults overlap, and rules come after the last of them."""
    async with http_client() as client:
        log = (await client.get(f"{whole.bench.lab.addresses.admin}/lab/log")).json()
    faults = sorted(
        (entry["on_at"]["monotonic"], entry["off_at"]["monotonic"]) for entry in log if entry["kind"] == "fault"
    )
    assert len(faults) == 6  # bestsellers again, for the call that broken reviews cause
    assert all(off <= on for (_, off), (on, _) in itertools.pairwise(faults))
    assert all(entry["on_at"]["monotonic"] >= faults[-1][1] for entry in log if entry["kind"] == "rules")
    assert all(entry["off_at"] is not None for entry in log)


async def test_histories_carry_only_ids_and_summaries(whole: Whole) -> None:
    """No payload of the run's workflows is large, and a batch costs about as many events as an activity."""
    bench, handle, summary = whole.bench, whole.handle, whole.summary
    ids = [f"rules/{summary.execution_id}", f"load/{summary.execution_id}/0", f"fault/{summary.execution_id}/reviews"]
    for workflow_id in [handle.id, *ids]:
        history = await bench.temporal.get_workflow_handle(workflow_id).fetch_history()
        assert max(event.ByteSize() for event in history.events) < 16_384
    page = await bench.temporal.get_workflow_handle(ids[1]).fetch_history()
    scheduled = [entry for entry in page.events if entry.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED]
    assert len(scheduled) == 1
