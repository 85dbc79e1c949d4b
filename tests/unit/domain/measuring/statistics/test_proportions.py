"""Error rates of two runs: the tests are exact, so every outcome of small samples is tried, not a random choice."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import comb

from domain.measuring.statistics.proportions import (
    Failures,
    more_requests,
    rise_at_least,
    rise_at_most,
    rise_p_value,
)


def chance_of_alarm(before: int, after: int, margin: float, alpha: float) -> float:
    """Return the probability, at the worst rate, of an alarm when the rise equals the margin."""
    alarms = np.array(
        [
            [rise_at_least(Failures(a, before), Failures(b, after), alpha) > margin for b in range(after + 1)]
            for a in range(before + 1)
        ]
    )
    return max(
        float(_binomial(before, rate) @ alarms @ _binomial(after, rate + margin))
        for rate in np.linspace(0, 1 - margin, 51)
    )


def _binomial(n: int, p: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    k = np.arange(n + 1)
    return np.asarray(comb(n, k) * p**k * (1 - p) ** (n - k))


@pytest.mark.parametrize("margin", [0.0, 0.05])
@pytest.mark.parametrize("alpha", [0.05, 0.003])
@pytest.mark.parametrize(("before", "after"), [(1, 1), (5, 5), (12, 12), (12, 25), (25, 12)])
def test_false_alarms_are_no_more_frequent_than_their_level(
    before: int, after: int, margin: float, alpha: float
) -> None:
    """Whatever the true rates are: every outcome is weighted with its probability."""
    assert chance_of_alarm(before, after, margin, alpha) <= alpha


def test_small_samples_prove_large_rises_and_bound_small_ones() -> None:
    """A dozen requests show that a service is gone. As few requests as bound a p95 bound the errors to the margin."""
    assert rise_p_value(Failures(0, 12), Failures(12, 12), 0.05) < 1e-5
    assert rise_p_value(Failures(0, 1), Failures(1, 1), 0.0) > 0.05
    assert rise_at_most(Failures(0, 59), Failures(0, 59), 0.05) < 0.05
    assert rise_at_most(Failures(0, 58), Failures(0, 58), 0.05) > 0.05
    assert rise_p_value(Failures(3, 20), Failures(1, 20), 0.0) == 1.0


samples = st.integers(1, 40).flatmap(lambda n: st.builds(Failures, st.integers(0, n), st.just(n)))


@given(samples, samples, st.sampled_from([0.0, 0.05, 0.2]), st.sampled_from([0.2, 0.05, 0.001]))
def test_the_bound_and_the_p_value_agree(before: Failures, after: Failures, margin: float, alpha: float) -> None:
    """The lower bound is above the margin exactly if the p-value is at most the level."""
    bound = rise_at_least(before, after, alpha)
    if abs(bound - margin) > 1e-6:
        assert (rise_p_value(before, after, margin) <= alpha) == (bound > margin)
    assert bound <= after.rate - before.rate <= rise_at_most(before, after, alpha)


def test_consecutive_failures_count_as_few_requests() -> None:
    """Twenty at once are one incident. The same number spread out is a rate."""
    burst = [False] * 90 + [True] * 20 + [False] * 90
    spread = ([True] + [False] * 9) * 20
    quiet = Failures.of([False] * 200)
    assert (quiet.requests, Failures.of(spread).requests) == (200, 200)
    assert Failures.of(burst).requests < 20
    assert Failures.of(burst).rate == pytest.approx(0.1)
    assert rise_p_value(quiet, Failures.of(spread), 0.0) < 0.001
    assert rise_p_value(quiet, Failures.of(burst), 0.0) > 0.05
    assert Failures.of([True]).requests == 1


def test_the_suggested_number_of_further_requests_is_just_enough() -> None:
    """A few fewer would not do. If the rate has risen by more than the margin, no number would."""
    for failed, requests in ((0, 12), (1, 50)):
        more = more_requests(Failures(failed, requests), Failures(failed, requests), 0.05, 0.05)
        assert more is not None
        for extra, enough in ((more + 2, True), (more - 2, False)):
            times = (requests + extra) / requests
            failures = Failures(failed * times, requests * times)
            assert (rise_at_most(failures, failures, 0.05) < 0.05) is enough
    assert more_requests(Failures(0, 12), Failures(6, 12), 0.05, 0.05) is None
