"""Peers that lie: their claims are not believed, and whatever they leave on is reported."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError

import worker
from domain.errors import ErrorCode
from domain.executions.execution import Recovery, RunFailure, Verdict
from domain.executions.windows import LedgerState
from domain.measuring.load import CaseOutcome
from domain.resilience.model import Phase, ResilienceSummary
from lab import Action, Endpoint, Instruction, Lab, Misbehaviour, PortChoice
from tests.support.http import http_client
from tests.support.leaks import checker
from tests.support.leaks.duo import LEFT, PATIENT, RIGHT, TOPOLOGY, Duo
from tests.support.leaks.told import HALF_RUNNING, IN_ERROR, OF_ANOTHER, UNKNOWN, first
from tests.support.runs.bench import until
from tests.support.tiers import mostly_exhaustive


@pytest.fixture
async def duo(temporal: Client, tmp_path: Path) -> AsyncIterator[Duo]:
    """The two-service lab, a store and a worker."""
    async with Lab(TOPOLOGY, settings=PATIENT, ports=PortChoice.FREE) as lab:
        bench = Duo(temporal, lab, tmp_path)
        async with worker.running(temporal, bench.settings), bench:
            yield bench


async def failure(duo: Duo, handle: WorkflowHandle[Any, Any]) -> RunFailure:
    """Return why a run failed."""
    with pytest.raises(WorkflowFailureError) as raised:
        await handle.result()
    assert isinstance(raised.value.cause, ApplicationError)
    await duo.lock_ended(handle)
    return RunFailure.model_validate(raised.value.cause.details[0])


async def outcomes(duo: Duo, summary: ResilienceSummary) -> dict[str, tuple[CaseOutcome, str]]:
    """Return the outcome of each case, and its reason."""
    return {
        result.case_id: (result.outcome, result.reason) for result in await duo.store.results.all(summary.execution_id)
    }


async def nothing_stays(duo: Duo) -> None:
    """Check by the lab's own log that nothing stays on."""
    seen = await checker.look(duo.lab.addresses.admin)
    assert [*checker.still_on(seen), *checker.by_itself(seen.log)] == []


async def test_a_fault_that_only_seems_deleted_leaves_recovery_unverified(duo: Duo) -> None:
    """Deleting succeeds and changes nothing. No load test runs on top of it, and a row stays open."""
    duo.lab.misbehave(Misbehaviour(instructions=[Instruction(endpoint=Endpoint.FAULT_DELETE, action=Action.LIE)]))
    handle = await duo.start(duo.plan(timeouts={"recovery": "1s", "stability": "2s"}))
    found = await failure(duo, handle)
    assert (found.code, found.phase) == (ErrorCode.RECOVERY_UNVERIFIED, Phase.INJECTING_AND_REPLAYING)
    assert found.recovery is Recovery.UNVERIFIED
    assert found.message.startswith("left was not seen to recover")
    seen = await checker.look(duo.lab.addresses.admin)
    assert (seen.counters.upserts, len(checker.still_on(seen)) > 0) == (0, True)
    rows = [row for row in await duo.store.ledger.of(found.execution_id or 0) if row.kind == "fault"]
    assert [(row.service, row.state) for row in rows] == [(LEFT, LedgerState.UNVERIFIED)]


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("answer", "why"),
    [(HALF_RUNNING, "not running after 0.5 s"), (IN_ERROR, "it failed (no such class)")],
    ids=["half running", "error"],
)
async def test_a_fault_that_does_not_run_everywhere_is_not_used(duo: Duo, answer: Any, why: str) -> None:
    """Nothing is captured from it, it is removed, and the other service's cases are measured."""
    duo.lab.misbehave(first(Endpoint.FAULT_STATUS, answer, calls=30, contains="-left-"))
    summary = await duo.run(duo.plan(timeouts={"fault_running": "500ms"}))
    found = await outcomes(duo, summary)
    assert summary.verdict is Verdict.INCONCLUSIVE
    assert found[RIGHT][0] is CaseOutcome.MEASURED
    for case in (LEFT, "left+right"):
        assert found[case][0] is CaseOutcome.SKIPPED
        assert "left has no captured failure" in found[case][1]
        assert why.split(" ", maxsplit=1)[0] in found[case][1]
    assert (await checker.look(duo.lab.addresses.admin)).counters.replays.get(LEFT, 0) == 0
    await nothing_stays(duo)


@pytest.mark.exhaustive
async def test_the_analysis_of_a_different_execution_is_waited_out(duo: Duo) -> None:
    """Then our own analysis begins."""
    duo.lab.misbehave(first(Endpoint.ANALYZE, OF_ANOTHER))
    summary = await duo.run()
    assert (summary.verdict, summary.cases.measured) == (Verdict.FAILED, 4)
    assert duo.lab.calls[Endpoint.ANALYZE] == 2
    await nothing_stays(duo)


async def test_an_analysis_unknown_to_the_proxy_fails_the_run_at_once(duo: Duo) -> None:
    """Not only after the whole timeout. Recordings that were on all the same are off."""
    duo.lab.misbehave(first(Endpoint.ANALYZE_STATUS, UNKNOWN))
    found = await failure(duo, await duo.start())
    assert (found.code, found.phase) == (ErrorCode.ANALYZE_FAILED, Phase.ANALYZING_PATTERNS)
    assert "NOT_FOUND" in found.message
    assert found.recovery is Recovery.VERIFIED
    await nothing_stays(duo)


