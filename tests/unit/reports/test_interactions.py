"""When a pair counts as worse than its two singles together."""

from __future__ import annotations

import random
from typing import Any

import pytest

from domain.measuring.load import CaseType
from domain.measuring.percentiles import nearest_rank
from domain.plans.slo import Percentile, Regression
from reports.build.distributions import distribution
from reports.build.interactions import Baselines, interaction
from reports.model.report import CaseReport, CaseState, Interaction
from reports.text.figures import interaction_in_words

NORMAL = {index: {Percentile.P50: 10.0, Percentile.P95: 100.0, Percentile.P99: None} for index in (1, 2, 3)}


def case(index: int, errors: int = 0, requests: int = 1000, **changes: Any) -> CaseReport:
    facts = {"p95_ms": 100.0, "p50_ms": 10.0, "requests": requests, "successes": requests - errors}
    facts |= {"error_rate": 100 * errors / requests}
    # Enough samples at p95 for the difference to be certain.
    facts["histogram"] = distribution([(10_000, requests - 100), (round(1000 * (changes.get("p95_ms") or 100)), 100)])
    return CaseReport(
        index=index, case_id=str(index), case_type=CaseType.SINGLE, services=[], state=CaseState.PASSED
    ).model_copy(update=facts | changes)


BASELINES: Baselines = {None: case(0).histogram}


def found(
    pair: CaseReport, *singles: CaseReport, normal: Any = NORMAL, baselines: Baselines = BASELINES
) -> Interaction:
    result = interaction(pair, list(singles), normal, Regression(), baselines)
    assert result is not None
    return result


def test_independent_errors_are_no_interaction() -> None:
    """Each service alone makes half of the requests fail: three quarters are expected to fail with both."""
    result = found(case(1, 750), case(2, 500), case(3, 500))
    assert (result.error_points, result.expected_error_rate, result.error_points_unexpected) == (25, 75, 0)
    assert not result.worse


def test_more_errors_than_expected_are_an_interaction() -> None:
    """Six points more, or ten, of a thousand requests each."""
    assert found(case(1, 60), case(2), case(3)).worse
    assert found(case(1, 750 + 100), case(2, 500), case(3, 500)).worse


def test_an_excess_of_less_than_five_points_is_no_interaction() -> None:
    """However certain they are."""
    assert not found(case(1, 4900, 100_000), case(2, 0, 100_000), case(3, 0, 100_000)).worse


@pytest.mark.parametrize(("errors", "worse"), [(1, False), (2, False), (12, True)])
def test_few_requests_prove_little(errors: int, worse: bool) -> None:
    """One of 12 may fail by chance; all of them do not."""
    assert found(case(1, errors, 12), case(2, 0, 12), case(3, 0, 12)).worse is worse


def test_delays_that_add_up_are_no_interaction() -> None:
    """Each single adds what it takes longer than the baseline beside it."""
    result = found(case(1, p95_ms=160.0), case(2, p95_ms=120.0), case(3, p95_ms=140.0))
    assert (result.percentile, result.expected_ms, result.excess_ms, result.times_expected) == ("p95", 160, 0, 1)
    assert not result.worse
    assert found(case(1, p95_ms=180.0), case(2, p95_ms=120.0), case(3, p95_ms=140.0)).worse


def test_the_median_is_used_if_samples_are_small() -> None:
    """For all three cases or for none: different percentiles cannot be compared."""
    result = found(case(1, p50_ms=35.0), case(2, p95_ms=None, p50_ms=15.0), case(3, p50_ms=20.0))
    assert (result.percentile, result.expected_ms, result.excess_ms) == ("p50", 25, 10)


def test_errors_are_reported_even_without_latencies() -> None:
    """All requests of the pair failed."""
    result = found(case(1, 1000, p50_ms=None, p95_ms=None), case(2), case(3))
    assert (result.percentile, result.expected_ms, result.worse) == (None, None, True)


def test_a_baseline_that_grew_slower_is_no_interaction() -> None:
    """Each case is compared with the baseline beside it."""
    normal = NORMAL | {1: {Percentile.P50: 10.0, Percentile.P95: 200.0, Percentile.P99: None}}
    assert found(case(1, p95_ms=200.0), case(2), case(3), normal=normal).excess_ms == 0


def test_a_pair_that_fails_although_both_singles_pass_is_reported() -> None:
    """Even if its delays only add up: no single failure shows that."""
    pair = case(1, state=CaseState.FAILED)
    result = found(pair, case(2), case(3))
    assert result.only_together
    assert interaction_in_words(result) == "fails only together, p95 100 ms where the two add up to 100 ms"
    assert not found(pair, case(2, state=CaseState.FAILED), case(3)).only_together


def test_no_interaction_is_reported_if_a_case_is_missing() -> None:
    """Neither a good nor a bad one."""
    assert interaction(case(1), [case(2)], NORMAL, Regression(), BASELINES) is None
    assert interaction(case(1), [case(2), case(3, error_rate=None)], NORMAL, Regression(), BASELINES) is None
    assert interaction(case(1, error_rate=None), [case(2), case(3)], NORMAL, Regression(), BASELINES) is None


def test_a_pair_as_slow_as_its_slower_single_is_no_interaction() -> None:
    """The other single may be faster than the baseline, because work is left out.

    That does not lower what is expected.
    """
    result = found(case(1, p95_ms=300.0), case(2, p95_ms=60.0), case(3, p95_ms=300.0))
    assert (result.expected_ms, result.excess_ms, result.worse) == (300, 0, False)


def test_a_latency_without_samples_is_reported_but_not_judged() -> None:
    """It is then unknown how much of it is chance."""
    result = found(case(1, p95_ms=900.0, histogram=None), case(2), case(3))
    assert (result.excess_ms, result.worse) == (800, False)
    assert not found(case(1, p95_ms=900.0), case(2), case(3), baselines={}).worse


def drawn(index: int, rng: random.Random, requests: int, times: float = 1.0) -> CaseReport:
    """Return a case of a system with realistic latencies: around 100 ms, varying by a third."""
    taken = sorted(round(100_000 * times * rng.lognormvariate(0, 0.33)) for _ in range(requests))
    p50, p95 = (nearest_rank(taken, share) / 1000 for share in (0.5, 0.95))
    enough = p95 if requests >= 59 else None
    return case(
        index, 0, requests, p50_ms=p50, p95_ms=enough, histogram=distribution((latency, 1) for latency in taken)
    )


@pytest.mark.parametrize("requests", [12, 60, 300])
def test_chance_is_almost_never_reported_as_an_interaction(requests: int) -> None:
    """However few the requests are. A pair that really is slower is found all the same."""
    rng = random.Random(requests)  # noqa: S311 - the same samples each time
    worse = slowed = 0
    for _ in range(200):
        base, *others = [drawn(index, rng, requests) for index in range(4)]
        levels = {Percentile.P50: base.p50_ms, Percentile.P95: base.p95_ms}
        normal, baselines = dict.fromkeys((1, 2, 3), levels), {None: base.histogram}
        worse += found(*others, normal=normal, baselines=baselines).worse
        slow = drawn(1, rng, requests, times=4)
        slowed += found(slow, *others[1:], normal=normal, baselines=baselines).worse
    assert worse <= 2
    assert slowed >= 190
