"""Verdicts of cases and runs."""

from datetime import timedelta
from typing import Any

import pytest

from clients.plans.files import read_plan_file
from domain.cases.thresholds import PlanThresholds, Thresholds
from domain.cases.verdicts import case_verdict, run_verdict
from domain.executions.execution import Verdict
from domain.measuring.comparison import Comparison, Finding
from domain.measuring.load import Case, CaseType
from domain.measuring.percentiles import control_of, measure
from domain.measuring.samples import Taken
from domain.plans.plan import Coverage, Plan
from domain.plans.slo import Percentile, Regression, RelativeLimits, Slo
from domain.resilience.model import CaseCounts
from domain.traffic.exchange import Measurement, RequestSample
from tests.support.paths import EXAMPLES


def measured(*latencies_ms: float, errors: int = 0) -> Measurement:
    samples = [RequestSample(latency_us=int(ms * 1000), status=200) for ms in latencies_ms]
    samples += [RequestSample(latency_us=1000, status=503) for _ in range(errors)]
    return measure(samples, duration_us=1, last_status=200, last_body="")


MS = timedelta(milliseconds=1)
PLAN = Plan.model_validate(read_plan_file(EXAMPLES / "shop.yaml"))


def meets(slo: Slo, case: str = "baseline") -> Thresholds:
    """Return what a case must meet by this SLO."""
    services = [] if case == "baseline" else case.split("+")
    chosen = Case(index=0, case_id=case, case_type=list(CaseType)[len(services)], services=services)
    return PlanThresholds(PLAN.model_copy(update={"slo": slo})).of(chosen)


@pytest.mark.parametrize(
    ("slo", "found", "verdict", "reason"),
    [
        (Slo(error_rate="1%"), measured(5), Verdict.PASSED, ""),
        (Slo(error_rate="0.5%"), measured(5, 5, errors=1), Verdict.FAILED, "error rate 33.33% > 0.5%"),
        (Slo(p95=100 * MS), measured(100), Verdict.PASSED, ""),
        (Slo(p95=100 * MS), measured(100.1), Verdict.FAILED, "p95 100.1ms > 100ms"),
        (Slo(p50=5 * MS), measured(9, 9), Verdict.FAILED, "p50"),
        (Slo(p99=5 * MS), measured(9), Verdict.FAILED, "p99"),
        (Slo(p95=100 * MS), measured(errors=2), Verdict.FAILED, "no request succeeded"),
        (Slo(relative_to_baseline=RelativeLimits(p95="150%")), measured(15), Verdict.PASSED, ""),
        (
            Slo(relative_to_baseline=RelativeLimits(p95="150%")),
            measured(15.1),
            Verdict.FAILED,
            "150% of baseline 10.0ms",
        ),
        (Slo(relative_to_baseline=RelativeLimits(p50="150%")), measured(errors=1), Verdict.FAILED, "in this case"),
    ],
)
def test_a_case_is_judged_by_each_threshold(slo: Slo, found: Measurement, verdict: Verdict, reason: str) -> None:
    """A value equal to its threshold passes, a higher one fails and is reported with the numbers. 0.5% is not 50%."""
    assert case_verdict(found, meets(slo), measured(10))[0] is verdict
    assert reason in case_verdict(found, meets(slo), measured(10))[1]


def test_a_relative_threshold_fails_without_a_baseline() -> None:
    """Nothing unmeasured passes."""
    slo = Slo(relative_to_baseline=RelativeLimits(p95="150%"))
    assert case_verdict(measured(1), meets(slo), None) == (
        Verdict.FAILED,
        "p95 not comparable: no successful request in baseline",
    )


def test_every_broken_threshold_is_named() -> None:
    slo = Slo(error_rate="0%", p50=10 * MS, p99=10 * MS)
    reason = case_verdict(measured(50, errors=1), meets(slo), measured(10))[1]
    assert reason.count(";") == 2


def test_a_verdict_from_few_requests_shows_their_number() -> None:
    """The plan asked to judge the p95 of one request, which proves little."""
    slo = Slo(p50=10 * MS, p95=10 * MS)
    assert case_verdict(measured(11), meets(slo), None)[1] == ("p50 11.0ms > 10ms (n = 1); p95 11.0ms > 10ms (n = 1)")
    assert case_verdict(measured(*[11] * 59), meets(slo), None)[1] == "p50 11.0ms > 10ms; p95 11.0ms > 10ms"


