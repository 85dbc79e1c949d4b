"""Wald's sequential test on slow requests: early decisions (`measuring` section 4).

A request is slow if it takes longer than a threshold. No more than 1 - percentile of a case's requests may be slow (5 %
for p95). A case with about twice the odds of that (10 %) must be found with probability 1 - beta. Each request adds
evidence for one hypothesis against the other, and measuring ends as soon as there is enough.

`SequentialTest` does this for a known threshold, such as a designed budget. The limit of a regression is not known: it
is the control's percentile plus the margin, and the control is measured beside the case. So `look` tests twice after
each round. A case is a regression if it is slow by the *upper* bound of the control's percentile, and equivalent if it
is not slow by the *lower* bound. With the upper threshold for both, a case that is 30 % slower passes 3 times in 10
beside a control of 5,000 requests, and 7 times beside a control of 600. With two thresholds it passes once in 50 beside
a control no larger than the case (docs/performance.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import ceil, floor, log
from typing import Literal

import numpy as np

from domain.measuring.comparison import Finding
from domain.measuring.statistics.intervals import lower_rank, upper_rank
from domain.measuring.statistics.regression import DEPENDENT_FROM, MOST_MORE, RegressionSpec
from domain.measuring.statistics.resampling import Blocks, Latencies, autocorrelation, pooled
from domain.measuring.statistics.support import least_successes

Decision = Literal[Finding.REGRESSION, Finding.EQUIVALENT]

_ODDS = (0.10 / 0.90) / (0.05 / 0.95)
"""Odds ratio of slow requests: a must-find case over a passing one. For p95 it is 10 % against 5 %."""


@dataclass(frozen=True)
class Wald:
    """Evidence that each request adds, and evidence that is needed."""

    percentile: float
    """Share of the requests that must not be slow (0 to 1)."""
    alpha: float
    """Chance of a false alarm in this case. It is the plan's `false_alarms` over the run's cases, without the
    baseline."""
    beta: float
    """Chance of a miss: the plan's `misses`."""

    @cached_property
    def slow(self) -> float:
        """Evidence for a regression that a slow request adds."""
        return log(self._must_find_share / (1 - self.percentile))

    @cached_property
    def fast(self) -> float:
        """Evidence that any other request adds; negative."""
        return log((1 - self._must_find_share) / self.percentile)

    @cached_property
    def alarm(self) -> float:
        """Evidence at or above which a case is a regression."""
        return log((1 - self.beta) / self.alpha)

    @cached_property
    def passing(self) -> float:
        """Evidence at or below which a case is equivalent; negative."""
        return log(self.beta / (1 - self.alpha))

    @cached_property
    def _must_find_share(self) -> float:
        odds = _ODDS * (1 - self.percentile) / self.percentile
        return odds / (1 + odds)

    def evidence(self, requests: int, exceeded: int) -> float:
        """Return the evidence of so many requests, `exceeded` of them slow."""
        return exceeded * self.slow + (requests - exceeded) * self.fast


class SequentialTest:
    """Evidence of one case against a known threshold.

    Feed it successful requests in the order they were sent. A decision is final: further requests (of a block that was
    under way) change nothing. A test without a decision when the plan's `max_requests` is reached is inconclusive.
    """

    def __init__(self, percentile: float, alpha: float, beta: float) -> None:
        """Start without evidence; `Wald` explains the parameters."""
        self._wald = Wald(percentile, alpha, beta)
        self.requests = 0
        """Requests so far, or until the decision."""
        self.exceeded = 0
        """How many of them were slow."""
        self.decision: Decision | None = None

    def add(self, exceeded: bool) -> Decision | None:
        """Add one request; return the decision, once there is one.

        `exceeded`: whether the request was slow.
        """
        if self.decision is not None:
            return self.decision
        self.requests += 1
        self.exceeded += exceeded
        evidence = self._wald.evidence(self.requests, self.exceeded)
        if evidence >= self._wald.alarm:
            self.decision = Finding.REGRESSION
        elif evidence <= self._wald.passing:
            self.decision = Finding.EQUIVALENT
        return self.decision


