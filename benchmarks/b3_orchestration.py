"""What a run costs beside its requests, on generated systems of three sizes; how fast runs start beside many others.

Server, lab and worker are processes of their own, as in production. The ideal is the time of all requests of the load
test over the plan's concurrency: what it would take if nothing but sending them took time.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from temporalio.client import Client
from temporalio.service import RPCError

from benchmarks.frame import Row
from benchmarks.weighing import Weight, weighed
from cli.connection import connected
from cli.processes import Child
from clients.store.packing import unpacked
from clients.store.store import Store
from lab import LabAddresses
from lab.generate import Generated, generate_topology
from lab.graphs import Shape
from lab.plan_for import plan_for
from workflows.contracts.execution import Phase, RunSummary
from workflows.contracts.status import RunState
from workflows.contracts.windows import LockReport
from workflows.logic.percentiles import nearest_rank
from workflows.names import STATUS_QUERY, WorkflowType, lock_workflow_id

TITLE = "What a run costs beside its requests"

REQUESTS = {5: 50, 20: 5, 100: 1}
"""Services that fail, and requests of each case: with more services there are more cases."""

CONCURRENCY = 2
RUNNING, STARTS = 50, 100
START_AIM = 0.025
PATIENCE = 120.0
_MIB = 1024 * 1024
_SEED = 3


@dataclass(frozen=True)
class Site:
    """Server, lab and worker, running."""

    client: Client
    plan: dict[str, Any]
    store: Store
    queue: str
    worker: Child

    async def start(self, workflow_id: str, **more: Any) -> Any:
        """A run of the plan."""
        return await self.client.start_workflow(
            WorkflowType.RESILIENCE_TEST,
            {"plan": self.plan} | more,
            id=workflow_id,
            task_queue=self.queue,
            result_type=RunSummary,
        )

    @property
    def lock_id(self) -> str:
        """Of its namespace."""
        return lock_workflow_id(self.plan["system"]["environment"], self.plan["system"]["namespace"])


def main(sizes: dict[int, int] = REQUESTS) -> list[Row]:
    """Rows for each size, and for starts."""
    rows: list[Row] = []
    for services, requests in sizes.items():
        rows += asyncio.run(_measured(services, requests))
    return rows + asyncio.run(_starts())


@asynccontextmanager
async def site(services: int, load: dict[str, Any]) -> AsyncIterator[Site]:
    """A generated system with so many services behind its entry."""
    system = generate_topology(Shape.LAYERED, services + 1, _SEED, weaknesses=0)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="holdfast-bench-")))
        environment = _environment(folder)

        async def start(name: str, *arguments: str) -> Child:
            child = await Child.start(name, *arguments, folder=folder, environment=environment)
            stack.push_async_callback(child.stop)
            return child

        server = await start("server", "server", "--json", "--no-ui", "--database", str(folder / "temporal.db"))
        shape = f"{Shape.LAYERED.value}:{services + 1}"
        made = ("--generate", shape, "--seed", str(_SEED), "--weaknesses", "0")
        lab = await start("lab", "lab", "--json", "--free-ports", *made)
        environment["TEMPORAL_ADDRESS"] = (await server.ready(PATIENCE))["address"]
        addresses = LabAddresses.model_validate(await lab.ready(PATIENCE))
        store = await Store.open(environment["HOLDFAST_DATABASE_URL"])
        stack.push_async_callback(store.close)
        client = await connected(environment["TEMPORAL_ADDRESS"])
        worker = await start("worker", "worker")
        plan = _plan(system, addresses, load)
        yield Site(client, plan, store, environment["HOLDFAST_TASK_QUEUE"], worker)


def _environment(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TEMPORAL_", "HOLDFAST_"))}
    (folder / "temporal.toml").touch()
    return kept | {
        "TEMPORAL_CONFIG_FILE": str(folder / "temporal.toml"),
        "HOLDFAST_DATABASE_URL": f"sqlite+aiosqlite:///{folder / 'holdfast.db'}",
        "HOLDFAST_TIMING": "fast",
        "HOLDFAST_TASK_QUEUE": "holdfast-bench",
        "HOLDFAST_SWEEPER": "false",
    }


def _plan(system: Generated, addresses: LabAddresses, load: dict[str, Any]) -> dict[str, Any]:
    plan = plan_for(system.topology, addresses)
    # A delay would be waited for at each injection: it is no cost of ours.
    plan["services"] = [{"name": one["name"], "fault": "error"} for one in plan["services"]]
    return plan | {"load": load}


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
            memory=[_peak(pid) for pid in _family(at.worker.pid)],
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
    async with site(5, {"requests": 1_000_000, "concurrency": 1}) as at:
        runs = [await at.start("bench/0")]
        await _until_held(at)
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
    took, first = (nearest_rank(sorted(times), 95) / 1e6 for times in (accepted, begun))
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


def _family(pid: int) -> list[int]:
    """A process and its children; on Linux, where the figures are taken."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    return [pid, *(int(one) for one in (children.read_text().split() if children.exists() else []))]


def _peak(pid: int) -> int:
    """Bytes that a process ever had in memory."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


if __name__ == "__main__":
    wanted = {int(one): REQUESTS.get(int(one), 1) for one in sys.argv[1:]}
    for row in main(wanted or REQUESTS):
        print(row)
