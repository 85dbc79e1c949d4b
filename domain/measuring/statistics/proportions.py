"""Whether the error rate of one run is higher than that of another, by how much at least and at most.

The exact limits of each rate (Clopper and Pearson), put together to limits of the difference as Zou and Donner do
(MOVER): a limit of the difference is as far from it as the two rates' own limits on the same sides say together. Tests
enumerate every outcome of small samples: the chance of a false alarm stays at the level that it is given, or under it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, exp, log, sqrt

import numpy as np
from scipy.special import betaincinv

from domain.measuring.statistics.regression import DEPENDENT_FROM, MOST_MORE

_LEAST_P = 1e-12
"""P-values under this are told as this: no run has cases enough for it to matter."""
_STEPS = 50
"""Of the bisection: more than a float has digits."""


@dataclass(frozen=True)
class Failures:
    """So many of so many independent requests failed; fractions where requests depend on each other."""

    failed: float
    requests: float
    """Above 0."""

    @classmethod
    def of(cls, flags: Sequence[bool]) -> Failures:
        """From whether each request failed, in the order in which they were sent; at least one.

        What fails in a row is counted as fewer requests: n (1 - r) / (1 + r), with the correlation r of neighbours.
        """
        failed, n = sum(flags), len(flags)
        r = _correlation(flags)
        share = (1 - r) / (1 + r) if r > DEPENDENT_FROM else 1.0
        # Of a single stretch of failures next to nothing would be left; it is one observation all the same.
        share = max(share, 1 / n)
        return cls(failed * share, n * share)

    @property
    def rate(self) -> float:
        """Share of the requests, 0 to 1."""
        return self.failed / self.requests

    def lower(self, alpha: float) -> float:
        """Under which the true rate is with probability alpha at most."""
        return float(betaincinv(self.failed, self.requests - self.failed + 1, alpha)) if self.failed > 0 else 0.0

    def upper(self, alpha: float) -> float:
        """Above which the true rate is with probability alpha at most."""
        right = self.requests - self.failed
        return float(betaincinv(self.failed + 1, right, 1 - alpha)) if right > 0 else 1.0


def rise_at_least(before: Failures, after: Failures, alpha: float) -> float:
    """The rise of the rate, as a share of all requests, is less than this with probability alpha at most."""
    apart = (after.rate - after.lower(alpha)) ** 2 + (before.upper(alpha) - before.rate) ** 2
    return after.rate - before.rate - sqrt(apart)


def rise_at_most(before: Failures, after: Failures, alpha: float) -> float:
    """The rise is more than this with probability alpha at most."""
    return -rise_at_least(after, before, alpha)


def rise_p_value(before: Failures, after: Failures, margin: float) -> float:
    """Of seeing this, or more, when the rate has risen by `margin` (a share of all requests) at most.

    The level at which `rise_at_least` reaches the margin; 1 where it does not at any level that would count.
    """
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
    """About so many more in each run, and the rise would surely be at most `margin`, were the rates as they are seen.

    None where no number that a plan may ask for would do.
    """
    requests = max(before.requests, after.requests)

    def suffices(times: float) -> bool:
        ours, theirs = (Failures(one.failed * times, one.requests * times) for one in (before, after))
        return rise_at_most(ours, theirs, alpha) < margin

    low, high = 1.0, 1 + MOST_MORE / requests
    if not suffices(high):
        return None
    while (high - low) * requests > 1:
        middle = (low + high) / 2
        low, high = (low, middle) if suffices(middle) else (middle, high)
    return max(1, ceil((high - 1) * requests))


def _correlation(flags: Sequence[bool]) -> float:
    """Of neighbours; 0 where all are alike."""
    values = np.asarray(flags, dtype=np.float64)
    if values.size < 2 or values.min() == values.max():
        return 0.0
    values -= values.mean()
    return float(values[:-1] @ values[1:]) / (values.size - 1) / float(np.mean(values**2))