@dataclass(frozen=True)
class Thresholds:
    """Latencies above which a request is slow, one per claim.

    In microseconds. None if the control is too small for the claim.
    """

    regression_us: float | None
    """Limit from the upper confidence bound of the control's percentile."""
    equivalent_us: float | None
    """Limit from its lower confidence bound."""
    lacking: int
    """Successes that the control lacks for both thresholds. 0 if it has enough."""
    weight: float
    """How much each request of the control counted (`discount`)."""


@dataclass(frozen=True)
class Look:
    """What is known about a case after a round."""

    decision: Decision | None
    """None: continue to measure."""
    more_requests: int | None
    """Estimated further requests to a decision, at the present share of slow ones. While the control is too small: the
    successes that it lacks. None if that leads nowhere, or to more requests than any plan may send."""


def discount(blocks: Blocks) -> float:
    """Return how much one request counts if requests depend on each other.

    It is worth (1-r)/(1+r) independent requests, with the autocorrelation r. Up to `DEPENDENT_FROM` it counts in full.
    """
    dependence = autocorrelation(blocks)
    return (1 - dependence) / (1 + dependence) if dependence > DEPENDENT_FROM else 1.0


def thresholds(control: Blocks, spec: RegressionSpec) -> Thresholds:
    """Compute what is slow beside this control.

    Once per round, for all cases that share the control.
    """
    ordered = np.sort(pooled(control))
    weight = discount(control)
    # Ranks bound a percentile only among independent requests.
    independent = floor(weight * ordered.size)
    share = spec.percentile.share
    least = ceil(least_successes(share, spec.confidence) / weight)
    return Thresholds(
        regression_us=_limit_at(upper_rank(independent, share, spec.confidence), independent, ordered, spec),
        equivalent_us=_limit_at(lower_rank(independent, share, spec.confidence), independent, ordered, spec),
        lacking=max(0, least - ordered.size),
        weight=weight,
    )


def _limit_at(rank: int | None, ranks: int, ordered: Latencies, spec: RegressionSpec) -> float | None:
    if rank is None:
        return None
    # `rank` is among the independent requests. Take the request at the same share of all.
    bound = float(ordered[min(ordered.size - 1, (rank + 1) * ordered.size // ranks - 1)])
    return bound * spec.limit(bound)


def look(case: Blocks, beside: Thresholds, wald: Wald) -> Look:
    """Judge all of a case's requests so far by the current thresholds.

    Args:
        case: latencies of the successful requests in microseconds, in the order they were sent, block by block.
        beside: thresholds of the control as it is after the same round.
        wald: the error rates.
    """
    if beside.regression_us is None or beside.equivalent_us is None:
        return Look(None, max(1, beside.lacking))
    latencies = pooled(case)
    weight = discount(case)
    regression_evidence = weight * wald.evidence(
        latencies.size, int(np.count_nonzero(latencies > beside.regression_us))
    )
    equivalence_evidence = weight * wald.evidence(
        latencies.size, int(np.count_nonzero(latencies > beside.equivalent_us))
    )
    if regression_evidence >= wald.alarm:
        return Look(Finding.REGRESSION, None)
    if equivalence_evidence <= wald.passing:
        return Look(Finding.EQUIVALENT, None)
    # The nearer boundary decides.
    remaining = (
        _requests_to(regression_evidence, wald.alarm, latencies.size),
        _requests_to(equivalence_evidence, wald.passing, latencies.size),
    )
    return Look(None, min((count for count in remaining if count is not None), default=None))


def _requests_to(evidence: float, boundary: float, requests: int) -> int | None:
    """Return how many requests lead to a boundary at this pace.

    None if the boundary is not coming nearer, or is too far away.
    """
    if requests == 0 or evidence * boundary <= 0:
        return None
    more = (boundary / evidence - 1) * requests
    return ceil(more) if more <= MOST_MORE else None
