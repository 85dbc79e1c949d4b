"""A case held against the baseline that was measured beside it (`measuring` section 3)."""

from __future__ import annotations

from enum import StrEnum

from domain.base import Contract
from domain.plans.slo import Percentile


class Finding(StrEnum):
    """What the comparison of one case says."""

    REGRESSION = "regression"
    """Slower by more than the margin."""
    EQUIVALENT = "equivalent"
    """Surely not slower by more than the margin."""
    INCONCLUSIVE = "inconclusive"
    """The requests do not suffice to say."""


class Comparison(Contract):
    """A percentile of the case over the same of the baseline beside it; successful requests only."""

    percentile: Percentile
    ratio: float | None = None
    """Case over baseline, 1.0 for equally slow. None without a success on both sides."""
    low: float | None = None
    """Lower bound of the true ratio: it, and the upper one, each hold with the plan's confidence (both together with
    less: two of 95 % make an interval of 90 %). None where there are too few successes for one."""
    high: float | None = None
    """Upper bound of the true ratio."""
    limit: float
    """The ratio that is just allowed: 1 + margin, as applied."""
    p_value: float
    """Of seeing this, or more, without a regression. 1 where nothing can be said."""
    finding: Finding
    """Of this case alone; a run holds several of them together before it believes one."""
    sequential: bool = False
    """Whether the finding is that of a test that looks after every round (`load.max_requests`). Its level allows for
    all cases of the run already; that of `p_value` does not."""
    more_requests: int | None = None
    """For `inconclusive`: about so many more, to each side, would decide. None when that cannot be told."""


class Control(Contract):
    """The baseline's requests that were sent among those of a group of cases."""

    requests: int
    successes: int
    success_p50_us: int | None = None
    success_p95_us: int | None = None
    success_p99_us: int | None = None
    success_max_us: int | None = None
    """Successful requests only, microseconds; None without a success."""
