"""What a case must meet to pass.

Thresholds limit latency and errors, and a case must not be slower than the baseline.
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum

from pydantic import Field

from domain.base import StrictModel
from domain.units import Duration, Percent, PositiveDuration, Share


class Percentile(StrEnum):
    """The percentiles that can be judged."""

    P50 = "p50"
    P95 = "p95"
    P99 = "p99"

    @property
    def share(self) -> float:
        """The percentile as a share of all: 0.95 for p95."""
        return int(self.value[1:]) / 100


class Limits(StrictModel):
    """Thresholds on the latency of successful requests and on the error rate."""

    p50: PositiveDuration | None = None
    """Upper limit on the median latency of successful requests."""
    p95: PositiveDuration | None = None
    """Upper limit on the 95th percentile latency of successful requests."""
    p99: PositiveDuration | None = None
    """Upper limit on the 99th percentile latency of successful requests."""
    error_rate: Share | None = None
    """Share of requests that may fail. A request fails with no answer, or a status below 200 or above 399."""


class RelativeLimits(StrictModel):
    """Thresholds as a share of the baseline's value.

    `150%` allows half as much again.
    """

    p50: Percent | None = None
    """Upper limit on the median latency, as a share of the baseline's."""
    p95: Percent | None = None
    """Upper limit on the 95th percentile latency, as a share of the baseline's."""
    p99: Percent | None = None
    """Upper limit on the 99th percentile latency, as a share of the baseline's."""


class Regression(StrictModel):
    """When a case counts as slower than the baseline measured beside it.

    There are three results. `regression`: the case is slower by more than the margin. `equivalent`: it surely is not.
    `inconclusive`: there are too few requests to decide.
    """

    percentile: Percentile = Percentile.P95
    """Latency percentile of the successful requests that is compared."""
    margin: Percent = 10.0
    """Share by which a case may be slower than the baseline."""
    at_least: Duration = timedelta(milliseconds=5)
    """Minimum size of the margin, because a tenth of a fast request is noise."""
    confidence: Share = 95.0
    """Confidence level of the interval on the ratio to the baseline. Above 50%, below 100%."""
    false_alarms: Share = 5.0
    """How often a run may find a regression where there is none, over all its cases. Above 0%, below 50%."""
    misses: Share = 10.0
    """How often a clearly slower case may pass, with `load.max_requests`. Above 0%, below 50%."""


class SloOverride(Limits):
    """Thresholds for some cases, in place of those for all.

    A threshold that is left out stays as it is for all cases.
    """

    case: str = Field(alias="for")
    """The cases that are meant, such as `cart` or `cart+payment`. Write `cart+*` for every pair with cart, `*+*` for
    all pairs."""
    budget: PositiveDuration | None = None
    """Time that these cases may take by design. It is the sum of the timeouts and retries that are meant to act. The
    budget replaces all latency thresholds and the comparison with the baseline. It is judged at the percentile of
    `slo.regression`, or at p95 without one."""


class Slo(Limits):
    """What a case must meet to pass.

    At least one threshold is needed.
    """

    relative_to_baseline: RelativeLimits | None = None
    """Thresholds relative to the baseline of the same run. They apply in addition to the absolute ones."""
    regression: Regression | None = None
    """Requires that no case is slower than the baseline. Baseline requests are then sent among those of the cases."""
    overrides: list[SloOverride] = []
    """Other thresholds for some cases. The most specific entry for a case applies: its id, then `cart+*`, then
    `*+*`."""

    @property
    def compares(self) -> bool:
        """Whether cases are compared with a baseline measured beside them."""
        return self.regression is not None or self.relative_to_baseline is not None
