"""The steady state, and cases that a plan leaves out."""

from __future__ import annotations

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError

from domain.errors import ErrorCode
from domain.executions.execution import Recovery, RunFailure, Verdict
from domain.resilience.model import Phase
from lab import Action, Endpoint, Instruction, Misbehaviour
from tests.support.runs.bench import Bench, unseen
from tests.support.runs.steady import break_for_good, counters


@pytest.mark.parametrize(
    ("steady", "why"),
    [
        ({"body_contains": "no such words"}, "a body without steady_state.body_contains (3 of 3)"),
        ({"status": [204], "requests": 2}, "status 200, not 204 (2 of 2)"),
        ({"within": "1ms"}, "later than 1ms (3 of 3)"),
    ],
)
async def test_an_unhealthy_system_is_left_alone(bench: Bench, steady: dict[str, object], why: str) -> None:
    """Nothing is switched on, the reason states the measured value, and the namespace is free again."""
    handle = await bench.start(bench.small_plan(steady_state=steady))
    with pytest.raises(WorkflowFailureError) as raised:
        await handle.result()
    assert isinstance(raised.value.cause, ApplicationError)
    found = RunFailure.model_validate(raised.value.cause.details[0])
    assert (found.code, found.phase) == (ErrorCode.STEADY_STATE_NOT_MET, Phase.GENERATING_CASES)
    assert found.recovery is Recovery.NOT_NEEDED
    assert why in found.message
    report = await bench.lock_ended(handle)
    assert report is not None
    assert report.recovery_verified
    seen = await counters(bench)
    assert (seen["executes"], seen["upserts"]) == ({}, 0)
    assert not [row for row in await bench.store.ledger.of(report.execution_id) if row.kind != "lock"]


async def test_a_system_that_stays_unhealthy_is_not_recovered(bench: Bench) -> None:
    """Everything of ours is off and the request still fails, so run and lock both report recovery as unverified."""
    plan = bench.small_plan(timeouts={"stability": "3s"}, load={"requests": 60, "concurrency": 1})
    handle = await bench.start(plan)
    await bench.until_phase(handle, Phase.LOAD_TEST_BASELINE)
    await break_for_good(bench)
    summary = await handle.result()
    assert summary.recovery is Recovery.UNVERIFIED
    assert summary.verdict is Verdict.FAILED
    report = await bench.lock_ended(handle)
    assert report is not None
    assert not report.recovery_verified
    assert "nothing is on, but the steady state is not met: connect" in report.detail
    record = await bench.store.executions.row(summary.execution_id)
    assert record.recovery is Recovery.UNVERIFIED


@pytest.mark.exhaustive
async def test_a_steady_state_that_cannot_be_checked_afterwards_costs_no_verdict(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here the worker has lost a secret. Every case was measured, and recovery is unverified."""
    monkeypatch.setenv("HOLDFAST_SECRET_TEST", "t0ken")
    plan = bench.small_plan(timeouts={"stability": "3s"})
    plan["request"]["headers"] = {"Authorization": "Bearer ${env:HOLDFAST_SECRET_TEST}"}
    slow = Instruction(endpoint=Endpoint.FIXTURE_DELETE, action=Action.SLOW, seconds=1.5)
    bench.lab.misbehave(Misbehaviour(instructions=[slow]))
    handle = await bench.start(plan)
    await bench.until_state(handle, lambda state: state.load.cases_done == 4, "every case measured")
    monkeypatch.delenv("HOLDFAST_SECRET_TEST")
    summary = await handle.result()
    assert (summary.cases.measured, summary.recovery) == (4, Recovery.UNVERIFIED)
    state = await bench.status(handle)
    assert state is not None
    assert state.steady_after is not None
    assert "it could not be checked" in state.steady_after.detail
    assert "HOLDFAST_SECRET_TEST" in state.steady_after.detail
    report = await bench.lock_ended(handle)
    assert report is not None
    assert not report.recovery_verified


@pytest.mark.exhaustive
async def test_a_disabled_steady_state_check_sends_no_requests(bench: Bench) -> None:
    """Only the baseline's requests go without a header."""
    await bench.run(bench.small_plan(steady_state={"check": False}))
    assert (await counters(bench))["entry_baggage"][""] == 2


async def test_excluded_cases_are_not_measured_and_not_missed(bench: Bench) -> None:
    """They are skipped with the plan's reason, and the verdict does not wait for them."""
    pair = {"case": "shipping+reviews", "reason": "known to be too slow"}
    summary = await bench.run(bench.small_plan(exclude=[pair]))
    assert summary.verdict is Verdict.PASSED
    counts = summary.cases
    assert (counts.total, counts.measured, counts.skipped, counts.excluded) == (4, 3, 1, 1)
    results = {result.case_id: result for result in await bench.store.results.all(summary.execution_id)}
    assert results["reviews+shipping"].outcome == "skipped"
    assert results["reviews+shipping"].reason == "excluded by the plan: known to be too slow"
    assert results["reviews+shipping"].measurement is None
    tokens = "chaos.reviews.remove=1,chaos.shipping.error=1"
    assert (await counters(bench))["entry_baggage"].get(tokens, 0) == 0


@pytest.mark.exhaustive
async def test_a_service_without_remaining_cases_is_not_broken(bench: Bench) -> None:
    """The plan excludes its single case, and its partner was not reached: no fault, no rules, and a word on why."""
    bench.lab.misbehave(unseen("shipping"))
    handle = await bench.start(bench.small_plan(exclude=["reviews"]))
    summary = await handle.result()
    await bench.lock_ended(handle)
    seen = await counters(bench)
    assert (seen["executes"], seen["upserts"]) == ({}, 0)
    assert (summary.verdict, summary.cases.measured, summary.cases.skipped) == (Verdict.INCONCLUSIVE, 1, 3)
    results = {result.case_id: result.reason for result in await bench.store.results.all(summary.execution_id)}
    assert results["reviews"] == "excluded by the plan"
    assert "no traffic of shipping" in results["reviews+shipping"]
    state = await bench.status(handle)
    assert state is not None
    assert ["not broken" in row.error for row in state.injections] == [True, False]
