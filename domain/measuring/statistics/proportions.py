"""Rise of the error rate between two runs, with its limits.

The exact limits of each rate (Clopper and Pearson) are combined into limits of the difference, as Zou and Donner do
(MOVER). The distance of a limit from the difference follows from the distances of the two rates' own limits on the same
sides: it is the root of their summed squares. Tests enumerate every outcome of small samples, and show that the chance
of a false alarm stays at or below the given level.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, exp, log, sqrt

import numpy as np
from scipy.special import betaincinv

from domain.measuring.statistics.regression import DEPENDENT_FROM, MOST_MORE

_LEAST_P = 1e-12
"""Smallest p-value that is reported. No run has enough cases for smaller ones to matter."""
_STEPS = 50
"""Steps of the bisection: more than a float has digits."""


@dataclass(frozen=True)
class Failures:
    """Failures among independent requests; fractions if requests are dependent."""

    failed: float
    requests: float
    """Above 0."""

    @classmethod
    def of(cls, flags: Sequence[bool]) -> Failures:
        """Build from each request's failure flag, in the order they were sent.

        There must be at least one request. Failures in a row count as fewer requests: n (1 - r) / (1 + r), if the
        correlation r of neighbours is above `DEPENDENT_FROM`.
        """
        failed = sum(flags)
        n = len(flags)
        r = _correlation(flags)
        share = (1 - r) / (1 + r) if r > DEPENDENT_FROM else 1.0
        # Almost nothing would be left of a single streak of failures, but it is still one observation.
        share = max(share, 1 / n)
        return cls(failed * share, n * share)

    @property
    def rate(self) -> float:
        """Failed share of the requests, 0 to 1."""
        return self.failed / self.requests

    def lower(self, alpha: float) -> float:
        """Return the lower limit of the true rate.

        The true rate is below it with probability alpha at most.
        """
        return float(betaincinv(self.failed, self.requests - self.failed + 1, alpha)) if self.failed > 0 else 0.0

    def upper(self, alpha: float) -> float:
        """Return the upper limit of the true rate.

        The true rate is above it with probability alpha at most.
        """
        right = self.requests - self.failed
        return float(betaincinv(self.failed + 1, right, 1 - alpha)) if right > 0 else 1.0


def rise_at_least(before: Failures, after: Failures, alpha: float) -> float:
    """Return the lower limit of the rate's rise (share of requests).

    The true rise is smaller with probability alpha at most.
    """
    squared_distance = (after.rate - after.lower(alpha)) ** 2 + (before.upper(alpha) - before.rate) ** 2
    return after.rate - before.rate - sqrt(squared_distance)


def rise_at_most(before: Failures, after: Failures, alpha: float) -> float:
    """Return the upper limit of the rate's rise (share of requests).

    The true rise is larger with probability alpha at most.
    """
    return -rise_at_least(after, before, alpha)


def rise_p_value(before: Failures, after: Failures, margin: float) -> float:
    """Return the p-value of a rise above `margin` (share of requests).

    That is the probability of this result, or a more extreme one, if the rate rose by the margin at most. It is
    computed as the level at which `rise_at_least` reaches the margin. It is 1 if no level that would count reaches it.
    """
    # Bisected between logarithms, because p-values span many orders of magnitude.
    low, high = log(_LEAST_P), log(0.5)
    if rise_at_least(before, after, 0.5) <= margin:
        return 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if rise_at_least(before, after, exp(middle)) > margin:
            high = middle
        else:
            low = middle
    return exp(high)


def more_requests(before: Failures, after: Failures, margin: float, alpha: float) -> int | None:
    """Estimate the further requests that would show the rise to be small.

    With about that many more in each run, the rise would surely be at most `margin`, if the rates stay as they are.
    None if no number that a plan may ask for would do.
    """
    requests = max(before.requests, after.requests)

    def suffices(times: float) -> bool:
        ours, theirs = (Failures(failures.failed * times, failures.requests * times) for failures in (before, after))
        return rise_at_most(ours, theirs, alpha) < margin

    low, high = 1.0, 1 + MOST_MORE / requests
    if not suffices(high):
        return None
    while (high - low) * requests > 1:
        middle = (low + high) / 2
        low, high = (low, middle) if suffices(middle) else (middle, high)
    return max(1, ceil((high - 1) * requests))


def _correlation(flags: Sequence[bool]) -> float:
    """Return the correlation of neighbours; 0 if all are alike."""
    values = np.asarray(flags, dtype=np.float64)
    if values.size < 2 or values.min() == values.max():
        return 0.0
    values -= values.mean()
    return float(values[:-1] @ values[1:]) / (values.size - 1) / float(np.mean(values**2))
