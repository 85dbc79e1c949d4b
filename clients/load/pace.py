"""When requests start: after another has ended (closed), or on schedule (open)."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass

from domain.guardrails.load_limits import IN_FLIGHT

CONSTANT = "constant"
_NS = 1_000_000_000
_COARSE_NS = 2_000_000
"""Time before a deadline when `until` stops sleeping and starts polling.

The loop's timers are accurate to a millisecond or two. Sleeping to the end would add that error to every latency.
"""
EARLY_NS = 100_000
"""How long before its due time a request is prepared."""


@dataclass(frozen=True)
class Closed:
    """A fixed concurrency.

    Each sender starts its next request when its last one has ended, so the load falls as the system slows down.
    """

    concurrency: int


@dataclass(frozen=True)
class Open:
    """A fixed rate, however slow the answers are."""

    rate: float
    """Requests per second."""
    arrivals: str = "poisson"
    """`poisson`: arrivals independent of each other. `constant`: at equal intervals."""
    seed: int = 0
    """Seed of the arrivals.

    The same seed repeats them: give every block its own.
    """
    in_flight: int = IN_FLIGHT
    """Maximum number of requests in flight.

    A request that must wait for a free slot counts as started late.
    """


Pace = Closed | Open


def planned(pace: Open, requests: int) -> Iterator[int]:
    """Yield when each request is due, in nanoseconds after the start."""
    if pace.arrivals == CONSTANT:
        yield from (round(position * _NS / pace.rate) for position in range(requests))
        return
    dice, due = random.Random(pace.seed), 0.0  # noqa: S311 - arrivals, not secrets
    for _ in range(requests):
        due += dice.expovariate(pace.rate)
        yield round(due * _NS)


async def until(due_ns: int) -> None:
    """Return at `due_ns` (by `time.perf_counter_ns`), as precisely as possible.

    Other tasks run meanwhile.
    """
    while (left := due_ns - time.perf_counter_ns()) > 0:  # noqa: ASYNC110 - no event says what time it is
        await asyncio.sleep((left - _COARSE_NS) / _NS if left > _COARSE_NS else 0)
