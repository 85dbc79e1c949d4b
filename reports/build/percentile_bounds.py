"""How far a percentile of few requests may be off: between which two of the ordered requests the true one lies.

The rank of the true percentile among n requests is n * share, give or take twice the square root of
n * share * (1 - share), whatever the latencies are distributed like.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor, sqrt

from reports.build.distributions import STEPS

_TWICE = 2
"""Standard errors to each side."""

_BIN = 10 ** (1 / STEPS)
"""From one bound of a distribution to the next."""

Histogram = Sequence[tuple[int, int]]
"""As in a case of the report: upper bounds in microseconds, with how many lie up to each."""


def percentile_bounds(histogram: Histogram | None, share: float) -> tuple[float, float] | None:
    """Between what the true percentile lies, in milliseconds; None without samples."""
    requests = sum(count for _, count in histogram or ())
    if not histogram or not requests:
        return None
    middle, off = requests * share, _TWICE * sqrt(requests * share * (1 - share))
    low, high = max(1, floor(middle - off)), min(requests, ceil(middle + off))
    return _at(histogram, low), _at(histogram, high)


def _at(histogram: Histogram, rank: int) -> float:
    """The latency of the request of this rank, as if those between two bounds were spread evenly; milliseconds."""
    before = 0
    for upper, count in histogram:
        if rank <= before + count:
            lower = upper / _BIN
            return (lower + (upper - lower) * (rank - before) / count) / 1000
        before += count
    return histogram[-1][0] / 1000
