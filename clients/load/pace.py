"""When requests begin: as soon as one before them has ended (closed), or when they are due (open)."""

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
"""The loop's timers are good to a millisecond or two. The rest is waited for awake, or every latency would hold it."""
EARLY_NS = 100_000
"""How long before it is due a request is made ready."""


@dataclass(frozen=True)
class Closed:
    """So many at once, each worker its next request when the last has ended: the load falls as the system slows."""

    concurrency: int


@dataclass(frozen=True)
class Open:
    """So many a second, whatever becomes of them."""

    rate: float
    """Requests per second."""
    arrivals: str = "poisson"
    """`poisson`: independent of each other. `constant`: in equal steps."""
    seed: int = 0
    """The same seed gives the same arrivals: give every block its own."""
    in_flight: int = IN_FLIGHT
    """Requests under way at once, at most. One that must wait for a place counts as started late."""


Pace = Closed | Open


def planned(pace: Open, requests: int) -> Iterator[int]:
    """When each request is due, in nanoseconds after the first could be."""
    if pace.arrivals == CONSTANT:
        yield from (round(position * _NS / pace.rate) for position in range(requests))
        return
    dice, due = random.Random(pace.seed), 0.0  # noqa: S311 - arrivals, not secrets
    for _ in range(requests):
        due += dice.expovariate(pace.rate)
        yield round(due * _NS)


async def until(due_ns: int) -> None:
    """Return when `time.perf_counter_ns` has come to `due_ns`, as near as can be, and others work meanwhile."""
    while (left := due_ns - time.perf_counter_ns()) > 0:  # noqa: ASYNC110 - no event says what time it is
        await asyncio.sleep((left - _COARSE_NS) / _NS if left > _COARSE_NS else 0)
