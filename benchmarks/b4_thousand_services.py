"""A run with a thousand services and 500,501 cases.

The workflows and the Temporal server are real; the activities do nothing.

    .venv/bin/python -m benchmarks --only 4

`python -m benchmarks.b4_thousand_services 100` runs it with a hundred services, in a minute.
"""

from __future__ import annotations

import asyncio
import resource
import sys
import time
import uuid
from collections import defaultdict
from typing import Any

from temporalio.client import Client
from temporalio.worker import Worker

from benchmarks.support.frame import Row
from benchmarks.support.noop import Pretending, noop_activities
from benchmarks.support.weighing import LARGEST_PAYLOAD, MOST_EVENTS, Weight, history_weights
from clients.temporal.embedded import embedded_server
from clients.temporal.embedded_settings import DevServerSettings
from domain.cases.cases import case_at, case_count, cases_in
from domain.executions.windows import LockReport
from domain.measuring.load import CaseRange
from domain.names import WorkflowType, load_queue, lock_workflow_id
from domain.plans.environments import environment_in
from domain.plans.plan import Plan
from operations.processes.worker_process import private_bytecode_cache
from worker import WORKFLOWS, sandbox

TITLE = "A thousand services: orchestration alone"

SERVICES = 1_000
AT_ONCE = 8
_MIB = 1024 * 1024
_LONG_NAMES = "inventory-replication-{:04d}"


def plan_of(services: int) -> dict[str, Any]:
    """Return a minimal plan whose service names are as long as real ones."""
    names = [_LONG_NAMES.format(number) for number in range(services)]
    here = "http://127.0.0.1:18080"
    return {
        "holdfast": 1,
        "name": f"bench-{uuid.uuid4().hex[:8]}",
        "system": {
            "namespace": f"bench-{uuid.uuid4().hex[:8]}",
            "proxy": here,
            "faults": here,
            "services": {name: f"http://127.0.0.1:{20_000 + number}" for number, name in enumerate(names)},
        },
        "request": {"url": f"{here}/api/home"},
        "services": [{"name": name, "fault": "error"} for name in names],
        "load": {"requests": 1, "concurrency": AT_ONCE, "batches_at_once": AT_ONCE},
        "slo": {"p95": "1s"},
    }


def main(services: int = SERVICES) -> list[Row]:
    """Measure the arithmetic of cases, and one run."""
    with private_bytecode_cache():
        return [*_arithmetic(services), *asyncio.run(_run(services))]


def _arithmetic(services: int) -> list[Row]:
    names = [_LONG_NAMES.format(number) for number in range(services)]
    total = case_count(services)
    before = _peak()
    started = time.perf_counter()
    count = sum(1 for _ in cases_in(names, CaseRange(first=0, end=total)))
    seconds = time.perf_counter() - started
    assert count == total
    last = case_at(names, total - 1)
    assert last.services == names[-2:]
    grown = (_peak() - before) / _MIB
    note = f"{count:,} cases, each computed from its index; no list of them is kept"
    return [
        Row("cases computed from their index", f"{count / seconds / 1000:,.0f} thousand/s", note=note),
        Row("memory for iterating over all cases", f"{grown:.0f} MiB", aim="under 10 MiB", met=grown < 10),
    ]


async def _run(services: int) -> list[Row]:
    settings = DevServerSettings(port=0, ui_port=0, database_file="")
    async with embedded_server(settings, ui=False) as server:
        document = plan_of(services)
        activities, pretending = noop_activities(Plan.model_validate(document))
        queue = document["name"]
        common: dict[str, Any] = {"max_concurrent_activities": 100}
        async with (
            Worker(server.client, task_queue=queue, workflows=WORKFLOWS, activities=activities.control,
                   workflow_runner=sandbox(), **common),
            Worker(server.client, task_queue=load_queue(queue), activities=activities.load, **common),
        ):  # fmt: skip
            started = time.perf_counter()
            run = await server.client.start_workflow(
                WorkflowType.RESILIENCE_TEST, {"plan": document}, id=queue, task_queue=queue
            )
            await run.result()
            seconds = time.perf_counter() - started
            await _lock_ended(server.client, document)
            weights = [weight async for weight in history_weights(server.client, run)]
    return _rows(services, seconds, weights, pretending)


async def _lock_ended(client: Client, document: dict[str, Any]) -> None:
    lock_id = lock_workflow_id(environment_in(Plan.model_validate(document)), document["system"]["namespace"])
    await client.get_workflow_handle(lock_id, result_type=LockReport).result()


def _rows(services: int, seconds: float, weights: list[Weight], pretending: Pretending) -> list[Row]:
    assert set(pretending.seen) == {1}, "every case must be measured once"
    cases, events = len(pretending.seen), sum(history.events for history in weights)
    longest, largest = max(history.events for history in weights), max(history.largest_payload for history in weights)
    by_kind: dict[str, list[Weight]] = defaultdict(list)
    for weight in weights:
        by_kind[weight.kind].append(weight)
    worst = [max(group, key=lambda history: history.events) for group in by_kind.values()]
    shapes = "; ".join(
        f"{history.kind} {history.events:,} events, {history.size / _MIB:.1f} MiB, largest payload "
        f"{history.largest_payload / 1024:.0f} KiB ({len(by_kind[history.kind])} of them)"
        for history in worst
    )
    return [
        Row(f"run with {services:,} services, {cases:,} cases", f"{seconds:.0f} s",
            note=f"{cases / seconds:,.0f} cases/s, {AT_ONCE} batches at once, all in one process"),
        Row("events per case", f"{events / cases:.2f}", note=f"{events:,} events of {len(weights):,} workflows"),
        Row("longest history", f"{longest:,} events", longest / MOST_EVENTS, f"under {MOST_EVENTS:,}",
            longest < MOST_EVENTS, shapes),
        Row("largest payload", f"{largest / 1024:.0f} KiB", largest / LARGEST_PAYLOAD,
            f"under {LARGEST_PAYLOAD // 1024} KiB", largest < LARGEST_PAYLOAD),
        Row("memory of the process, workers included", f"{_peak() / _MIB:.0f} MiB"),
    ]  # fmt: skip


def _peak() -> int:
    """Return the peak memory of this process, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    for row in main(*(int(one) for one in sys.argv[1:])):
        print(row)
