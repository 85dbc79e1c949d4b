"""Measures what metrics, traces and encryption cost a run, beside the same run without them.

The system is the smallest one of benchmark 3. Runs take turns, so that whatever else the machine does hits all alike.
"""

from __future__ import annotations

import asyncio
import base64
import os
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from statistics import median
from typing import NamedTuple

from benchmarks.b3_orchestration import CONCURRENCY, REQUESTS, load_seconds
from benchmarks.support.frame import Row
from benchmarks.support.site import family, processor_seconds, site
from clients.http.reader import Limits, NoAnswerError, fetch
from domain.executions.windows import LockReport
from domain.names import STATUS_QUERY
from domain.resilience.state import ResilienceState

TITLE = "What metrics, traces and encryption cost"

SERVICES = min(REQUESTS)
ROUNDS = 5
SCRAPE_EVERY = 5.0
"""Seconds between two scrapes of a process."""
AIM = 1.03

_PLAIN = "neither"
_LARGEST_SCRAPE = 16 * 1024 * 1024


class Cost(NamedTuple):
    """What one run took."""

    load: float
    """Seconds of the load test."""
    processor: float
    """Seconds of processor time of the worker's processes, from their start."""


def main(rounds: int = ROUNDS) -> list[Row]:
    """Measure every way to run, in turns."""
    return asyncio.run(_main(rounds))


async def _main(rounds: int) -> list[Row]:
    costs: dict[str, list[Cost]] = {}
    async with _sink() as receiver:
        for _ in range(rounds):
            for name, settings in _ways(receiver).items():
                costs.setdefault(name, []).append(await _run(settings))
    return [row for name in costs if name != _PLAIN for row in _rows(name, costs[name], costs[_PLAIN])]


def _ways(receiver: str) -> dict[str, dict[str, str]]:
    metrics = {"HOLDFAST_METRICS": str(_free_port())}
    traces = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver}
    key = base64.b64encode(os.urandom(32)).decode()
    return {
        _PLAIN: {},
        "metrics": metrics,
        "traces": traces,
        "metrics and traces": metrics | traces,
        "encryption": {"HOLDFAST_PAYLOAD_KEYS": f"bench:{key}"},
    }


async def _run(settings: Mapping[str, str]) -> Cost:
    load = {"requests": REQUESTS[SERVICES], "concurrency": CONCURRENCY}
    # The client of the site reads the keys as well.
    keys = {name: value for name, value in settings.items() if name == "HOLDFAST_PAYLOAD_KEYS"}
    os.environ.update(keys)
    try:
        async with site(SERVICES, load, settings) as environment, _scraped(settings.get("HOLDFAST_METRICS")):
            run = await environment.start("bench/run")
            await run.result()
            await environment.client.get_workflow_handle(environment.lock_id, result_type=LockReport).result()
            state = await run.query(STATUS_QUERY, result_type=ResilienceState)
            return Cost(load_seconds(state), sum(map(processor_seconds, family(environment.worker.pid))))
    finally:
        for name in keys:
            del os.environ[name]


@asynccontextmanager
async def _scraped(port: str | None) -> AsyncIterator[None]:
    """Scrape both processes of the worker inside the block, as Prometheus does. Without a port, nothing is scraped."""

    async def scrape() -> None:
        while port is not None:
            for number in (int(port), int(port) + 1):
                with suppress(NoAnswerError):
                    await fetch("GET", f"http://127.0.0.1:{number}/metrics", Limits(seconds=5, body=_LARGEST_SCRAPE))
            await asyncio.sleep(SCRAPE_EVERY)

    task = asyncio.create_task(scrape())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def _sink() -> AsyncIterator[str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.support.trace_sink"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield (await process.stdout.readline()).decode().strip()
    finally:
        process.stdin.close()
        await process.wait()


def _free_port() -> int:
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port: int = first.getsockname()[1]
            with suppress(OSError, OverflowError):
                second.bind(("127.0.0.1", port + 1))
                return port


def _rows(name: str, costs: list[Cost], plain: list[Cost]) -> list[Row]:
    # Of each round by itself: the rounds are minutes apart, and the machine may differ between them.
    load = median(cost.load / beside.load for cost, beside in zip(costs, plain, strict=True))
    processor = median(cost.processor / beside.processor for cost, beside in zip(costs, plain, strict=True))
    aimed = name == "metrics and traces"
    return [
        Row(f"{name}: load test", f"{median(cost.load for cost in costs):.2f} s", load,
            aim=f"{AIM:.2f}" if aimed else "", met=load < AIM if aimed else None,
            note=f"median of {len(costs)} ratios, each to the run before it without any of these"),
        Row(f"{name}: processor time of the worker", f"{median(cost.processor for cost in costs):.1f} s", processor,
            note="from the worker's start, imports included"),
    ]  # fmt: skip
