"""The bootstrap: its shortcuts match real resampling."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.measuring.percentiles import nearest_rank as peers
from domain.measuring.statistics.resampling import (
    MOST_BLOCKS,
    Blocks,
    autocorrelation,
    blocks_resampled,
    joined,
    pooled,
    requests_resampled,
)

BLOCKS = st.lists(st.lists(st.integers(1, 10**6), min_size=1, max_size=12), min_size=1, max_size=8)


def arrays(blocks: list[list[int]]) -> Blocks:
    return [np.array(block, dtype=np.int64) for block in blocks]


@pytest.mark.parametrize(("requests", "percentile", "rank"), [(200, 0.95, 189), (12, 0.5, 5), (7, 0.99, 6)])
def test_requests_are_resampled_as_if_each_were_drawn(requests: int, percentile: float, rank: int) -> None:
    """Ranks from the Beta distribution are distributed like percentiles of samples that were really drawn."""
    rng = np.random.default_rng(11)
    ordered = np.arange(requests, dtype=np.float64)
    quick = requests_resampled(ordered, percentile, 20_000, rng)
    drawn = np.sort(rng.integers(0, requests, (20_000, requests)), axis=1)[:, rank]
    assert abs(quick.mean() - drawn.mean()) < 0.1
    assert abs(quick.std() - drawn.std()) < 0.1
    assert np.quantile(quick, [0.05, 0.95]).tolist() == pytest.approx(np.quantile(drawn, [0.05, 0.95]), abs=1)


@settings(max_examples=60)
@given(BLOCKS, st.sampled_from([0.5, 0.95, 0.99]), st.integers(0, 10**6))
def test_blocks_are_resampled_as_if_each_were_repeated(blocks: list[list[int]], percentile: float, seed: int) -> None:
    """The bisection finds the percentile of the sample that the weights describe, by the peers' definition."""
    weights = np.random.default_rng(seed).multinomial(len(blocks), [1 / len(blocks)] * len(blocks), size=5)
    found = blocks_resampled(arrays(blocks), percentile, weights)
    for row, value in zip(weights.tolist(), found.tolist(), strict=True):
        sample = sorted(x for block, times in zip(blocks, row, strict=True) for x in block * times)
        assert value == peers(sample, percentile)


def test_independent_requests_show_no_autocorrelation() -> None:
    """Close to 0 for many requests, and 0 if there is nothing to correlate."""
    rng = np.random.default_rng(2)
    assert abs(autocorrelation([1_000 * np.exp(rng.standard_normal(100)) for _ in range(50)])) < 0.05
    assert autocorrelation([]) == autocorrelation([np.array([5])]) == 0
    assert autocorrelation([np.array([5, 5, 5])]) == 0, "no spread"
    assert autocorrelation([np.array([5]), np.array([9]), np.array([2])]) == 0, "no neighbours"


def test_dependence_within_and_between_blocks_shows_as_autocorrelation() -> None:
    """A level that wanders from request to request, or from block to block, is dependence."""
    rng = np.random.default_rng(2)
    noise = rng.standard_normal(5_000)
    wandering = np.empty(5_000)
    wandering[0] = noise[0]
    for i in range(1, 5_000):
        wandering[i] = 0.6 * wandering[i - 1] + noise[i]
    assert autocorrelation(np.split(1_000 * np.exp(wandering), 50)) == pytest.approx(0.6, abs=0.05)
    levels = [1_000 * np.exp(rng.standard_normal() + rng.standard_normal(100)) for _ in range(50)]
    assert autocorrelation(levels) > 0.3


def test_requests_of_different_blocks_are_not_neighbours() -> None:
    """The last request of a block and the first of the next were minutes apart."""
    assert autocorrelation([np.array([1, 1000]), np.array([1000, 1])]) == pytest.approx(-1)


def test_many_blocks_are_joined_in_order() -> None:
    """No request is lost or moved."""
    blocks = [np.array([i, i + 1]) for i in range(2 * MOST_BLOCKS + 7)]
    together = joined(blocks)
    assert len(together) == MOST_BLOCKS
    assert pooled(together).tolist() == pooled(blocks).tolist()
    assert len(joined(blocks[:3])) == 3


def test_a_latency_is_at_least_a_microsecond() -> None:
    """Ratios and logarithms stay finite."""
    assert pooled([np.array([0, 3])]).tolist() == [1, 3]
