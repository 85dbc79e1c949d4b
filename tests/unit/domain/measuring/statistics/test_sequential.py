"""The sequential test decides when a case has been measured enough."""

from functools import cache
from math import log

import numpy as np
import pytest

from domain.measuring.comparison import Finding
from domain.measuring.statistics.regression import RegressionSpec
from domain.measuring.statistics.resampling import Blocks
from domain.measuring.statistics.sequential import Look, SequentialTest, Wald, discount, look, thresholds
from tests.support.arms import MEDIAN_US, arm, rounds

SPEC = RegressionSpec()
P95_US = MEDIAN_US * np.exp(0.5 * 1.6448536)


@cache
def ends(share: float, times: int = 2_000, alpha: float = 0.05) -> tuple[float, float]:
    """Return the mean number of requests and the share of alarms if this share of requests is slow."""
    rng = np.random.default_rng(9)
    tests = []
    for _ in range(times):
        test = SequentialTest(0.95, alpha, 0.1)
        while test.decision is None:
            for slow in (rng.random(64) < share).tolist():
                test.add(slow)
        tests.append(test)
    alarms = np.mean([test.decision is Finding.REGRESSION for test in tests])
    return float(np.mean([test.requests for test in tests])), float(alarms)


@pytest.mark.parametrize(("share", "requests"), [(0.05, 124), (0.10, 124), (0.2, 33), (0.5, 10)])
def test_the_requests_needed_match_measuring_md(share: float, requests: int) -> None:
    """E[n] of measuring.md, section 4: with as many slow requests as allowed, twice as many, and more."""
    assert ends(share)[0] == pytest.approx(requests, rel=0.06)


def test_the_error_rates_match_measuring_md() -> None:
    """Type I error .040 under the stated .05, power .903 over .9."""
    assert ends(0.05)[1] == pytest.approx(0.040, abs=0.013)
    assert ends(0.10)[1] == pytest.approx(0.903, abs=0.02)


def test_the_false_alarm_level_is_divided_among_the_cases_of_a_run() -> None:
    """At 5 % / 50, a case with exactly the allowed share of slow requests hardly ever raises an alarm."""
    assert ends(0.05, times=600, alpha=0.05 / 50)[1] < 0.006


def test_the_boundaries_follow_wald() -> None:
    """Evidence per request and the boundaries for p95. Other percentiles use the same odds."""
    wald = Wald(0.95, 0.05, 0.1)
    assert wald.slow == pytest.approx(log(2))
    assert wald.fast == pytest.approx(log(0.9 / 0.95))
    assert (wald.alarm, wald.passing) == (pytest.approx(log(18)), pytest.approx(log(0.1 / 0.95)))
    assert Wald(0.99, 0.05, 0.1).slow == pytest.approx(log(2.0876), abs=1e-3)
    assert Wald(0.5, 0.05, 0.1).slow == pytest.approx(log(0.6786 / 0.5), abs=1e-3)


def test_the_sequential_test_decides_both_ways_and_stays_decided() -> None:
    """Five slow requests in a row raise an alarm (2^5 > 18), 42 fast ones pass. Later requests change nothing."""
    slow, fast = SequentialTest(0.95, 0.05, 0.1), SequentialTest(0.95, 0.05, 0.1)
    assert [slow.add(True) for _ in range(5)] == [None] * 4 + [Finding.REGRESSION]
    assert [fast.add(False) for _ in range(42)] == [None] * 41 + [Finding.EQUIVALENT]
    for _ in range(100):
        assert slow.add(False) is Finding.REGRESSION
        assert fast.add(True) is Finding.EQUIVALENT
    assert (slow.requests, slow.exceeded, fast.requests, fast.exceeded) == (5, 5, 42, 0)


def test_thresholds_enclose_the_true_limit_closer_with_more_requests() -> None:
    """They are the limits computed from both bounds of the control."""
    rng = np.random.default_rng(1)
    few, many = thresholds(arm(rng, 200), SPEC), thresholds(arm(rng, 20_000), SPEC)
    assert few.equivalent_us
    assert few.regression_us
    assert many.equivalent_us
    assert many.regression_us
    assert few.equivalent_us < many.equivalent_us < 1.1 * P95_US < many.regression_us < few.regression_us
    assert many.regression_us / many.equivalent_us < 1.06
    assert few.lacking == many.lacking == 0


def test_thresholds_respect_the_least_absolute_difference() -> None:
    """With a control at 10 ms, a request is slow from 15 ms."""
    assert thresholds([np.array([10_000] * 100)], SPEC).regression_us == 15_000


