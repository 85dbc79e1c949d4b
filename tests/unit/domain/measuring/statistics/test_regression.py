"""A case compared with its control: every verdict, and how often it is wrong."""

import numpy as np
import pytest

from domain.measuring.comparison import Comparison, Finding
from domain.measuring.percentiles import nearest_rank
from domain.measuring.statistics.regression import LEAST_BLOCKS, RegressionSpec, _Resampled, compare
from domain.measuring.statistics.resampling import Blocks
from domain.plans.slo import Percentile, Regression
from domain.plans.validation.load_rules import LEAST_SUCCESSES
from tests.support.arms import arm, rounds

SPEC = RegressionSpec()


def compared(factor: float, requests: int, seed: int = 1, spec: RegressionSpec = SPEC) -> Comparison:
    rng = np.random.default_rng(seed)
    return compare(arm(rng, requests, factor), arm(rng, requests), spec, rng_seed=seed)


def test_a_much_slower_case_is_a_regression() -> None:
    """The whole interval is above the limit, and the p-value is small enough for a run of many cases."""
    found = compared(2.0, 1_000)
    assert found.finding is Finding.REGRESSION
    assert found.low is not None
    assert found.ratio is not None
    assert found.high is not None
    assert found.limit == 1.1 < found.low < found.ratio < found.high
    assert found.p_value < 1e-5
    assert found.more_requests is None


@pytest.mark.parametrize("factor", [1.0, 0.5])
def test_an_equally_fast_or_faster_case_is_equivalent(factor: float) -> None:
    """The whole interval is below the limit. The claim is "not slower", not "equal"."""
    found = compared(factor, 3_000)
    assert found.finding is Finding.EQUIVALENT
    assert found.high is not None
    assert found.high < 1.1
    assert found.p_value > 0.9
    assert found.more_requests is None


@pytest.mark.parametrize("factor", [1.0, 1.25])
def test_an_inconclusive_case_reports_how_many_more_requests_would_decide(factor: float) -> None:
    """With that many more requests, most seeds decide."""
    decided = []
    for seed in range(60):
        found = compared(factor, 150, seed)
        if found.low is None or found.high is None or found.finding is not Finding.INCONCLUSIVE:
            continue
        assert found.low <= found.limit <= found.high
        if found.more_requests is None or found.more_requests > 20_000:
            continue
        rng = np.random.default_rng(1_000 + seed)
        # The number assumes that the true ratio equals the measured one, so the new arms have it.
        measured = found.ratio or 0.0
        more = 150 + found.more_requests
        again = compare(arm(rng, more, measured), arm(rng, more), SPEC, seed)
        decided.append(again.finding is not Finding.INCONCLUSIVE)
    assert len(decided) > 15
    assert 0.65 < np.mean(decided) <= 0.97


def test_a_ratio_on_the_limit_gets_no_suggested_number() -> None:
    """Both arms are constant and the ratio is on the limit. A number larger than a plan may send is not suggested."""
    control = [np.array([100_000] * 100)]
    case = [np.array([110_000] * 100)]
    found = compare(case, control, SPEC, 1)
    assert (found.finding, found.more_requests) == (Finding.INCONCLUSIVE, None)


@pytest.mark.parametrize(("case", "control", "more"), [(58, 500, 1), (500, 40, 19), (0, 500, 59), (500, 0, 59)])
def test_too_few_successes_are_inconclusive(case: int, control: int, more: int) -> None:
    """However slow the case is: no ratio, no bounds, no alarm, only the number that is missing."""
    rng = np.random.default_rng(1)
    found = compare(arm(rng, case, 10.0), arm(rng, control), SPEC, 1)
    assert found.finding is Finding.INCONCLUSIVE
    assert (found.ratio, found.low, found.high, found.p_value) == (None, None, None, 1.0)
    assert found.more_requests == more


@pytest.mark.parametrize(("percentile", "least"), LEAST_SUCCESSES.items())
def test_each_percentile_is_judged_from_its_least_number_of_successes(percentile: Percentile, least: int) -> None:
    """One fewer is too few. Validation refuses plans by the same numbers."""
    spec = RegressionSpec(percentile=percentile)
    assert compared(1.0, least - 1, spec=spec).ratio is None
    found = compared(1.0, least, spec=spec)
    assert found.ratio is not None
    assert found.percentile == percentile


def test_the_limit_is_the_larger_of_share_and_time() -> None:
    """5 ms are half of 10 ms, and less than a tenth of 100 ms."""
    quick, slow = [np.array([10_000] * 60)], [np.array([100_000] * 60)]
    assert compare(quick, quick, SPEC, 1).limit == 1.5
    assert compare(slow, slow, SPEC, 1).limit == 1.1
    assert compare([np.array([14_000] * 60)], quick, SPEC, 1).finding is Finding.EQUIVALENT
    assert compare([np.array([16_000] * 60)], quick, SPEC, 1).finding is Finding.REGRESSION
    assert compare([np.array([116_000] * 60)], slow, SPEC, 1).finding is Finding.REGRESSION


def test_the_ratio_uses_the_peers_percentiles() -> None:
    """Nearest rank in both arms."""
    rng = np.random.default_rng(3)
    case, control = arm(rng, 333, 1.2), arm(rng, 444)
    found = compare(case, control, SPEC, 1)
    p95 = [nearest_rank(sorted(np.concatenate(blocks).tolist()), 0.95) for blocks in (case, control)]
    assert found.ratio == p95[0] / p95[1]


