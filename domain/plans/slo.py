"""What a case must meet: thresholds on latency and errors, and that it is no slower than the baseline."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum

from pydantic import Field

from domain.base import StrictModel
from domain.units import Duration, Percent, PositiveDuration, Share


class Percentile(StrEnum):
    """The percentiles that are judged."""

    P50 = "p50"
    P95 = "p95"
    P99 = "p99"

    @property
    def share(self) -> float:
        """As a share of all: 0.95 for p95."""
        return int(self.value[1:]) / 100


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


class Regression(StrictModel):
    """When a case counts as slower than the baseline that is measured beside it.

    Three answers: it is slower by more than the margin (`regression`), it is surely not (`equivalent`), or the requests
    do not suffice to say (`inconclusive`).
    """

    percentile: Percentile = Percentile.P95
    """Which percentile of the successful requests is compared."""
    margin: Percent = 10.0
    """A case may be slower than the baseline by this share."""
    at_least: Duration = timedelta(milliseconds=5)
    """The margin is no less than this: of fast requests a tenth is noise."""
    confidence: Share = 95.0
    """Of the interval on the ratio to the baseline: above 50%, below 100%."""
    false_alarms: Share = 5.0
    """How often a run may find a regression where there is none, over all its cases: above 0%, below 50%."""
    misses: Share = 10.0
    """How often a case that is clearly slower may pass, with `load.max_requests`: above 0%, below 50%."""


class SloOverride(Limits):
    """What some cases must meet instead of what all must. What it leaves out stays as it is for all."""

    case: str = Field(alias="for")
    """A case's id (`cart`, `cart+payment`); `cart+*` for every pair with cart, `*+*` for all pairs."""
    budget: PositiveDuration | None = None
    """What these cases may take by design: the sum of the timeouts and retries that are meant to act. Judged instead of
    all thresholds on latency and of the comparison with the baseline, at the percentile of `slo.regression`."""


class Slo(Limits):
    """What a case must meet to pass. At least one threshold is needed."""

    relative_to_baseline: RelativeLimits | None = None
    """Thresholds against the same run's baseline, beside the absolute ones."""
    regression: Regression | None = None
    """That no case is slower than the baseline: with it, baseline requests are sent among those of the cases."""
    overrides: list[SloOverride] = []
    """Other thresholds for some cases, the most particular one of each case: its id, then `cart+*`, then `*+*`."""

    @property
    def compares(self) -> bool:
        """Whether cases are held against the baseline, which is then measured beside them."""
        return self.regression is not None or self.relative_to_baseline is not None