@pytest.mark.exhaustive
async def test_no_failure_is_measured_when_the_analysis_finds_nothing(duo: Duo) -> None:
    """It completes without a pattern, and the recordings show nothing either: no fault, no rule, and no pass."""
    nothing = {"success": True, "data": []}
    blind = Instruction(endpoint=Endpoint.RECORDING_ENTRIES, action=Action.REPLACE, body=nothing)
    duo.lab.misbehave(Misbehaviour(analysis_no_patterns_for=[LEFT, RIGHT], instructions=[blind]))
    summary = await duo.run(duo.plan(timeouts={"analyze": "10s"}))
    assert summary.verdict is Verdict.INCONCLUSIVE
    assert {outcome for case, (outcome, _) in (await outcomes(duo, summary)).items() if case != "baseline"} == {
        CaseOutcome.SKIPPED
    }
    seen = await checker.look(duo.lab.addresses.admin)
    assert (seen.counters.executes, seen.counters.upserts) == ({}, 0)


@pytest.mark.exhaustive
async def test_services_missed_by_the_analysis_are_found_while_calls_are_recorded(duo: Duo) -> None:
    """They join, and the pair that fails is found all the same."""
    duo.lab.misbehave(Misbehaviour(analysis_no_patterns_for=[LEFT, RIGHT]))
    summary = await duo.run()
    assert summary.verdict is Verdict.FAILED
    assert {outcome for outcome, _ in (await outcomes(duo, summary)).values()} == {CaseOutcome.MEASURED}
    # Each single failure was tried for real as well, which would not happen otherwise.
    assert {case.case_index for case in await duo.store.calls.real_cases(summary.execution_id)} >= {1, 2}
    assert all(call_round.complete for call_round in await duo.store.calls.rounds(summary.execution_id))
    await nothing_stays(duo)


@pytest.mark.exhaustive
async def test_a_fault_that_ends_during_the_replay_is_not_used(duo: Duo) -> None:
    """A time limit that fires early would have this effect."""
    slow = Instruction(endpoint=Endpoint.REPLAY, action=Action.SLOW, nth=1, seconds=1.5)
    duo.lab.misbehave(Misbehaviour(instructions=[slow]))
    handle = await duo.start()

    async def replaying() -> bool:
        return duo.lab.calls[Endpoint.REPLAY] == 1

    await until(replaying, "a replay")
    async with http_client(duo.lab.addresses.faults) as client:
        (name,) = (await client.get("/api/faults")).json()["data"]
        assert (await client.delete(f"/api/faults/{name}")).status_code == 200
    summary = await handle.result()
    await duo.lock_ended(handle)
    found = await outcomes(duo, summary)
    assert summary.verdict is Verdict.INCONCLUSIVE
    assert found[LEFT][0] is CaseOutcome.SKIPPED
    assert "was gone by the end of the replay" in found[LEFT][1]
    assert found[RIGHT][0] is CaseOutcome.MEASURED
    await nothing_stays(duo)


@pytest.mark.parametrize(
    "answer",
    mostly_exhaustive(
        [{"success": False, "error": {"code": "500", "message": "no pod"}}, {"success": True, "data": [{}]}]
    ),
    ids=["no", "nulls"],
)
async def test_a_failure_that_was_not_captured_costs_only_its_own_service(duo: Duo, answer: Any) -> None:
    """Its fault is removed, its cases are skipped with the reason, and the other service's cases are measured."""
    duo.lab.misbehave(first(Endpoint.REPLAY, answer, contains=f'"{LEFT}"'))
    summary = await duo.run()
    found = await outcomes(duo, summary)
    assert summary.verdict is Verdict.INCONCLUSIVE
    assert found[RIGHT][0] is CaseOutcome.MEASURED
    for case in (LEFT, "left+right"):
        assert found[case][0] is CaseOutcome.SKIPPED
        assert found[case][1].startswith("left has no captured failure: ")
    await nothing_stays(duo)


@pytest.mark.exhaustive
async def test_cases_of_a_service_that_heals_itself_are_invalid(duo: Duo) -> None:
    """Its pod is back while its fault is still on. It answers as if healthy, so its cases are not passed."""
    plan = duo.plan()
    experiment = {"scope": "pod", "target": "pod", "action": "delete", "matchers": {"labels": [f"app={LEFT}"]}}
    plan["services"][0] = {"name": LEFT, "fault": {"type": "restart", "experiment": experiment}}
    slow = Instruction(endpoint=Endpoint.REPLAY, action=Action.SLOW, nth=1, seconds=2)
    duo.lab.misbehave(Misbehaviour(instructions=[slow]))
    summary = await duo.run(plan)
    found = await outcomes(duo, summary)
    assert summary.verdict is Verdict.INCONCLUSIVE
    assert found[LEFT] == (CaseOutcome.INVALID, "the fault in left had no effect: it answered as if healthy")
    assert found["left+right"][0] is CaseOutcome.INVALID
    assert found[RIGHT][0] is CaseOutcome.MEASURED
    await nothing_stays(duo)
