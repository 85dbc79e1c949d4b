"""Metrics of a worker, scraped while a run goes on and after it, beside what the store says."""

from __future__ import annotations

import random
import re
import socket
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from typing import NamedTuple

from httpx import TransportError

from domain.cases.cases import case_count
from domain.executions.execution import RunStatus
from domain.executions.windows import WindowKind
from domain.resilience.kind import KIND
from lab import Action, Endpoint, Instruction, Misbehaviour
from tests.support.http import http_client
from tests.support.paths import ROOT
from tests.support.runs.bench import Bench, until

SLOW_REPLAY = Misbehaviour(instructions=[Instruction(endpoint=Endpoint.REPLAY, action=Action.SLOW, seconds=2.5)])
"""Holds a run for a while with a fault on."""

_SAMPLE = re.compile(r"(?P<name>[a-z_0-9]+)(?:\{(?P<labels>[^}]*)\})? (?P<value>\S+)")
_LABEL = re.compile(r'([a-z_]+)="([^"]*)"')


class Sample(NamedTuple):
    """One line of a scrape."""

    name: str
    labels: Mapping[str, str]
    value: float


def samples(text: str) -> list[Sample]:
    found = [_SAMPLE.fullmatch(line) for line in text.splitlines() if not line.startswith("#")]
    return [Sample(one["name"], dict(_LABEL.findall(one["labels"] or "")), float(one["value"])) for one in found if one]


def total(scraped: list[Sample], name: str, **labels: str) -> float:
    return sum(one.value for one in scraped if one.name == name and labels.items() <= one.labels.items())


def free_ports(number: int) -> int:
    """Return the first of so many neighbouring ports that are free.

    Below those that the system hands out: a connection of another test would take one before the worker does.
    """
    while True:
        port = random.randrange(20_000, 30_000)  # noqa: S311 - a port, not a secret
        with ExitStack() as stack:
            try:
                for offset in range(number):
                    stack.enter_context(socket.socket()).bind(("127.0.0.1", port + offset))
            except OSError:
                continue
            return port


async def test_metrics_equal_what_the_store_says(idle_bench: Bench) -> None:
    """Of both processes of a worker: its control process, and the one that sends load, on the next port.

    The run also shows that both are ready, and have the slots that the settings give them.
    """
    bench, port = idle_bench, free_ports(4)
    slots = {"HOLDFAST_ACTIVITIES_AT_ONCE": "37", "HOLDFAST_WORKFLOWS_AT_ONCE": "23"}
    await bench.worker(HOLDFAST_METRICS=str(port), HOLDFAST_HEALTH=str(port + 2), **slots)

    async def scrape(where: int) -> list[Sample]:
        async with http_client() as client:
            return samples((await client.get(f"http://127.0.0.1:{where}/metrics")).text)

    run = await bench.start(bench.small_plan())

    async def fault_seen() -> bool:
        try:
            return total(await scrape(port), "holdfast_windows_open", kind="fault") == 1
        except TransportError:  # The worker is still starting.
            return False

    bench.lab.misbehave(SLOW_REPLAY)
    await until(fault_seen, "an open fault in the metrics")
    during = await scrape(port)
    assert total(during, "holdfast_executions_active", kind=KIND.name) == 1
    for worker, number in (("ActivityWorker", 37), ("WorkflowWorker", 23)):
        slots_of = {"worker_type": worker}
        free = total(during, "temporal_worker_task_slots_available", **slots_of)
        assert free + total(during, "temporal_worker_task_slots_used", **slots_of) == number
    async with http_client() as client:
        for part in (port + 2, port + 3):
            ready = await client.get(f"http://127.0.0.1:{part}/ready")
            assert (ready.status_code, ready.json()) == (200, {"ready": True})
            assert (await client.get(f"http://127.0.0.1:{part}/live")).status_code == 200
    bench.lab.misbehave(Misbehaviour())
    summary = await run.result()
    await bench.lock_ended(run)
    control, load = await scrape(port), await scrape(port + 1)

    assert total(control, "holdfast_executions_started_total", kind=KIND.name) == 1
    ended = {"kind": KIND.name, "status": RunStatus.COMPLETED.value, "verdict": "passed", "recovery": "verified"}
    assert total(control, "holdfast_executions_ended_total", **ended) == 1
    results = await bench.store.results.all(summary.execution_id)
    assert len(results) == case_count(2)
    for (outcome, verdict), number in Counter((one.outcome, one.verdict) for one in results).items():
        counted = total(control, "holdfast_cases_total", outcome=outcome.value, verdict=str(verdict or "none"))
        assert counted == number
    sent = sum(one.measurement.requests for one in results if one.measurement)
    assert total(load, "holdfast_requests_total") == sent > 0
    assert total(control, "holdfast_requests_total") == 0
    windows = Counter(row.kind for row in await bench.store.ledger.of(summary.execution_id))
    for kind, number in windows.items():
        assert total(control, "holdfast_windows_ended_total", kind=kind.value, state="closed") == number
    phases = await bench.store.progress.phases(summary.execution_id)
    for phase, _ in phases:
        assert total(control, "holdfast_phase_duration_seconds_count", phase=phase.value) == 1
    assert total(control, "holdfast_execution_duration_seconds_count") == 1
    for window, kind in (("FaultWindow", WindowKind.FAULT), ("RulesWindow", WindowKind.RULES)):
        closed = total(control, "holdfast_recovery_duration_seconds_count", window=window, verified="true")
        assert closed == windows[kind]
    # The SDK's own, from the same endpoint.
    assert total(control, "temporal_workflow_completed_total") > 0
    scraped = {one.name for one in [*control, *load]}
    assert named_in("examples/monitoring/dashboard.json") | named_in("examples/monitoring/alerts.yaml") <= scraped
    ours = {re.sub("_(bucket|sum|count)$", "", name) for name in scraped if name.startswith("holdfast_")}
    assert named_in("docs/monitoring.md") == ours


def named_in(file: str) -> set[str]:
    """Return the metrics that a file for operators names."""
    text = (ROOT / file).read_text(encoding="utf-8")
    names = set(re.findall(r"\b(?:holdfast|temporal)_[a-z_]+\b", text))
    assert len(names) > 3
    return names
