"""Where a true percentile lies, by ranks alone: holds for any distribution of latencies (Wilks; measuring.md 2).

Of n independent samples the number at or below the true percentile is binomial (n, p), so the sample of rank r lies
above it with a probability that no distribution changes. Ties only make the statements safer.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from math import ceil

from scipy.special import bdtr


def nearest_rank(samples: int, percentile: float) -> int:
    """The 0-based rank of a percentile by the peers' definition: `logic/percentiles.py` on sorted values.

    Args:
        samples: at least 1.
        percentile: share of the samples, between 0 and 1.
    """
    # Rounded before the ceiling, as there: 0.95 x 20 is 19.000000000000004 in binary.
    return max(0, ceil(round(percentile * samples, 9)) - 1)


def upper_rank(samples: int, percentile: float, confidence: float) -> int | None:
    """The lowest 0-based rank whose sample is at or above the true percentile with at least this confidence.

    None where even the largest sample is not: 58 samples say nothing of a p95 with 95 %.
    """
    rank = bisect_left(range(samples), confidence, key=lambda k: float(bdtr(k, samples, percentile)))
    return rank if rank < samples else None


def lower_rank(samples: int, percentile: float, confidence: float) -> int | None:
    """The highest 0-based rank whose sample is at or below the true percentile with at least this confidence."""
    rank = bisect_right(range(samples), 1 - confidence, key=lambda k: float(bdtr(k, samples, percentile))) - 1
    return rank if rank >= 0 else None


def quantile_bounds(successes: int, percentile: float, confidence: float) -> tuple[int, int] | None:
    """Ranks (0-based) between whose samples the true percentile lies with this confidence, as much below as above.

    None where there are too few samples for that; an upper bound alone needs fewer (`upper_rank`).
    """
    each = (1 + confidence) / 2
    low, high = lower_rank(successes, percentile, each), upper_rank(successes, percentile, each)
    return None if low is None or high is None else (low, high)
