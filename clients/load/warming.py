"""When a system is warm: two blocks of requests in a row take as long as each other (`measuring`, section 1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from domain.traffic.exchange import RequestSample

WINDOW = 50
"""Requests of a block."""
AGREEMENT = 0.05
"""How far the medians of two blocks may be apart, as a share of the earlier one."""


@dataclass(frozen=True)
class WarmUp:
    """What was sent before anything was measured."""

    requests: int
    agreed: bool
    """Whether two blocks in a row did; else the bound came first."""


def agree(earlier: Sequence[RequestSample], later: Sequence[RequestSample]) -> bool:
    """Whether two whole blocks have nearly the same median latency, errors included."""
    if len(earlier) < WINDOW or len(later) < WINDOW:
        return False
    before, now = (median(sample.latency_us for sample in block) for block in (earlier, later))
    return abs(now - before) < AGREEMENT * before
