"""Tries random sequences of troubles until its time is up: `make soak`, or `SOAK=1h SEED=7 make soak`.

Given sequences as arguments it tries only these: `python -m tests.leaks.soak 'injecting:kill measuring:cancel'`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from time import monotonic

from temporalio.client import Client

from domain.measuring.percentiles import nearest_rank
from domain.units import parse_duration
from operations.processes.worker_process import private_bytecode_cache
from tests.support.leaks.judged import Tried, tried
from tests.support.leaks.sequences import Sequence, drawn, repeated_by
from tests.support.runs.fixtures import embedded_server

AT_ONCE = int(os.environ.get("AT_ONCE", "4"))
"""Runs at the same time; they mostly wait."""

PER_MINUTE = 60
"""Sequences drawn for each minute: more than any machine gets through."""


class Soak:
    """Tries sequences at the same time, and collects the results."""

    def __init__(self, temporal: Client, folder: Path, sequences: Iterator[Sequence]) -> None:
        self.done: list[Tried] = []
        self._temporal = temporal
        self._folder = folder
        self._sequences = sequences
        self._number = 0

    async def until(self, end: float) -> None:
        """Try sequences until this moment, or until there are none left. Those in progress are finished."""
        await asyncio.gather(*(self._some(end) for _ in range(AT_ONCE)))

    async def _some(self, end: float) -> None:
        while monotonic() < end:
            sequence = next(self._sequences, None)
            if sequence is None:
                return
            await self._try(sequence)

    async def _try(self, sequence: Sequence) -> Tried:
        self._number += 1
        number, begun = self._number, monotonic()
        result = await tried(self._temporal, self._folder / str(number), sequence)
        self.done.append(result)
        _print(f"{number:4} {monotonic() - begun:5.1f} s  {'WRONG' if result.wrong else 'ok   '}  {sequence}")
        for line in [*result.wrong, *(f"    {detail}" for detail in result.told)]:
            _print(f"        {line}")
        return result

    async def reduced(self, failed: Tried) -> Sequence:
        """Leave out what the failure does not need, one trouble at a time."""
        found = failed.sequence
        for step in failed.sequence.steps:
            shorter = found.without(step)
            if shorter.steps and (await self._try(shorter)).wrong:
                found = shorter
        return found


def figures(done: list[Tried]) -> list[str]:
    """Summarise a soak in lines."""
    failed = [result for result in done if result.wrong]
    troubles = Counter(step.trouble for result in done for step in result.met)
    took = sorted(int(result.closing / timedelta(milliseconds=1)) for result in done if result.closing is not None)
    lines = [f"runs tried: {len(done)}; with a leak or a lie: {len(failed)}"]
    lines.append(f"troubles met: {troubles.total()}: " + ", ".join(f"{name} {n}" for name, n in troubles.most_common()))
    if took:
        median, high = (nearest_rank(took, share) / 1000 for share in (0.5, 0.95))
        lines.append(
            f"from end to closed, {len(took)} runs that ended with something on:"
            f" median {median:.1f} s, p95 {high:.1f} s, longest {took[-1] / 1000:.1f} s"
        )
    return lines


async def soak(wanted: list[Sequence]) -> int:
    """Run a soak. Returns the exit code: 1 when something was wrong."""
    longest = parse_duration(os.environ.get("SOAK", "10m"))
    seed = int(os.environ.get("SEED") or secrets.randbelow(2**32))
    if not wanted:
        # The workers of this process log each trouble, which is worth reading only when a sequence is repeated.
        logging.disable(logging.ERROR)
        _print(f"for {longest}, with SEED={seed}")
    sequences = wanted or drawn(max(1, longest // timedelta(minutes=1)) * PER_MINUTE, seed, long=True)
    with tempfile.TemporaryDirectory(prefix="holdfast-soak-") as folder, private_bytecode_cache():
        async with embedded_server() as temporal:
            soaking = Soak(temporal, Path(folder), iter(sequences))
            await soaking.until(monotonic() + longest.total_seconds())
            found = figures(soaking.done)
            failed = [result for result in soaking.done if result.wrong]
            shortest = [
                await soaking.reduced(result) for result in failed if len(result.sequence.steps) > 1 and not wanted
            ]
    _print("\n".join(found))
    for result in failed:
        _print(f"wrong: {repeated_by(result.sequence)}")
    for sequence in shortest:
        _print(f"as short as it goes wrong: {repeated_by(sequence)}")
    return 1 if failed else 0


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(asyncio.run(soak([Sequence.read(text) for text in sys.argv[1:]])))
