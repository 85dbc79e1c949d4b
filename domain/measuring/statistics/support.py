"""Whether a sample supports a percentile at all (`measuring` section 2)."""

from __future__ import annotations

from math import ceil, log


def least_successes(percentile: float, confidence: float = 0.95) -> int:
    """Return the fewest successful requests that bound a percentile from above.

    With 95 % confidence: 5 for p50, 59 for p95, 299 for p99. The largest of n samples lies above the percentile with
    probability 1 - percentile^n.
    """
    return ceil(round(log(1 - confidence) / log(percentile), 9))


def supported(successes: int, percentile: float, confidence: float = 0.95) -> bool:
    """Return whether enough requests succeeded to show this percentile to people."""
    return successes >= least_successes(percentile, confidence)
