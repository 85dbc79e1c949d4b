"""Arms of latencies with a known true distribution."""

import numpy as np

from domain.measuring.statistics.resampling import Blocks

MEDIAN_US = 50_000


def arm(rng: np.random.Generator, requests: int, factor: float = 1.0, block: int = 50, sigma: float = 0.5) -> Blocks:
    """Draw log-normal latencies in microseconds, `factor` times the usual ones, in blocks."""
    latencies = (factor * MEDIAN_US * np.exp(sigma * rng.standard_normal(requests))).astype(np.int64)
    return [latencies[start : start + block] for start in range(0, requests, block)]


def rounds(rng: np.random.Generator, count: int, factor: float, drift: float, block: int = 30) -> tuple[Blocks, Blocks]:
    """Draw a case and its control in rounds in which the whole system is faster or slower."""
    levels = np.exp(drift * rng.standard_normal(count))
    case = [arm(rng, block, factor * level)[0] for level in levels]
    return case, [arm(rng, block, level)[0] for level in levels]
