"""Several load workers share the batches of one run, keep its limits together, and do nothing twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHandle

from domain.cases.cases import BATCH_SIZE, case_at
from domain.measuring.load import Case
from domain.names import WorkflowType
from domain.resilience.model import ResilienceSummary
from lab import Lab, PortChoice
from lab.generated.generate import generate_topology
from lab.generated.graphs import Shape
from lab.generated.plan_for import plan_for
from tests.support.leaks.stages import workflows_of
from tests.support.runs.bench import STEADY_REQUESTS, Bench, until
from tests.support.runs.fixtures import QUICK
from tests.support.runs.turnstile import Turnstile, turnstile

REQUESTS, CONCURRENCY, BEHIND = 6, 2, 9
CASES = 1 + BEHIND + BEHIND * (BEHIND - 1) // 2
ONE_EACH = {"HOLDFAST_LOAD_AT_ONCE": "1"}
"""Gives two batches at once to two workers."""

Run = WorkflowHandle[Any, ResilienceSummary]


@pytest.fixture
async def bench(temporal: Client, tmp_path: Path) -> AsyncIterator[Bench]:
    """System whose cases are three batches. Its worker leaves measuring to others."""
    topology, _ = generate_topology(Shape.STAR, BEHIND + 1, seed=1, weaknesses=0)
    async with Lab(topology, settings=QUICK, ports=PortChoice.FREE) as lab:
        bench = Bench(temporal, lab, tmp_path)
        async with bench:
            await bench.worker(only="control")
            yield bench


@pytest.fixture
async def gate(bench: Bench) -> AsyncIterator[Turnstile]:
    """Turnstile before the system's entry."""
    async with turnstile(bench.lab.addresses.entry) as counting:
        yield counting


def plan_of(bench: Bench, gate: Turnstile) -> dict[str, Any]:
    """Return a plan that measures two batches at once.

    Every service but the entry answers with errors.
    """
    plan = plan_for(bench.lab.topology, bench.lab.addresses) | {"name": bench.name}
    plan["services"] = [{"name": service["name"], "fault": "error"} for service in plan["services"]]
    plan["request"]["url"] = plan["request"]["url"].replace(bench.lab.addresses.entry, gate.url)
    plan["load"] = {"requests": REQUESTS, "concurrency": CONCURRENCY, "batches_at_once": 2}
    return plan


async def pages_of(bench: Bench, run: Run) -> list[WorkflowHandle[Any, Any]]:
    """Return the pages of the run's load test."""
    return [child async for kind, child in workflows_of(bench.temporal, run) if kind == WorkflowType.LOAD_PAGE]


async def measured_by(bench: Bench, run: Run) -> Counter[str]:
    """Count batches by the worker that ended them."""
    found: Counter[str] = Counter()
    for page in await pages_of(bench, run):
        async for event in page.fetch_history_events():
            if event.HasField("activity_task_started_event_attributes"):
                found[event.activity_task_started_event_attributes.identity] += 1
    return found


def load_requests(gate: Turnstile) -> dict[str, int]:
    """Count the load test's requests by baggage header.

    Those that the run sent for other purposes are left out.
    """
    # Only the analysis has the marker in its baggage. Steady-state requests have no baggage, like the baseline's.
    cases = {header: count for header, count in gate.begun.items() if not header or header.startswith("chaos.")}
    return cases | {"": cases[""] - STEADY_REQUESTS}


async def test_two_load_workers_share_a_run(bench: Bench, gate: Turnstile) -> None:
    """Both measure, each request is sent once, and together they never exceed the plan's concurrency."""
    for _ in range(2):
        await bench.worker(only="load", **ONE_EACH)
    run = await bench.start(plan_of(bench, gate))
    summary = await run.result()
    await bench.lock_ended(run)
    assert summary.cases.measured == CASES
    assert load_requests(gate) == dict.fromkeys(load_requests(gate), REQUESTS)
    assert len(load_requests(gate)) == CASES
    assert gate.most == CONCURRENCY
    by = await measured_by(bench, run)
    assert len(by) == 2
    assert sum(by.values()) == 3


@pytest.mark.exhaustive
async def test_a_load_worker_killed_mid_batch_costs_one_case(bench: Bench, gate: Turnstile) -> None:
    """The other worker takes over the batch after its last stored case. Its own batch goes on undisturbed."""
    plan = plan_of(bench, gate)
    names = sorted(service["name"] for service in plan["services"])
    # In the middle of the second batch, and of the third.
    gate.holding = {baggage(case_at(names, index)) for index in (BATCH_SIZE + 4, 2 * BATCH_SIZE + 4)}
    workers = [await bench.worker(only="load", **ONE_EACH) for _ in range(2)]
    run = await bench.start(plan)

    async def both_measure() -> bool:
        return gate.held.keys() == gate.holding

    await until(both_measure, "two batches at once")
    workers[0].kill()
    await workers[0].wait()
    gate.opened.set()
    summary = await run.result()
    await bench.lock_ended(run)
    assert summary.cases.measured == CASES
    # Two requests are in flight for two batches, one each. The killed worker's request is sent again.
    sent = load_requests(gate)
    again = [header for header, count in sent.items() if count != REQUESTS]
    assert len(sent) == CASES
    assert len(again) == 1
    assert again[0] in gate.holding
    assert sent[again[0]] == REQUESTS + 1
    assert gate.most == CONCURRENCY
    # The history has the last attempt of each batch: the survivor's, except for batches that the killed worker ended.
    assert sum((await measured_by(bench, run)).values()) == 3
    results = await bench.store.results.all(summary.execution_id)
    assert [result.measurement.requests for result in results if result.measurement] == [REQUESTS] * CASES


def baggage(case: Case) -> str:
    """Return the header that selects the failures of a case."""
    return ",".join(f"chaos.{service}.error=1" for service in case.services)
