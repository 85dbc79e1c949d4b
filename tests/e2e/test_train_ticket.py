"""The whole plan on the lab's train-ticket system: 172 cases, and every verdict as planted."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from temporalio.client import Client

from cli.pointing import point_at
from lab import Lab, PortChoice
from tests.e2e.bench import ROOT, Bench, unhurried_example
from tests.e2e.conftest import QUICK
from tests.lab.planted import FATAL, PAIRS, failing_cases
from worker import running
from workflows.contracts.execution import Recovery, RunStatus, Verdict
from workflows.contracts.load import CaseOutcome


@pytest.fixture
async def train_ticket(temporal: Client, tmp_path: Path) -> AsyncIterator[Bench]:
    """Train-ticket, a store, and a worker in this process."""
    async with Lab(unhurried_example("train-ticket"), settings=QUICK, ports=PortChoice.FREE) as lab:
        bench = Bench(temporal, lab, tmp_path)
        async with running(temporal, bench.settings), bench:
            yield bench


def plan_for(bench: Bench) -> dict[str, Any]:
    document = yaml.safe_load((ROOT / "examples" / "train-ticket.yaml").read_text())
    plan: dict[str, Any] = point_at(document, bench.lab.addresses)
    plan["name"] = bench.name
    return plan


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
