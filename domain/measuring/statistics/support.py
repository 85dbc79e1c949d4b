"""Whether a sample may speak of a percentile at all (measuring.md 2)."""

from __future__ import annotations

from math import ceil, log


def least_successes(percentile: float, confidence: float = 0.95) -> int:
    """Successful requests without which nothing bounds this percentile from above: 5 for p50, 59 for p95, 299 for p99.

    The largest of n samples lies above the percentile with probability 1 - percentile^n.
    """
    return ceil(round(log(1 - confidence) / log(percentile), 9))


def supported(successes: int, percentile: float, confidence: float = 0.95) -> bool:
    """Whether people may be shown this percentile of so many successful requests."""
    return successes >= least_successes(percentile, confidence)
