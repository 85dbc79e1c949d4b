"""A load generator that starts requests too late makes its measurements invalid."""

from __future__ import annotations

import pytest

from domain.measuring.lateness import LATE_US, late_starts, lateness_reason, too_late
from domain.traffic.exchange import RequestSample


def test_a_start_is_late_only_above_the_threshold() -> None:
    late_us = [0, 900, LATE_US, LATE_US + 1, 60_000_000]
    assert late_starts(RequestSample(latency_us=1, status=200, late_us=late) for late in late_us) == 2


@pytest.mark.parametrize(
    ("late", "requests", "void"),
    [
        *((0, 1, False), (1, 1, False), (1, 20, False), (2, 20, True), (2, 1_999, True), (2, 2_000, False)),
        *((5, 5_000, False), (6, 5_000, True), (0, 0, False)),
    ],
)
def test_more_than_one_late_start_in_a_thousand_voids_a_case(late: int, requests: int, *, void: bool) -> None:
    """A single late start never does. The reason has the numbers and what to do."""
    assert too_late(late, requests) is void
    reason = lateness_reason(late, requests)
    assert bool(reason) is void
    assert not void or f"{late} of {requests} requests began more than 5 ms" in reason
