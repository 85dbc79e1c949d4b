"""Sample sizes that a claim needs."""

import numpy as np
import pytest

from domain.measuring.statistics.sizes import requests_needed


@pytest.mark.parametrize(
    ("effect", "sizes"), [(0.1, (535, 1_520, 4_743)), (0.2, (147, 416, 1_297)), (0.5, (30, 84, 263))]
)
def test_sample_sizes_match_the_table_of_measuring_md(effect: float, sizes: tuple[int, int, int]) -> None:
    """p50, p95 and p99 at the usual scale, 5 % and power 0.8."""
    assert tuple(requests_needed(percentile, effect) for percentile in (0.5, 0.95, 0.99)) == sizes


def test_the_sample_size_grows_with_the_square_of_the_scale() -> None:
    """Twice the scale needs four times the requests, apart from rounding up."""
    assert 4 * 1_519 < requests_needed(0.95, 0.1, sigma=1.0) <= 4 * 1_520


def test_a_margin_and_a_family_of_cases_need_more_requests() -> None:
    """+30 % over a margin of 10 %, in one of 50 cases."""
    assert requests_needed(0.95, 0.3, alpha=0.05 / 50) == 502
    assert requests_needed(0.95, 0.3, margin=0.1, alpha=0.05 / 50) == 1_237
    assert requests_needed(0.95, 0.3, margin=0.1, power=0.9) > requests_needed(0.95, 0.3, margin=0.1)


def test_an_effect_within_the_margin_has_no_sample_size() -> None:
    """No number is enough, and none is invented."""
    with pytest.raises(ValueError, match="margin"):
        requests_needed(0.95, 0.1, margin=0.1)


def test_the_sample_size_has_the_requested_power() -> None:
    """2,000 pairs of arms of this size: a true +50 % is found in four of five."""
    n = requests_needed(0.95, 0.5)
    rng = np.random.default_rng(3)
    arms = np.quantile(0.5 * rng.standard_normal((2, 4_000, n)), 0.95, axis=2, method="inverted_cdf")
    apart = arms[0] - arms[1]
    critical = np.quantile(apart, 0.95)
    assert 0.77 < np.mean(apart + np.log(1.5) > critical) < 0.85
