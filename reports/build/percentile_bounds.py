"""How far off a percentile of few requests may be.

The true percentile lies between two of the ordered requests. Among n requests its rank is n * share, give or take twice
the square root of n * share * (1 - share), whatever the distribution of the latencies.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor, sqrt

from reports.build.distributions import STEPS

_TWICE = 2
"""Standard errors to each side."""

_BIN = 10 ** (1 / STEPS)
"""Ratio of neighbouring bounds of a distribution."""

Histogram = Sequence[tuple[int, int]]
"""Distribution of a reported case: upper bounds in microseconds, each with its count."""


def percentile_bounds(histogram: Histogram | None, share: float) -> tuple[float, float] | None:
    """Return the bounds of the true percentile, in milliseconds.

    None without samples.
    """
    requests = sum(count for _, count in histogram or ())
    if not histogram or not requests:
        return None
    middle = requests * share
    off = _TWICE * sqrt(requests * share * (1 - share))
    low, high = max(1, floor(middle - off)), min(requests, ceil(middle + off))
    return _at(histogram, low), _at(histogram, high)


def _at(histogram: Histogram, rank: int) -> float:
    """Return the latency of the request of this rank, in milliseconds.

    Requests between two bounds are taken to be spread evenly.
    """
    before = 0
    for upper, count in histogram:
        if rank <= before + count:
            lower = upper / _BIN
            return (lower + (upper - lower) * (rank - before) / count) / 1000
        before += count
    return histogram[-1][0] / 1000
