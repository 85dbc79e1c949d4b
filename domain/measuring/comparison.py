"""Comparison of a case with the baseline measured beside it.

See `measuring` section 3.
"""

from __future__ import annotations

from enum import StrEnum

from domain.base import Contract
from domain.plans.slo import Percentile


class Finding(StrEnum):
    """Result of comparing one case."""

    REGRESSION = "regression"
    """Slower by more than the margin."""
    EQUIVALENT = "equivalent"
    """Certainly not slower by more than the margin."""
    INCONCLUSIVE = "inconclusive"
    """Too few requests to decide."""


class Comparison(Contract):
    """Ratio of the case's percentile to that of the baseline beside it.

    Successful requests only.
    """

    percentile: Percentile
    ratio: float | None = None
    """Case over baseline, 1.0 for equally slow. None if too few requests succeeded on either side."""
    low: float | None = None
    """Lower bound of the true ratio. Each of the two bounds holds with the plan's confidence, both together with less:
    two of 95 % make an interval of 90 %. None if there are too few successes, or too few blocks of dependent
    requests."""
    high: float | None = None
    """Upper bound of the true ratio."""
    limit: float
    """Highest ratio that is still allowed: 1 + margin, as applied."""
    p_value: float
    """Probability of this ratio, or a higher one, without a regression. 1 if nothing can be concluded."""
    finding: Finding
    """Finding for this case alone. A run considers several of them together before it accepts a regression."""
    sequential: bool = False
    """Whether the finding comes from a test after every round (`load.max_requests`). Its level already allows for all
    cases of the run; that of `p_value` does not."""
    more_requests: int | None = None
    """For `inconclusive`: estimated further requests on each side that would decide. None if there is no estimate."""


class Control(Contract):
    """Baseline requests that were sent among those of a group of cases."""

    requests: int
    successes: int
    success_p50_us: int | None = None
    success_p95_us: int | None = None
    success_p99_us: int | None = None
    success_max_us: int | None = None
    """This and the percentiles: successful requests only, microseconds. None without a success."""
