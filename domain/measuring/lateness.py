"""Lateness: whether the load generator kept to its plan.

Open model only: a closed model has no plan to be late for.
"""

from __future__ import annotations

from collections.abc import Iterable

from domain.traffic.exchange import RequestSample

LATE_US = 5_000
"""Starts later than this are late.

5 ms is the smallest difference that a verdict on a regression may rest on (`slo.regression.at_least`). Lateness counts
in the latency anyway, which can therefore be too long but never too short. The limit is not lower, because any busy
machine is late by a millisecond or two. With two cores and five times as much work as they can do, one start in twenty
was later than 1 ms, and one in a thousand later than 5 ms. A generator that cannot keep up falls behind without bound,
so either limit catches it."""

MOST_LATE = 0.001
"""Largest share of late starts (`measuring` section 1). Above it nothing is known about the case."""


def late_starts(samples: Iterable[RequestSample]) -> int:
    """Count the requests that began late."""
    return sum(sample.late_us > LATE_US for sample in samples)


def too_late(late: int, requests: int) -> bool:
    """Return whether the case is void because requests began late."""
    # One late start never voids a case. Among few requests it exceeds any share, and it moves no percentile that is
    # shown by more than one rank.
    return late > max(1, requests * MOST_LATE)


def lateness_reason(late: int, requests: int) -> str:
    """Return why the case is void; empty if it is not."""
    if not too_late(late, requests):
        return ""
    return (
        f"{late} of {requests} requests began more than {LATE_US // 1_000} ms after they were due: "
        "the load generator could not keep up, lower load.rate or give it a faster machine"
    )
