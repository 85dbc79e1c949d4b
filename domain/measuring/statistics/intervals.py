"""Where a true percentile lies, by ranks alone (Wilks; `measuring` section 2).

This holds for any distribution of latencies. Of n independent samples, the number at or below the true percentile is
binomial (n, p). The probability that the sample of rank r lies above it is therefore the same for every distribution.
Ties only make the statements safer.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from math import ceil

from scipy.special import bdtr


def nearest_rank(samples: int, percentile: float) -> int:
    """Return the 0-based rank of a percentile by the peers' definition.

    The value at this rank is what `domain/measuring/percentiles.py` returns for sorted values.

    Args:
        samples: at least 1.
        percentile: share of the samples, between 0 and 1.
    """
    # Rounded before the ceiling, as in `percentiles.py`: a product may be slightly too large in binary.
    return max(0, ceil(round(percentile * samples, 9)) - 1)


def upper_rank(samples: int, percentile: float, confidence: float) -> int | None:
    """Return the lowest rank that bounds the true percentile from above.

    Ranks are 0-based. The sample of this rank is at or above the true percentile with at least this confidence. None if
    not even the largest sample is: 58 samples cannot bound a p95 with 95 %.
    """
    # The probability that rank k is above the percentile grows with k, so it can be bisected.
    rank = bisect_left(range(samples), confidence, key=lambda k: float(bdtr(k, samples, percentile)))
    return rank if rank < samples else None


def lower_rank(samples: int, percentile: float, confidence: float) -> int | None:
    """Return the highest rank that bounds the true percentile from below.

    Ranks are 0-based. The sample of this rank is at or below the true percentile with at least this confidence. None if
    not even the smallest sample is.
    """
    rank = bisect_right(range(samples), 1 - confidence, key=lambda k: float(bdtr(k, samples, percentile))) - 1
    return rank if rank >= 0 else None


def quantile_bounds(successes: int, percentile: float, confidence: float) -> tuple[int, int] | None:
    """Return the two ranks between which the true percentile lies.

    Ranks are 0-based. The interval holds with this confidence, and errs as often below as above. None if there are too
    few samples for it; an upper bound alone needs fewer (`upper_rank`).
    """
    bound_confidence = (1 + confidence) / 2
    low, high = lower_rank(successes, percentile, bound_confidence), upper_rank(successes, percentile, bound_confidence)
    return None if low is None or high is None else (low, high)
