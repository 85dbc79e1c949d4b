"""Several load workers and one run: its batches are shared, its limits hold for all of them, nothing is done twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHandle

from domain.cases.cases import BATCH_SIZE, case_at
from domain.executions.execution import RunSummary
from domain.measuring.load import Case
from domain.names import WorkflowType
from lab import Lab, PortChoice
from lab.generate import generate_topology
from lab.graphs import Shape
from lab.plan_for import plan_for
from tests.support.leaks.stages import workflows_of
from tests.support.runs.bench import STEADY_REQUESTS, Bench, until
from tests.support.runs.fixtures import QUICK
from tests.support.runs.turnstile import Turnstile, turnstile

REQUESTS, CONCURRENCY, BEHIND = 6, 2, 9
CASES = 1 + BEHIND + BEHIND * (BEHIND - 1) // 2
ONE_EACH = {"HOLDFAST_LOAD_AT_ONCE": "1"}
"""So that two batches at once are with two workers."""

Run = WorkflowHandle[Any, RunSummary]


@pytest.fixture
async def bench(temporal: Client, tmp_path: Path) -> AsyncIterator[Bench]:
    """A system whose cases are three batches, and a worker that leaves measuring to others."""
    topology, _ = generate_topology(Shape.STAR, BEHIND + 1, seed=1, weaknesses=0)
    async with Lab(topology, settings=QUICK, ports=PortChoice.FREE) as lab:
        bench = Bench(temporal, lab, tmp_path)
        async with bench:
            await bench.worker(only="control")
            yield bench


@pytest.fixture
async def gate(bench: Bench) -> AsyncIterator[Turnstile]:
    """Before the system's entry."""
    async with turnstile(bench.lab.addresses.entry) as counting:
        yield counting


def plan_of(bench: Bench, gate: Turnstile) -> dict[str, Any]:
    """Every service but the entry answers with errors; two batches at once."""
    plan = plan_for(bench.lab.topology, bench.lab.addresses) | {"name": bench.name}
    plan["services"] = [{"name": one["name"], "fault": "error"} for one in plan["services"]]
    plan["request"]["url"] = plan["request"]["url"].replace(bench.lab.addresses.entry, gate.url)
    plan["load"] = {"requests": REQUESTS, "concurrency": CONCURRENCY, "batches_at_once": 2}
    return plan


async def pages_of(bench: Bench, run: Run) -> list[WorkflowHandle[Any, Any]]:
    """The pages of its load test."""
    return [child async for kind, child in workflows_of(bench.temporal, run) if kind == WorkflowType.LOAD_PAGE]


async def measured_by(bench: Bench, run: Run) -> Counter[str]:
    """Batches, by who ended them."""
    found: Counter[str] = Counter()
    for page in await pages_of(bench, run):
        async for event in page.fetch_history_events():
            if event.HasField("activity_task_started_event_attributes"):
                found[event.activity_task_started_event_attributes.identity] += 1
    return found


def load_requests(gate: Turnstile) -> dict[str, int]:
    """Requests by baggage header that the load test sent: without those that the run sent for other purposes."""
    # The analysis' request alone has the marker in its baggage; the steady state's have no baggage, as the baseline's.
    cases = {header: count for header, count in gate.begun.items() if not header or header.startswith("chaos.")}
    return cases | {"": cases[""] - STEADY_REQUESTS}


async def test_two_load_workers_share_a_run(bench: Bench, gate: Turnstile) -> None:
    """Both measure, each request is sent once, and together they never send more at once than the plan says."""
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


async def test_a_load_worker_killed_amid_its_batch_costs_one_case(bench: Bench, gate: Turnstile) -> None:
    """The other one takes its batch over, after the last case that was stored; its own goes on as if nothing were."""
    plan = plan_of(bench, gate)
    names = sorted(one["name"] for one in plan["services"])
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
    # With two requests in flight for two batches, each has one: that of the killed worker is sent again.
    sent = load_requests(gate)
    again = [header for header, count in sent.items() if count != REQUESTS]
    assert len(sent) == CASES
    assert len(again) == 1
    assert again[0] in gate.holding
    assert sent[again[0]] == REQUESTS + 1
    assert gate.most == CONCURRENCY
    # The history has the last attempt of each batch: all of them are the survivor's, but for what the other one ended.
    assert sum((await measured_by(bench, run)).values()) == 3
    results = await bench.store.results(summary.execution_id)
    assert [one.measurement.requests for one in results if one.measurement] == [REQUESTS] * CASES


def baggage(case: Case) -> str:
    """The header that selects the failures of a case."""
    return ",".join(f"chaos.{service}.error=1" for service in case.services)
