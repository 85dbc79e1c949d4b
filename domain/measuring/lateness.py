"""Did the load generator keep to its plan? Of the open model: a closed one has no plan to be late for."""

from __future__ import annotations

from collections.abc import Iterable

from domain.traffic.exchange import RequestSample

LATE_US = 5_000
"""A start that was later than this is a late one: 5 ms, the smallest difference that a verdict on a regression may rest
on (`slo.regression.at_least`). What lateness there is counts in the latency anyway, which so can be too long and never
too short. Not less, because any busy machine is late by a millisecond or two: with two cores and five times as much
work as they can do, one start in twenty was later than 1 ms and one in a thousand later than 5. A generator that cannot
keep up falls behind without bound, and is told by either.
"""

MOST_LATE = 0.001
"""Share of late starts above which nothing is known about the case (`measuring`, section 1)."""


def late_starts(samples: Iterable[RequestSample]) -> int:
    """How many requests began late."""
    return sum(sample.late_us > LATE_US for sample in samples)


def too_late(late: int, requests: int) -> bool:
    """Whether the case is void.

    One late start never voids it: of few requests it is more than any share allows, and it moves no percentile that is
    shown by more than one rank.
    """
    return late > max(1, requests * MOST_LATE)


def lateness_reason(late: int, requests: int) -> str:
    """Why the case is void, or nothing."""
    if not too_late(late, requests):
        return ""
    return (
        f"{late} of {requests} requests began more than {LATE_US // 1_000} ms after they were due: "
        "the load generator could not keep up, lower load.rate or give it more of a machine"
    )