def overriding(**override: Any) -> Slo:
    return Slo.model_validate({"p95": "10ms", "error_rate": "1%", "overrides": [{"for": "a+*", **override}]})


@pytest.mark.parametrize(
    ("override", "case", "found", "reason"),
    [
        ({"p95": "20ms"}, "a+b", measured(19), ""),
        ({"p95": "20ms"}, "a+b", measured(21), "p95 21.0ms > 20ms"),
        ({"p95": "20ms"}, "b+c", measured(19), "p95 19.0ms > 10ms"),
        ({"p95": "20ms"}, "a", measured(19), "p95 19.0ms > 10ms"),
        ({"p95": "20ms"}, "baseline", measured(19), "p95 19.0ms > 10ms"),
        ({"p50": "20ms"}, "a+b", measured(19), "p95 19.0ms > 10ms"),
        ({"error_rate": "60%"}, "a+b", measured(9, errors=1), ""),
        ({"budget": "30ms"}, "a+b", measured(29), ""),
        ({"budget": "30ms"}, "a+b", measured(31), "p95 31.0ms > budget of 30ms"),
        ({"budget": "30ms"}, "a+b", measured(9, errors=1), "error rate 50% > 1%"),
        ({"budget": "30ms", "error_rate": "100%"}, "a+b", measured(errors=1), "p95 not measurable"),
    ],
)
def test_an_override_applies_only_to_its_cases(override: Any, case: str, found: Measurement, reason: str) -> None:
    """Limits it leaves out stay as for all cases. A budget replaces every latency threshold."""
    verdict, why = case_verdict(found, meets(overriding(**override), case), None)
    assert verdict is (Verdict.FAILED if reason else Verdict.PASSED)
    assert reason in why


def test_the_most_specific_override_wins() -> None:
    """The case's own comes first, then that of its service, then that of all pairs."""
    levels = [{"for": "*+*", "p95": "40ms"}, {"for": "b+*", "p95": "30ms"}, {"for": "b+a", "p95": "20ms"}]
    slo = Slo.model_validate({"p95": "10ms", "overrides": levels})
    limits = [meets(slo, case).limits.p95 for case in ("a+b", "b+c", "c+d", "a")]
    assert limits == [20 * MS, 30 * MS, 40 * MS, 10 * MS]


COMPARED = Comparison(
    percentile=Percentile.P95, ratio=1.3, low=1.2, high=1.4, limit=1.1, p_value=0.001, finding=Finding.REGRESSION
)


def compared(finding: Finding, **more: Any) -> Measurement:
    comparison = COMPARED.model_copy(update={"finding": finding, **more})
    return measured(5).model_copy(update={"comparison": comparison})


@pytest.mark.parametrize(
    ("found", "confirmed", "verdict", "reason"),
    [
        (compared(Finding.EQUIVALENT), False, Verdict.PASSED, ""),
        (compared(Finding.REGRESSION), True, Verdict.FAILED, "regression: p95 is 1.30 times the baseline's (1.20 to"),
        (compared(Finding.REGRESSION), False, Verdict.INCONCLUSIVE, "may be chance among so many cases"),
        (compared(Finding.INCONCLUSIVE, more_requests=70), False, Verdict.INCONCLUSIVE, "about 70 more requests would"),
        (compared(Finding.INCONCLUSIVE), True, Verdict.INCONCLUSIVE, "1.10 allowed"),
        (
            compared(Finding.INCONCLUSIVE, ratio=None, low=None, high=None, more_requests=9),
            False,
            Verdict.INCONCLUSIVE,
            "too few requests succeeded: 9 more are needed",
        ),
    ],
)
def test_a_comparison_passes_fails_or_is_inconclusive(
    found: Measurement, confirmed: bool, verdict: Verdict, reason: str
) -> None:
    """A regression that could be chance among so many cases does not fail yet."""
    slo = Slo(regression=Regression())
    assert case_verdict(found, meets(slo), None, confirmed=confirmed)[0] is verdict
    assert reason in case_verdict(found, meets(slo), None, confirmed=confirmed)[1]


