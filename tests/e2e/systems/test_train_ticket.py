"""The whole plan on the lab's train-ticket system: 172 cases, and every verdict as planted."""

from __future__ import annotations

import itertools

import pytest

from domain.executions.execution import Recovery, RunStatus, Verdict
from domain.measuring.load import CaseOutcome
from tests.support.lab.planted import FATAL, PAIRS, failing_cases
from tests.support.runs.bench import Bench
from tests.support.runs.train_ticket import plan_for, train_ticket

__all__ = ["train_ticket"]


@pytest.mark.exhaustive
@pytest.mark.timeout(900)
async def test_every_verdict_is_as_planted(train_ticket: Bench) -> None:
    """Eighteen real faults and 172 measured cases. Exactly the planted cases fail, and nothing is left on."""
    plan = plan_for(train_ticket)
    # Just below the cost of two unhurried back-offs.
    plan["slo"]["p95"] = "3500ms"
    # Longer than unhurried callers wait for a service that is really delayed, some of them in sequence.
    plan["request"]["timeout"] = "2m"
    summary = await train_ticket.run(plan)

    results = {result.case_id: result for result in await train_ticket.store.results.all(summary.execution_id)}
    services = [service["name"] for service in plan["services"]]
    pairs = {"+".join(sorted(pair)) for pair in itertools.combinations(services, 2)}
    assert set(results) == {"baseline", *services, *pairs}
    assert len(results) == 172
    assert {case: result.reason for case, result in results.items() if result.outcome is not CaseOutcome.MEASURED} == {}
    failed = {case for case, result in results.items() if result.verdict is Verdict.FAILED}
    assert failed == failing_cases(services, FATAL, PAIRS)
    assert len(failed) == 27
    assert (summary.verdict, summary.status) == (Verdict.FAILED, RunStatus.COMPLETED)
    assert summary.recovery is Recovery.VERIFIED
    assert train_ticket.lab.state().clean
