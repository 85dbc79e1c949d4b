"""The whole plan on the lab's train-ticket system: 172 cases, and every verdict as planted."""

from __future__ import annotations

import itertools

import pytest

from domain.executions.execution import Recovery, RunStatus, Verdict
from domain.measuring.load import CaseOutcome
from tests.support.lab.planted import FATAL, PAIRS, failing_cases
from tests.support.runs.bench import Bench
from tests.support.runs.train_ticket import plan_for


@pytest.mark.exhaustive
@pytest.mark.timeout(900)
async def test_every_verdict_is_as_planted(train_ticket: Bench) -> None:
    """Eighteen real faults and 172 measured cases: those fail that were planted, no other, and nothing is left on."""
    plan = plan_for(train_ticket)
    # Just under what two of the unhurried back-offs cost.
    plan["slo"]["p95"] = "3500ms"
    # Longer than unhurried callers wait for a service that is really delayed, some of them one after the other.
    plan["request"]["timeout"] = "2m"
    summary = await train_ticket.run(plan)

    results = {one.case_id: one for one in await train_ticket.store.results(summary.execution_id)}
    services = [one["name"] for one in plan["services"]]
    pairs = {"+".join(sorted(pair)) for pair in itertools.combinations(services, 2)}
    assert set(results) == {"baseline", *services, *pairs}
    assert len(results) == 172
    assert {case: one.reason for case, one in results.items() if one.outcome is not CaseOutcome.MEASURED} == {}
    failed = {case for case, one in results.items() if one.verdict is Verdict.FAILED}
    assert failed == failing_cases(services, FATAL, PAIRS)
    assert len(failed) == 27
    assert (summary.verdict, summary.status) == (Verdict.FAILED, RunStatus.COMPLETED)
    assert summary.recovery is Recovery.VERIFIED
    assert train_ticket.lab.state().clean
