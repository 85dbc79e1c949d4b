"""Measures what a run costs besides its requests, and how fast runs start beside many others.

The systems are generated, in three sizes. Server, lab and worker are separate processes, as in production. The ideal is
the time of all requests of the load test, divided by the plan's concurrency. The load test would take that long if
nothing but these requests took time.
"""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import dataclass

from benchmarks.support.frame import Row
from benchmarks.support.site import family, peak, site
from benchmarks.support.waiting import waiting_runs
from benchmarks.support.weighing import Weight, history_weights
from clients.store.packing import unpacked
from clients.store.store import Store
from domain.executions.windows import LockReport
from domain.measuring.percentiles import nearest_rank
from domain.names import STATUS_QUERY
from domain.resilience.model import Phase, ResilienceSummary
from domain.resilience.state import ResilienceState

TITLE = "What a run costs besides its requests"

REQUESTS = {5: 50, 20: 5, 100: 1}
"""Number of failing services, and requests per case. More services make more cases, so each case gets fewer."""

CONCURRENCY = 2
RUNNING, STARTS = 50, 100
START_AIM = 0.025
_MIB = 1024 * 1024


def main(sizes: dict[int, int] = REQUESTS) -> list[Row]:
    """Measure each size, and then the starts."""
    rows: list[Row] = []
    for services, requests in sizes.items():
        rows += asyncio.run(_measured(services, requests))
    return rows + asyncio.run(_starts())


@dataclass(frozen=True)
class Found:
    """Costs of one run."""

    services: int
    cases: int
    requests: int
    """Requests per case."""
    whole: float
    """Seconds from the request to start the run until its end."""
    load: float
    """Seconds of the load test. This phase includes the removal of the rules."""
    ideal: float
    """Seconds that the load test's requests alone take, at the plan's concurrency."""
    weights: list[Weight]
    memory: list[int]
    """Peak memory in bytes, of the control process and of the load process."""


async def _measured(services: int, requests: int) -> list[Row]:
    async with site(services, {"requests": requests, "concurrency": CONCURRENCY}) as environment:
        started = time.perf_counter()
        run = await environment.start("bench/run")
        summary: ResilienceSummary = await run.result()
        seconds = time.perf_counter() - started
        await environment.client.get_workflow_handle(environment.lock_id, result_type=LockReport).result()
        cases = summary.cases.total
        assert summary.cases.measured == cases
        found = Found(
            services=services,
            cases=cases,
            requests=requests,
            whole=seconds,
            load=load_seconds(await run.query(STATUS_QUERY, result_type=ResilienceState)),
            ideal=await _request_seconds(environment.store, summary.execution_id, cases) / CONCURRENCY,
            weights=[weight async for weight in history_weights(environment.client, run)],
            memory=[peak(pid) for pid in family(environment.worker.pid)],
        )
    return _rows(found)


async def _request_seconds(store: Store, execution_id: int, cases: int) -> float:
    """Return the sum of the times of all requests, in seconds."""
    stored = await store.samples.between(execution_id, 0, cases)
    return sum(latency for samples in stored for latency, _ in unpacked(samples.raw or b"")) / 1e6


def load_seconds(state: ResilienceState) -> float:
    """Return how long a run's load test took, in seconds."""
    (load,) = [phase for phase in state.phases if phase.phase is Phase.LOAD_TEST_BASELINE]
    assert load.finished_at is not None
    return (load.finished_at - load.started_at).total_seconds()


def _rows(found: Found) -> list[Row]:
    events = sum(weight.events for weight in found.weights)
    of = f"{found.services} services"
    control, *loads = (f"{size / _MIB:.0f} MiB" for size in found.memory)
    sent = f"{found.cases:,} cases; requests per case: {found.requests}; at once: {CONCURRENCY}"
    return [
        Row(f"{of}: load test over its ideal", f"{found.load:.1f} s", found.load / found.ideal,
            note=f"{sent}; ideal: {found.ideal:.1f} s. The load test includes the removal of the rules"),
        Row(f"{of}: whole run over the ideal of its load test", f"{found.whole:.1f} s", found.whole / found.ideal,
            note=f"it injects {found.services} faults, which wait for the lab's rollouts"),
        Row(f"{of}: events per case", f"{events / found.cases:.1f}",
            note=f"{events:,} events of {len(found.weights)} workflows"),
        Row(f"{of}: memory of the worker", f"{control}, load {', '.join(loads)}"),
    ]  # fmt: skip


async def _starts() -> list[Row]:
    """Measure how fast a run starts while many others are running.

    One of these holds the namespace. The others wait for it, which counts as running.
    """
    async with site(5, {"requests": 1, "concurrency": 1}) as environment:
        await waiting_runs(environment, RUNNING - 1)
        accepted, begun = [], []
        for number in range(STARTS):
            started = time.perf_counter_ns()
            run = await environment.start(f"bench/more-{number}", if_busy="wait")
            accepted.append((time.perf_counter_ns() - started) // 1000)
            await run.query(STATUS_QUERY, result_type=ResilienceState)
            begun.append((time.perf_counter_ns() - started) // 1000)
            await run.terminate()
    took, first = (nearest_rank(sorted(times), 0.95) / 1e6 for times in (accepted, begun))
    return [
        Row(f"start of a run beside {RUNNING} running ones, p95", f"{took * 1000:.1f} ms", took / START_AIM,
            f"{START_AIM * 1000:.0f} ms", took <= START_AIM, f"of {STARTS} starts, until the server has accepted each"),
        Row(f"first answer of a run beside {RUNNING} running ones, p95", f"{first * 1000:.1f} ms",
            note="until a worker has begun the run and answers the query `status`"),
    ]  # fmt: skip


if __name__ == "__main__":
    wanted = {int(one): REQUESTS.get(int(one), 1) for one in sys.argv[1:]}
    for row in main(wanted or REQUESTS):
        print(row)