def test_dependent_requests_count_for_less() -> None:
    """In the control the bounds move apart. In the case the evidence shrinks."""
    calm, drifting = (
        rounds(np.random.default_rng(1), 40, 1.0, 0.0)[1],
        rounds(np.random.default_rng(1), 40, 1.0, 1.0)[1],
    )
    assert discount(calm) == 1.0
    assert discount(drifting) < 0.4
    assert thresholds(calm, SPEC).weight == 1.0
    assert thresholds(drifting, SPEC).weight == discount(drifting)
    wide, plain = (
        thresholds(drifting, SPEC),
        thresholds([np.random.default_rng(1).permutation(np.concatenate(drifting))], SPEC),
    )
    assert wide.regression_us
    assert plain.regression_us
    assert wide.equivalent_us
    assert plain.equivalent_us
    assert wide.regression_us > plain.regression_us
    assert wide.equivalent_us < plain.equivalent_us


def measured(factor: float, seed: int, most: int, cases: int = 50, drift: float = 0.0) -> tuple[Look, int]:
    """Measure rounds of 50 requests of a case and its control until it is decided or `most` are sent."""
    rng, wald = np.random.default_rng(seed), Wald(0.95, 0.05 / cases, 0.1)
    case: Blocks = []
    control: Blocks = []
    seen = Look(None, None)
    while seen.decision is None and 50 * len(case) < most:
        level = np.exp(drift * rng.standard_normal())
        case += arm(rng, 50, factor * level)
        control += arm(rng, 50, level)
        seen = look(case, thresholds(control, SPEC), wald)
    return seen, 50 * len(case)


def test_a_case_equal_to_its_control_passes_early() -> None:
    """None of 30 raises an alarm, and they need a fraction of the 1,237 requests of a fixed sample size."""
    found = [measured(1.0, seed, 3_000) for seed in range(30)]
    assert {seen.decision for seen, _ in found} == {Finding.EQUIVALENT}
    assert np.mean([sent for _, sent in found]) < 500


def test_a_slower_case_is_found_and_hardly_ever_passes() -> None:
    """+30 % with a control as large as the case is found. A case 2.5 times as slow is found within a few rounds."""
    found = [measured(1.3, seed, 4_000)[0].decision for seed in range(30)]
    assert found.count(Finding.REGRESSION) >= 0.8 * 30
    assert found.count(Finding.EQUIVALENT) <= 0.1 * 30
    assert max(measured(2.5, seed, 3_000)[1] for seed in range(10)) <= 500


def test_nothing_is_decided_until_the_control_bounds_its_percentile() -> None:
    """However slow the case is. The look shows how many requests the control lacks."""
    rng = np.random.default_rng(1)
    seen = look(arm(rng, 1_000, 9.0), thresholds(arm(rng, 40), SPEC), Wald(0.95, 0.001, 0.1))
    assert seen == Look(None, 19)
    strict = RegressionSpec(confidence=0.99)
    assert look([], thresholds(arm(rng, 40), strict), Wald(0.95, 0.001, 0.1)) == Look(None, 50)
    assert look([], thresholds([], SPEC), Wald(0.95, 0.001, 0.1)) == Look(None, 59)


def test_nothing_is_decided_without_a_success_of_the_case() -> None:
    """It has no latency. Its errors are judged separately."""
    seen = look([], thresholds(arm(np.random.default_rng(1), 500), SPEC), Wald(0.95, 0.001, 0.1))
    assert seen == Look(None, None)


def test_an_undecided_case_reports_how_many_more_requests_it_needs() -> None:
    """Moving towards either boundary, it needs as many as that pace takes.

    Between the thresholds, no number is reported.
    """
    control = thresholds(arm(np.random.default_rng(1), 50_000), SPEC)
    assert control.regression_us
    assert control.equivalent_us
    wald = Wald(0.95, 0.001, 0.1)

    def case(slow: int, requests: int, slow_us: float = 10**6) -> Blocks:
        # Spread evenly: neighbours must not look dependent.
        return [
            np.where(np.arange(requests) % (requests // slow) == 0, slow_us, 1_000) if slow else np.full(requests, 1e3)
        ]

    assert look(case(0, 21), control, wald) == Look(None, 22)
    rising = look(case(10, 80), control, wald)
    assert rising.decision is None
    assert rising.more_requests is not None
    assert rising.more_requests == pytest.approx(80 * wald.alarm / wald.evidence(80, 10) - 80, abs=1)
    between = (control.regression_us + control.equivalent_us) / 2
    assert look(case(20, 200, between), control, wald) == Look(None, None)


def test_requests_that_were_slow_together_count_for_less() -> None:
    """Twenty in a row are one event. Twenty spread over the rounds are twenty."""
    beside, wald = thresholds(arm(np.random.default_rng(1), 50_000), SPEC), Wald(0.95, 0.001, 0.1)
    slow = np.zeros(100, dtype=bool)
    slow[:20] = True
    spread = np.random.default_rng(4).permutation(slow)
    assert look([np.where(spread, 10**6, 50_000)], beside, wald).decision is Finding.REGRESSION
    assert look([np.where(slow, 10**6, 50_000)], beside, wald).decision is None


def test_drift_raises_no_alarms() -> None:
    """The system is twice as slow in some rounds, in both arms."""
    found = [measured(1.0, seed, 1_000, drift=0.5)[0].decision for seed in range(20)]
    assert Finding.REGRESSION not in found