def test_the_same_seed_gives_the_same_result() -> None:
    """A later analysis of the stored samples finds what the run found."""
    assert compared(1.2, 300, seed=4) == compared(1.2, 300, seed=4)
    case, control = rounds(np.random.default_rng(1), 20, 1.2, drift=0.5)
    assert compare(case, control, SPEC, 1) == compare(case, control, SPEC, 1)
    assert compare(case, control, SPEC, 1).low != compare(case, control, SPEC, 2).low


@pytest.mark.parametrize("drift", [0.0, 0.5])
def test_the_interval_and_the_p_value_raise_the_same_alarms(drift: float) -> None:
    """By requests and by blocks: the lower bound is above the limit exactly if p is at most 5 %."""
    for seed in range(20):
        case, control = rounds(np.random.default_rng(seed), 12, 1.3, drift)
        found = compare(case, control, SPEC, seed)
        assert found.low is not None
        assert (found.low > found.limit) == (found.p_value <= 0.05)


def alarms(factor: float, spec: RegressionSpec, requests: int, times: int) -> float:
    found = [compared(factor, requests, seed, spec) for seed in range(times)]
    return float(np.mean([comparison.finding is Finding.REGRESSION for comparison in found]))


def test_false_alarms_on_the_limit_are_as_rare_as_stated() -> None:
    """If a case is slower by exactly the margin, one in twenty is an alarm, give or take three standard errors."""
    assert alarms(1.1, SPEC, 500, 400) < 0.05 + 3 * (0.05 * 0.95 / 400) ** 0.5


def test_the_sample_size_formula_gives_the_stated_power() -> None:
    """`requests_needed(0.95, 0.3, margin=0.1)` is 494: four of five regressions are found."""
    assert 0.74 < alarms(1.3, SPEC, 494, 250) < 0.87


def drifting(drift: float, factor: float, times: int, count: int) -> list[Comparison]:
    found = []
    for seed in range(times):
        case, control = rounds(np.random.default_rng(seed), count, factor, drift)
        found.append(compare(case, control, SPEC, seed))
    return found


def test_drift_in_both_arms_is_not_an_effect() -> None:
    """Levels change by half from round to round. False alarms on the limit stay rare, and regressions are found."""
    on_the_limit = np.mean([comparison.finding is Finding.REGRESSION for comparison in drifting(0.5, 1.1, 100, 15)])
    assert on_the_limit < 0.05 + 3 * (0.05 * 0.95 / 100) ** 0.5
    slower = np.mean([comparison.finding is Finding.REGRESSION for comparison in drifting(0.5, 1.6, 30, 15)])
    assert slower > 0.8


def test_resampling_keeps_the_rounds_of_both_arms_together() -> None:
    """A slow round does not widen the interval. Blocks that are not from common rounds do."""
    case, control = rounds(np.random.default_rng(2), 20, 1.0, drift=0.8)
    together = compare(case, control, SPEC, 1)
    apart = compare(case, control[:-1], SPEC, 1)
    assert together.low is not None
    assert together.high is not None
    assert apart.low is not None
    assert apart.high is not None
    assert together.high / together.low < 0.7 * apart.high / apart.low


@pytest.mark.parametrize(("blocks", "cut"), [(None, 0.05), (5, 0.0086), (20, 0.0380), (100, 0.0476)])
def test_few_blocks_make_wider_intervals(blocks: int | None, cut: float) -> None:
    """By Student's t and sqrt(n/(n-1)): 2.13 x 1.118 standard errors for five blocks, not 1.64."""
    resampled = _Resampled(np.linspace(0.5, 1.5, 2_000), blocks)
    assert resampled._level(0.05) == pytest.approx(cut, abs=1e-4)
    assert resampled.bounds(0.05)[0] == pytest.approx(0.5 + cut, abs=1e-3)
    assert resampled.p_value(1.0, 0.5 + cut) == pytest.approx(0.05, abs=2e-3)


def test_too_few_dependent_blocks_are_inconclusive() -> None:
    """With one block too few, the ratio is shown, and how many requests would fill the missing blocks."""
    case, control = rounds(np.random.default_rng(1), LEAST_BLOCKS - 1, 1.5, drift=1.0)
    found = compare(case, control, SPEC, 1)
    assert (found.finding, found.more_requests, found.low) == (Finding.INCONCLUSIVE, 30, None)
    assert found.ratio is not None
    enough = compare(*rounds(np.random.default_rng(1), LEAST_BLOCKS, 1.5, drift=1.0), SPEC, 1)
    assert enough.low is not None


def test_blocks_without_a_success_do_not_count() -> None:
    """A round in which all requests failed is judged by its errors, not here."""
    case, control = rounds(np.random.default_rng(1), 20, 1.0, drift=0.8)
    holed: Blocks = [np.array([], dtype=np.int64) if i % 4 == 0 else block for i, block in enumerate(case)]
    found = compare(holed, control, SPEC, 1)
    assert found.low is not None
    few = [block if i < LEAST_BLOCKS - 1 else np.array([], dtype=np.int64) for i, block in enumerate(case)]
    assert compare(few, control, SPEC, 1).low is None


def test_the_spec_has_the_plans_defaults_and_converts_its_units() -> None:
    assert RegressionSpec.of(Regression()) == SPEC
    read = Regression.model_validate({"percentile": "p99", "margin": "20%", "at_least": "2ms", "confidence": "90%"})
    assert RegressionSpec.of(read) == RegressionSpec(Percentile.P99, 0.2, 2_000.0, 0.9)
