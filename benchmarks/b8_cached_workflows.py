"""Measures what a workflow in a worker's memory costs, and what it saves, for the default of the cache.

One run holds the namespace, paused; others wait for it. A worker that keeps all of them answers from memory. One that
keeps two replays a run before each answer.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, NamedTuple

from benchmarks.support.frame import Row
from benchmarks.support.site import Site, family, memory, processor_seconds, site
from benchmarks.support.waiting import waiting_runs
from domain.names import STATUS_QUERY

TITLE = "What workflows in a worker's memory cost, and save"

SERVICES = 4
WAITING = 60
"""Runs that wait. Each waits in an activity, of which a worker does a hundred at once."""
FEW, MANY = 2, 1000
_MIB = 1024 * 1024


class Kept(NamedTuple):
    """What a worker took that keeps so many workflows."""

    memory: int
    """Bytes of its control process while all runs wait."""
    answer: float
    """Seconds of an answer to the query for the status, one after the other."""
    processor: float
    """Seconds of processor time of an answer."""


def main() -> list[Row]:
    """Measure a worker that keeps few, then one that keeps all."""
    few, many = (asyncio.run(_keeping(count)) for count in (FEW, MANY))
    return [
        Row(f"memory of a worker with {WAITING} runs in memory", f"{many.memory / _MIB:.0f} MiB",
            many.memory / few.memory, note=f"to one with {FEW}; two workers may differ by as much without any run"),
        Row("status of a run that was in memory", f"{many.answer * 1000:.0f} ms"),
        Row("status of a run that was replayed", f"{few.answer * 1000:.0f} ms", few.answer / many.answer,
            note=f"{few.processor * 1000:.0f} ms of processor time, {many.processor * 1000:.0f} ms from memory"),
    ]  # fmt: skip


async def _keeping(count: int) -> Kept:
    load = {"requests": 2, "concurrency": 2}
    async with site(SERVICES, load, {"HOLDFAST_CACHED_WORKFLOWS": str(count)}) as environment:
        return await _asked(environment, await waiting_runs(environment, WAITING))


async def _asked(environment: Site, runs: list[Any]) -> Kept:
    control = environment.worker.pid
    held = memory(control)
    before, began = sum(map(processor_seconds, family(control))), time.monotonic()
    for run in runs:
        await run.query(STATUS_QUERY)
    seconds = time.monotonic() - began
    processor = sum(map(processor_seconds, family(control))) - before
    return Kept(held, seconds / len(runs), processor / len(runs))
