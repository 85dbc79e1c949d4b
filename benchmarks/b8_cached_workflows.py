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
from domain.names import PAUSE_UPDATE, STATUS_QUERY
from domain.resilience.state import ResilienceState

TITLE = "What workflows in a worker's memory cost, and save"

SERVICES = 4
WAITING = 60
"""Runs that wait. Each waits in an activity, of which a worker does a hundred at once."""
FEW, MANY = 2, 1000
_MIB = 1024 * 1024
_LONGEST_WAIT = 300.0


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
    each = (many.memory - few.memory) / (WAITING - FEW)
    return [
        Row(f"memory of a run that waits, of {WAITING}", f"{each / _MIB:.2f} MiB",
            note=f"{many.memory / _MIB:.0f} MiB with all in memory, {few.memory / _MIB:.0f} MiB with {FEW}; a cache of "
                 f"{MANY} takes {each * MANY / _MIB:.0f} MiB when it is full"),
        Row("status of a run that was in memory", f"{many.answer * 1000:.0f} ms"),
        Row("status of a run that was replayed", f"{few.answer * 1000:.0f} ms", few.answer / many.answer,
            note=f"{few.processor * 1000:.0f} ms of processor time, {many.processor * 1000:.0f} ms from memory"),
    ]  # fmt: skip


async def _keeping(count: int) -> Kept:
    load = {"requests": 2, "concurrency": 2}
    async with site(SERVICES, load, {"HOLDFAST_CACHED_WORKFLOWS": str(count)}) as environment:
        holder = await environment.start("bench/holder")
        await _until(holder, lambda state: state.execution_id is not None)
        await holder.execute_update(PAUSE_UPDATE)
        runs = [await environment.start(f"bench/{number}", if_busy="wait") for number in range(WAITING)]
        for run in runs:
            await _until(run, lambda state: bool(state.waiting_for))
        return await _asked(environment, runs)


async def _asked(environment: Site, runs: list[Any]) -> Kept:
    control = environment.worker.pid
    held = memory(control)
    before, began = sum(map(processor_seconds, family(control))), time.monotonic()
    for run in runs:
        await run.query(STATUS_QUERY)
    seconds = time.monotonic() - began
    processor = sum(map(processor_seconds, family(control))) - before
    return Kept(held, seconds / len(runs), processor / len(runs))


async def _until(run: Any, reached: Any) -> None:
    end = time.monotonic() + _LONGEST_WAIT
    while not reached(await run.query(STATUS_QUERY, result_type=ResilienceState)):
        assert time.monotonic() < end, "the run did not come so far"
        await asyncio.sleep(0.2)