def test_a_case_that_misses_a_limit_fails_whatever_its_comparison_finds() -> None:
    """The reason names a limit and a regression if both are certain. An uncertain comparison is left out."""
    slo = Slo(p95=4 * MS, regression=Regression())
    both = case_verdict(compared(Finding.REGRESSION), meets(slo), None)
    assert both[0] is Verdict.FAILED
    assert both[1].count(";") == 1
    unsure = case_verdict(compared(Finding.INCONCLUSIVE), meets(slo), None)
    assert unsure == (Verdict.FAILED, "p95 5.0ms > 4ms (n = 1)")


def test_a_budget_replaces_the_comparison() -> None:
    """A case that is slow by design is no regression."""
    slo = Slo.model_validate({"regression": {}, "overrides": [{"for": "a+*", "budget": "30ms"}]})
    assert case_verdict(compared(Finding.REGRESSION), meets(slo, "a+b"), None) == (Verdict.PASSED, "")


def test_a_case_is_compared_with_its_own_control_not_the_runs_baseline() -> None:
    """The control was measured at the same time."""
    slo = Slo(relative_to_baseline=RelativeLimits(p50="150%"))
    control = control_of(Taken([[RequestSample(latency_us=20_000, status=200)]]))
    found = measured(29).model_copy(update={"control": control})
    assert case_verdict(found, meets(slo), measured(10)) == (Verdict.PASSED, "")


@pytest.mark.parametrize(
    ("counts", "verdict"),
    [
        ({"total": 3, "measured": 3, "passed": 3}, Verdict.PASSED),
        ({"total": 3, "measured": 3, "passed": 2, "failed": 1}, Verdict.FAILED),
        ({"total": 3, "measured": 2, "passed": 1, "failed": 1, "skipped": 1}, Verdict.FAILED),
        ({"total": 3, "measured": 2, "passed": 2, "skipped": 1}, Verdict.INCONCLUSIVE),
        ({"total": 3, "measured": 2, "passed": 2, "invalid": 1}, Verdict.INCONCLUSIVE),
        ({"total": 3, "measured": 2, "passed": 2}, Verdict.INCONCLUSIVE),
        ({"total": 3, "measured": 3, "passed": 2, "inconclusive": 1}, Verdict.INCONCLUSIVE),
        ({"total": 3, "measured": 3, "passed": 1, "failed": 1, "inconclusive": 1}, Verdict.FAILED),
        ({"total": 0}, Verdict.INCONCLUSIVE),
    ],
)
def test_a_run_passes_only_when_every_case_was_measured_and_passed(counts: dict[str, Any], verdict: Verdict) -> None:
    """One failure fails the run. One missing, invalid or skipped case makes it inconclusive."""
    assert run_verdict(CaseCounts(**counts), Coverage()) is verdict


@pytest.mark.parametrize(
    ("counts", "at_least", "verdict"),
    [
        ({"total": 10, "measured": 9, "passed": 9, "skipped": 1}, "90%", Verdict.PASSED),
        ({"total": 10, "measured": 8, "passed": 8, "skipped": 2}, "90%", Verdict.INCONCLUSIVE),
        ({"total": 100, "measured": 29, "passed": 29, "invalid": 71}, "29%", Verdict.PASSED),
        ({"total": 10, "measured": 9, "passed": 8, "failed": 1, "skipped": 1}, "90%", Verdict.FAILED),
        ({"total": 10, "measured": 8, "passed": 8, "skipped": 2, "excluded": 1}, "90%", Verdict.INCONCLUSIVE),
        ({"total": 10, "measured": 8, "passed": 8, "skipped": 2, "dispensable": 2}, "100%", Verdict.PASSED),
        ({"total": 10, "measured": 7, "passed": 7, "skipped": 3, "dispensable": 2}, "100%", Verdict.INCONCLUSIVE),
        ({"total": 3, "skipped": 3, "dispensable": 3}, "0%", Verdict.INCONCLUSIVE),
    ],
)
def test_a_plan_may_accept_less_coverage(counts: dict[str, Any], at_least: str, verdict: Verdict) -> None:
    """By share or by name, but never with nothing measured, and never against a failure."""
    assert run_verdict(CaseCounts(**counts), Coverage.model_validate({"at_least": at_least})) is verdict
