"""Percentiles and error rates, by the peers' definition and by ours."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.measuring.percentiles import error_rate, measure, nearest_rank
from domain.traffic.exchange import RequestSample


@given(st.lists(st.integers(0, 10**7), min_size=1, max_size=300), st.sampled_from([0.5, 0.95, 0.99]))
def test_nearest_rank_is_the_smallest_value_that_covers_the_share(values: list[int], p: float) -> None:
    """At least p of all values are at or below it, and fewer than p are below it."""
    ordered = sorted(values)
    found = nearest_rank(ordered, p)
    covered = sum(value <= found for value in ordered)
    below = sum(value < found for value in ordered)
    assert covered / len(ordered) >= p - 1e-12
    assert below < math.ceil(round(p * len(ordered), 9))


@pytest.mark.parametrize(
    ("n", "p", "index"), [(1, 0.99, 0), (20, 0.95, 18), (100, 0.95, 94), (100, 0.99, 98), (4, 0.5, 1)]
)
def test_the_rank_is_ceil_pn_minus_one(n: int, p: float, index: int) -> None:
    """Even if p x n is not exact in binary: 0.95 x 20 must be rank 19."""
    assert nearest_rank(list(range(n)), p) == index


def test_a_percentile_of_no_values_is_zero() -> None:
    """The peers store 0 for an empty sample."""
    assert nearest_rank([], 0.5) == 0


@pytest.mark.parametrize(
    ("errors", "n", "rate"), [(1, 3, 33.33), (2, 3, 66.67), (1, 8, 12.5), (1, 800, 0.13), (0, 0, 0.0)]
)
def test_the_error_rate_is_rounded_half_up_to_two_decimals(errors: int, n: int, rate: float) -> None:
    """0.125 rounds to 0.13. No requests cause no division by zero."""
    assert error_rate(errors, n) == rate


def test_errors_count_in_the_peers_percentiles_but_not_in_ours() -> None:
    """A fast failure improves only the peers' percentiles."""
    samples = [
        RequestSample(latency_us=10_900, status=200),
        RequestSample(latency_us=1_900, status=503, error_kind="status 503"),
        RequestSample(latency_us=5_000_000, status=None, error_kind="timeout"),
        RequestSample(latency_us=20_000, status=302),
    ]
    found = measure(samples, duration_us=1, last_status=302, last_body="")
    assert (found.p50_ms, found.p99_ms) == (10, 5000)
    assert (found.success_p50_us, found.success_p99_us) == (10_900, 20_000)
    assert (found.requests, found.successes, found.errors, found.error_rate) == (4, 2, 2, 50.0)
    assert found.errors_by_kind == {"status 503": 1, "timeout": 1}


SAMPLES = st.builds(
    RequestSample, latency_us=st.integers(0, 10**7), status=st.none() | st.integers(100, 599), error_kind=st.just("")
)


@given(st.lists(SAMPLES, max_size=60))
def test_every_request_is_a_success_or_an_error(samples: list[RequestSample]) -> None:
    """None is counted twice and none is lost, however it ended."""
    found = measure(samples, duration_us=1, last_status=None, last_body="")
    assert found.requests == len(samples) == found.successes + found.errors
    assert sum(found.errors_by_kind.values()) == found.errors


def test_without_a_success_our_latency_is_missing_instead_of_zero() -> None:
    found = measure([RequestSample(latency_us=5, status=500)], duration_us=1, last_status=500, last_body="")
    assert found.success_p95_us is None
    assert found.errors_by_kind == {"status 500": 1}
