"""When a case has been measured enough: Wald's sequential test on slow requests (measuring.md 4).

A request is slow when it takes longer than a threshold. No more than 1 - percentile of a case's requests may be slow
(5 % for p95); a case of whose requests twice the odds of that are slow (10 %) is to be found with probability 1 - beta.
After each request the evidence for one against the other is added up, and measuring ends where it suffices.

`SequentialTest` is that, for a threshold that is known, such as a designed budget. The limit of a regression is not
known: it is the control's percentile and the margin, and the control is measured beside the case. So `look`, after each
round, asks twice: a case is a regression when it is slow by the *upper* bound of the control's percentile, and
equivalent when it is not slow by the *lower* one. With one threshold for both, the upper, a case that is 30 % slower
passes 3 times in 10 beside a control of 5,000 requests, and 7 times beside one of 600; with two, once in 50, beside a
control no larger than the case (docs/performance.md).
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
"""Odds of a slow request in a case that must be found, over those in one that may be: 10 % against 5 % for p95."""


@dataclass(frozen=True)
class Wald:
    """How much each request says, and how much must be said."""

    percentile: float
    """Share, between 0 and 1: of so many requests none may be slow."""
    alpha: float
    """Chance of a false alarm in this case: the plan's `false_alarms` / number of the run's cases."""
    beta: float
    """Chance of a miss: the plan's `misses`."""

    @cached_property
    def slow(self) -> float:
        """What a slow request says for a regression."""
        return log(self._found / (1 - self.percentile))

    @cached_property
    def fast(self) -> float:
        """What any other one says against it: less than 0."""
        return log((1 - self._found) / self.percentile)

    @cached_property
    def alarm(self) -> float:
        """Evidence from which a case is a regression."""
        return log((1 - self.beta) / self.alpha)

    @cached_property
    def passing(self) -> float:
        """Evidence up to which a case is equivalent: less than 0."""
        return log(self.beta / (1 - self.alpha))

    @cached_property
    def _found(self) -> float:
        odds = _ODDS * (1 - self.percentile) / self.percentile
        return odds / (1 + odds)

    def evidence(self, requests: int, exceeded: int) -> float:
        """What so many requests say, of which so many were slow."""
        return exceeded * self.slow + (requests - exceeded) * self.fast


class SequentialTest:
    """One case's evidence against a known threshold. Feed it successful requests, in the order they were sent.

    A test that has decided stays decided: further requests (of a block that was under way) change nothing. One that has
    not when the plan's `max_requests` is reached is inconclusive.
    """

    def __init__(self, percentile: float, alpha: float, beta: float) -> None:
        """Make one; what the numbers are: `Wald`."""
        self._wald = Wald(percentile, alpha, beta)
        self.requests = 0
        """Requests that were needed so far, or until it decided."""
        self.exceeded = 0
        """How many of them were slow."""
        self.decision: Decision | None = None

    def add(self, exceeded: bool) -> Decision | None:
        """Note one request, and whether it was slow; the decision, once there is one."""
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
    """Above how many microseconds a request of a case is slow, for each of the two claims.

    None where the control is too small for the claim.
    """

    regression_us: float | None
    """The limit by the upper confidence bound of the control's percentile."""
    equivalent_us: float | None
    """The limit by its lower confidence bound."""
    lacking: int
    """Successes that the control lacks for both of them; 0 when it has enough."""
    weight: float
    """How much each request of the control counted (`discount`)."""


@dataclass(frozen=True)
class Look:
    """What can be said of a case after a round."""

    decision: Decision | None
    """None: go on measuring."""
    more_requests: int | None
    """About how many more would decide, if as many of them are slow as so far; None where that leads nowhere, or to
    more than any plan may send."""


def discount(blocks: Blocks) -> float:
    """How much a request counts when requests depend on each other: independent ones in its place, (1-r)/(1+r)."""
    dependence = autocorrelation(blocks)
    return (1 - dependence) / (1 + dependence) if dependence > DEPENDENT_FROM else 1.0


def thresholds(control: Blocks, spec: RegressionSpec) -> Thresholds:
    """What is slow beside this control: once per round, for all cases that share it."""
    ordered = np.sort(pooled(control))
    weight = discount(control)
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
    # The rank among independent requests, at the same share of all.
    bound = float(ordered[min(ordered.size - 1, (rank + 1) * ordered.size // ranks - 1)])
    return bound * spec.limit(bound)


def look(case: Blocks, beside: Thresholds, wald: Wald) -> Look:
    """What the case's requests so far say, all of them seen again by the thresholds of now.

    Args:
        case: latencies of the successful requests in microseconds, in the order they were sent, block by block.
        beside: of the control as it is after the same round.
        wald: the error rates.
    """
    if beside.regression_us is None or beside.equivalent_us is None:
        return Look(None, max(1, beside.lacking))
    latencies = pooled(case)
    weight = discount(case)
    up = weight * wald.evidence(latencies.size, int(np.count_nonzero(latencies > beside.regression_us)))
    down = weight * wald.evidence(latencies.size, int(np.count_nonzero(latencies > beside.equivalent_us)))
    if up >= wald.alarm:
        return Look(Finding.REGRESSION, None)
    if down <= wald.passing:
        return Look(Finding.EQUIVALENT, None)
    ways = (_way(up, wald.alarm, latencies.size), _way(down, wald.passing, latencies.size))
    return Look(None, min((way for way in ways if way is not None), default=None))


def _way(evidence: float, boundary: float, requests: int) -> int | None:
    """Requests from here to a boundary at the pace so far; None when it is not coming nearer."""
    if requests == 0 or evidence * boundary <= 0:
        return None
    more = (boundary / evidence - 1) * requests
    return ceil(more) if more <= MOST_MORE else None
