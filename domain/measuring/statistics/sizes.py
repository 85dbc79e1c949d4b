"""How many requests a claim needs (`measuring` section 2)."""

from __future__ import annotations

from math import ceil, exp, log, pi, sqrt

from scipy.special import ndtri

USUAL_SIGMA = 0.5
"""Scale of log-normal latencies if nothing is known. The numbers needed grow with its square."""


def requests_needed(
    percentile: float,
    effect: float,
    *,
    margin: float = 0.0,
    alpha: float = 0.05,
    power: float = 0.8,
    sigma: float = USUAL_SIGMA,
) -> int:
    """Return the successful requests that each arm needs to show a slowdown.

    For two arms of equal size. The result follows from the variance of a sample percentile, p(1-p)/(n f^2), with the
    density f of log-normal latencies, on the logarithm of the ratio, one-sided.

    Args:
        percentile: share, between 0 and 1.
        effect: how much slower, 0.3 for +30 %.
        margin: how much slower is not yet a regression.
        alpha: chance of a false alarm; for m cases with a family-wise level, that level / m.
        power: chance of an alarm if the effect is real.
        sigma: scale of the logarithm of the latencies.

    Raises:
        ValueError: the effect lies within the margin, so no number is enough.
    """
    if effect <= margin:
        raise ValueError(f"an effect of {effect:g} cannot be distinguished from a margin of {margin:g}")
    z = float(ndtri(percentile))
    density = exp(-z * z / 2) / sqrt(2 * pi) / sigma
    distance = log((1 + effect) / (1 + margin))
    return ceil(2 * ((_z(1 - alpha) + _z(power)) / (density * distance)) ** 2 * percentile * (1 - percentile))


def _z(probability: float) -> float:
    return float(ndtri(probability))
