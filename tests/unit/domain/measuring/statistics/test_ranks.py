"""Ranks and confidence bounds of a percentile, and the samples large enough for it."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.measuring.percentiles import nearest_rank as peers
from domain.measuring.statistics.intervals import lower_rank, nearest_rank, quantile_bounds, upper_rank
from domain.measuring.statistics.support import least_successes, supported

PERCENTILES = st.sampled_from([0.5, 0.95, 0.99])


@given(st.lists(st.integers(0, 10**7), min_size=1, max_size=400), PERCENTILES)
def test_the_rank_equals_that_of_the_peers_and_of_numpy(values: list[int], percentile: float) -> None:
    """It is the smallest value with at least that share of all values at or below it."""
    ordered = sorted(values)
    found = ordered[nearest_rank(len(ordered), percentile)]
    assert found == peers(ordered, percentile)
    # numpy computes 0.95 x 20 as slightly more than 19. A minimally smaller share gives the intended rank.
    assert found == np.quantile(ordered, percentile - 1e-12, method="inverted_cdf")


def binomial(most: int, n: int, p: float) -> float:
    """P(at most `most` of n), as a plain sum."""
    return math.fsum(math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(most + 1))


@given(st.integers(1, 400), PERCENTILES, st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_bounds_are_the_nearest_ranks_that_hold(n: int, percentile: float, confidence: float) -> None:
    """Compared with the sum of binomial probabilities: the rank suffices, and the next rank inwards does not."""
    high, low = upper_rank(n, percentile, confidence), lower_rank(n, percentile, confidence)
    if high is None:
        assert binomial(n - 1, n, percentile) < confidence
    else:
        assert binomial(high, n, percentile) >= confidence - 1e-9
        assert high == 0 or binomial(high - 1, n, percentile) < confidence + 1e-9
    if low is None:
        assert binomial(0, n, percentile) > 1 - confidence
    else:
        assert binomial(low, n, percentile) <= 1 - confidence + 1e-9
        assert binomial(low + 1, n, percentile) > 1 - confidence - 1e-9


def test_bounds_cover_the_percentile_as_often_as_stated() -> None:
    """Of 4,000 samples of 200 log-normal latencies, at least 95 % of the intervals contain the true p95."""
    rng = np.random.default_rng(5)
    samples = np.sort(np.exp(0.5 * rng.standard_normal((4_000, 200))), axis=1)
    bounds = quantile_bounds(200, 0.95, 0.95)
    assert bounds is not None
    true = math.exp(0.5 * 1.6448536)
    covered = np.mean((samples[:, bounds[0]] <= true) & (true <= samples[:, bounds[1]]))
    assert 0.95 <= covered < 0.99


@pytest.mark.parametrize(("percentile", "least"), [(0.5, 5), (0.95, 59), (0.99, 299)])
def test_each_percentile_needs_its_least_number_of_successes(percentile: float, least: int) -> None:
    """One fewer bounds it from above with less than 95 % confidence."""
    assert least_successes(percentile) == least
    assert supported(least, percentile)
    assert not supported(least - 1, percentile)
    assert upper_rank(least, percentile, 0.95) == least - 1
    assert upper_rank(least - 1, percentile, 0.95) is None


def test_two_sided_bounds_need_more_successes_than_an_upper_bound() -> None:
    """72 for p95, because each side may then be missed in only 2.5 %."""
    assert quantile_bounds(71, 0.95, 0.95) is None
    assert quantile_bounds(72, 0.95, 0.95) == (63, 71)
    assert quantile_bounds(0, 0.95, 0.95) is None
