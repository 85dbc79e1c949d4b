"""Bootstrap of a percentile: its value in other samples like this one.

Latencies are in microseconds. `Blocks` are one arm's successful requests in the order they were sent, block by block.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from domain.measuring.statistics.intervals import nearest_rank

Latencies = npt.NDArray[np.float64]
Blocks = list[npt.NDArray[np.integer] | npt.NDArray[np.floating]]

MOST_BLOCKS = 100
"""Blocks that are resampled, at most. With more, neighbours are joined, which saves memory and keeps dependence within
blocks."""


def pooled(blocks: Blocks) -> Latencies:
    """Return all latencies of an arm, unsorted, at least 1 us each."""
    if not blocks:
        return np.empty(0)
    latencies: Latencies = np.concatenate(blocks, dtype=np.float64)
    # Ratios and logarithms are taken of them, so none may be 0.
    return np.maximum(latencies, 1.0)


def autocorrelation(blocks: Blocks) -> float:
    """Return how each request's log latency correlates with the next one's.

    Only within blocks; 0 if there is nothing to correlate. The mean is that of the whole arm: latencies that differ
    from block to block are dependent too, and count.
    """
    level = np.log(pooled(blocks))
    if level.size < 2:
        return 0.0
    level -= level.mean()
    spread = float(level @ level) / level.size
    products = level[:-1] * level[1:]
    # The last request of a block and the first of the next one are no neighbours.
    ends = np.cumsum([len(block) for block in blocks])[:-1] - 1
    products[ends[(ends >= 0) & (ends < products.size)]] = 0.0
    pairs = sum(max(0, len(block) - 1) for block in blocks)
    return float(products.sum()) / pairs / spread if pairs and spread > 1e-12 else 0.0


def requests_resampled(ordered: Latencies, percentile: float, rounds: int, rng: np.random.Generator) -> Latencies:
    """Return the percentile of `rounds` bootstrap samples of single requests.

    The k-th smallest of n uniform numbers has a Beta(k, n-k+1) distribution. The rank of a resample's percentile is
    therefore drawn directly. That has the same distribution as drawing n requests, without drawing them.
    """
    rank = nearest_rank(ordered.size, percentile)
    drawn = rng.beta(rank + 1, ordered.size - rank, size=rounds) * ordered.size
    return ordered[np.minimum(drawn.astype(np.int64), ordered.size - 1)]


def block_weights(blocks: int, rounds: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Draw how often each block is in each of `rounds` bootstrap samples.

    Each sample has as many blocks, drawn with replacement.
    """
    return rng.multinomial(blocks, np.full(blocks, 1 / blocks), size=rounds)


def blocks_resampled(blocks: Blocks, percentile: float, weights: npt.NDArray[np.int64]) -> Latencies:
    """Return the percentile of each bootstrap sample of blocks.

    Sample i has block b `weights[i, b]` times. One bisection finds all percentiles.
    """
    ordered = np.sort(pooled(blocks))
    at_or_below = np.stack([np.searchsorted(np.sort(pooled([block])), ordered, side="right") for block in blocks], 1)
    sizes = weights @ np.array([len(block) for block in blocks])
    # Rounded before the ceiling, as in `nearest_rank`.
    wanted = np.maximum(1, np.ceil(np.round(percentile * sizes, 9)))
    low, high = np.zeros(len(weights), dtype=np.int64), np.full(len(weights), ordered.size - 1)
    while np.any(low < high):
        middle = (low + high) // 2
        reached = np.einsum("ib,ib->i", weights, at_or_below[middle]) >= wanted
        high = np.where(reached, middle, high)
        low = np.where(reached, low, middle + 1)
    return ordered[low]


def joined(blocks: Blocks) -> Blocks:
    """Join neighbours until there are at most `MOST_BLOCKS` blocks."""
    groups = np.array_split(np.arange(len(blocks)), min(len(blocks), MOST_BLOCKS))
    return [pooled([blocks[index] for index in group]) for group in groups]
