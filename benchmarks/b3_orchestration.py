"""What a run costs beside its requests, on generated systems of three sizes; how fast runs start beside many others.

Server, lab and worker are processes of their own, as in production. The ideal is the time of all requests of the load
test over the plan's concurrency: what it would take if nothing but sending them took time.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from temporalio.service import RPCError

from benchmarks.frame import Row
from benchmarks.site import PATIENCE, Site, family, peak, site
from benchmarks.weighing import Weight, weighed
from clients.store.packing import unpacked
from clients.store.store import Store
from domain.executions.execution import Phase, RunSummary
from domain.executions.status import RunState
from domain.executions.windows import LockReport
from domain.measuring.percentiles import nearest_rank
from domain.names import PAUSE_UPDATE, STATUS_QUERY

TITLE = "What a run costs beside its requests"

REQUESTS = {5: 50, 20: 5, 100: 1}
"""Services that fail, and requests of each case: with more services there are more cases."""

CONCURRENCY = 2
RUNNING, STARTS = 50, 100
START_AIM = 0.025
_MIB = 1024 * 1024


def main(sizes: dict[int, int] = REQUESTS) -> list[Row]:
    """Rows for each size, and for starts."""
    rows: list[Row] = []
    for services, requests in sizes.items():
        rows += asyncio.run(_measured(services, requests))
    return rows + asyncio.run(_starts())


@dataclass(frozen=True)
class Found:
    """What one run took."""

    services: int
    cases: int
    requests: int
    """Of each case."""
    whole: float
    """Seconds, from asking for the run until it has ended."""
    load: float
    """Seconds of its load test; the rules' removal is part of that phase."""
    ideal: float
    """Seconds that the load test's requests take, as many at once as the plan says."""
    weights: list[Weight]
    memory: list[int]
    """Bytes at most, of control and of load."""


async def _measured(services: int, requests: int) -> list[Row]:
    async with site(services, {"requests": requests, "concurrency": CONCURRENCY}) as at:
        started = time.perf_counter()
        run = await at.start("bench/run")
        summary: RunSummary = await run.result()
        seconds = time.perf_counter() - started
        await at.client.get_workflow_handle(at.lock_id, result_type=LockReport).result()
        cases = summary.cases.total
        assert summary.cases.measured == cases
        found = Found(
            services=services,
            cases=cases,
            requests=requests,
            whole=seconds,
            load=_load_seconds(await run.query(STATUS_QUERY, result_type=RunState)),
            ideal=await _request_seconds(at.store, summary.execution_id, cases) / CONCURRENCY,
            weights=[weight async for weight in weighed(at.client, run)],
            memory=[peak(pid) for pid in family(at.worker.pid)],
        )
    return _rows(found)


async def _request_seconds(store: Store, execution_id: int, cases: int) -> float:
    """The time of all requests together."""
    stored = await store.samples_in(execution_id, 0, cases)
    return sum(latency for one in stored for latency, _ in unpacked(one.raw or b"")) / 1e6


def _load_seconds(state: RunState) -> float:
    (load,) = [one for one in state.phases if one.phase is Phase.LOAD_TEST_BASELINE]
    assert load.finished_at is not None
    return (load.finished_at - load.started_at).total_seconds()


def _rows(found: Found) -> list[Row]:
    events = sum(one.events for one in found.weights)
    of = f"{found.services} services"
    control, *others = (f"{one / _MIB:.0f} MiB" for one in found.memory)
    sent = f"{found.cases:,} cases of {found.requests}, {CONCURRENCY} at once: ideal {found.ideal:.1f} s"
    return [
        Row(f"{of}: load test over its ideal", f"{found.load:.1f} s", found.load / found.ideal,
            note=f"{sent}; the rules are removed in it"),
        Row(f"{of}: whole run over the ideal of its load test", f"{found.whole:.1f} s", found.whole / found.ideal,
            note=f"with {found.services} faults, which wait for the lab's rollouts"),
        Row(f"{of}: events per case", f"{events / found.cases:.1f}",
            note=f"{events:,} events of {len(found.weights)} workflows"),
        Row(f"{of}: memory of the worker", f"{control}, load {', '.join(others)}"),
    ]  # fmt: skip


async def _starts() -> list[Row]:
    """Runs that wait for a namespace are running, too: one holds it, the others have come that far."""
    async with site(5, {"requests": 1, "concurrency": 1}) as at:
        runs = [await at.start("bench/0")]
        await _until_held(at)
        # What is measured is the start, not the load of another run.
        await runs[0].execute_update(PAUSE_UPDATE)
        runs += [await at.start(f"bench/{number}", if_busy="wait") for number in range(1, RUNNING)]
        for run in runs[1:]:
            await _until_waiting(run)
        accepted, begun = [], []
        for number in range(STARTS):
            started = time.perf_counter_ns()
            run = await at.start(f"bench/more-{number}", if_busy="wait")
            accepted.append((time.perf_counter_ns() - started) // 1000)
            await run.query(STATUS_QUERY, result_type=RunState)
            begun.append((time.perf_counter_ns() - started) // 1000)
            await run.terminate()
    took, first = (nearest_rank(sorted(times), 0.95) / 1e6 for times in (accepted, begun))
    return [
        Row(f"start of a run with {RUNNING} running, p95", f"{took * 1000:.1f} ms", took / START_AIM,
            f"{START_AIM * 1000:.0f} ms", took <= START_AIM, f"of {STARTS}: until the server has taken it"),
        Row(f"until its first answer with {RUNNING} running, p95", f"{first * 1000:.1f} ms",
            note="until a worker has begun it and answers the query `status`"),
    ]  # fmt: skip


async def _until_held(at: Site) -> None:
    """Wait until the namespace has a holder."""
    lock = at.client.get_workflow_handle(at.lock_id)

    async def held() -> bool:
        try:
            await lock.describe()
        except RPCError:
            return False
        return True

    await _until(held)


async def _until_waiting(run: Any) -> None:
    """Wait until a run waits for the namespace."""

    async def waiting() -> bool:
        state: RunState = await run.query(STATUS_QUERY, result_type=RunState)
        return bool(state.waiting_for)

    await _until(waiting)


async def _until(look: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await look():  # noqa: ASYNC110 - what another process does has no event
            await asyncio.sleep(0.05)


if __name__ == "__main__":
    wanted = {int(one): REQUESTS.get(int(one), 1) for one in sys.argv[1:]}
    for row in main(wanted or REQUESTS):
        print(row)
