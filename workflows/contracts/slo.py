"""What a case must meet: thresholds on latency and errors."""

from __future__ import annotations

from workflows.contracts.base import StrictModel
from workflows.contracts.units import Percent, PositiveDuration, Share


class Limits(StrictModel):
    """Thresholds on latency of successful requests and on the share of failed ones."""

    p50: PositiveDuration | None = None
    """Median latency of successful requests, at most."""
    p95: PositiveDuration | None = None
    """95th percentile of the latency of successful requests, at most."""
    p99: PositiveDuration | None = None
    """99th percentile of the latency of successful requests, at most."""
    error_rate: Share | None = None
    """Share of requests that may fail: no answer, or a status under 200 or from 400 on."""


class RelativeLimits(StrictModel):
    """Thresholds as a share of the baseline's value: `150%` allows half as much again."""

    p50: Percent | None = None
    """Median latency, at most this share of the baseline's."""
    p95: Percent | None = None
    """95th percentile, at most this share of the baseline's."""
    p99: Percent | None = None
    """99th percentile, at most this share of the baseline's."""


class Slo(Limits):
    """What a case must meet to pass. At least one threshold is needed."""

    relative_to_baseline: RelativeLimits | None = None
    """Thresholds against the same run's baseline, beside the absolute ones."""
