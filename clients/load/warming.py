"""The warm-up criterion: two consecutive blocks of requests agree.

They agree when their median latencies are nearly the same (`measuring`, section 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from domain.traffic.exchange import RequestSample

WINDOW = 50
"""Requests per block."""
AGREEMENT = 0.05
"""Maximum difference of two medians, as a share of the earlier one."""


@dataclass(frozen=True)
class WarmUp:
    """The requests sent before anything was measured."""

    requests: int
    agreed: bool
    """Whether two consecutive blocks agreed before the limit was reached."""


def agree(earlier: Sequence[RequestSample], later: Sequence[RequestSample]) -> bool:
    """Check whether two full blocks have nearly the same median latency.

    Failed requests count too.
    """
    if len(earlier) < WINDOW or len(later) < WINDOW:
        return False
    before, now = (median(sample.latency_us for sample in block) for block in (earlier, later))
    return abs(now - before) < AGREEMENT * before
