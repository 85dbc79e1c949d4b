"""Verdicts of cases and runs."""

from datetime import timedelta
from typing import Any

import pytest

from workflows.contracts.exchange import Measurement, RequestSample
from workflows.contracts.execution import CaseCounts, Verdict
from workflows.contracts.plan import Coverage
from workflows.contracts.slo import RelativeLimits, Slo
from workflows.logic.percentiles import measure
from workflows.logic.verdicts import case_verdict, run_verdict


def measured(*latencies_ms: float, errors: int = 0) -> Measurement:
    samples = [RequestSample(latency_us=int(ms * 1000), status=200) for ms in latencies_ms]
    samples += [RequestSample(latency_us=1000, status=503) for _ in range(errors)]
    return measure(samples, duration_us=1, last_status=200, last_body="")


MS = timedelta(milliseconds=1)


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
def test_a_case_is_held_against_each_threshold(slo: Slo, found: Measurement, verdict: Verdict, reason: str) -> None:
    """A value equal to its threshold passes, one above fails with the numbers, and half a percent is not fifty."""
    assert case_verdict(found, slo, measured(10))[0] is verdict
    assert reason in case_verdict(found, slo, measured(10))[1]


def test_without_a_baseline_a_relative_threshold_is_missed() -> None:
    """Nothing unmeasured passes."""
    slo = Slo(relative_to_baseline=RelativeLimits(p95="150%"))
    assert case_verdict(measured(1), slo, None) == (
        Verdict.FAILED,
        "p95 not comparable: no successful request in baseline",
    )


def test_every_broken_threshold_is_named() -> None:
    """The reason lists all of them, not the first."""
    reason = case_verdict(measured(50, errors=1), Slo(error_rate="0%", p50=10 * MS, p99=10 * MS), measured(10))[1]
    assert reason.count(";") == 2


@pytest.mark.parametrize(
    ("counts", "verdict"),
    [
        ({"total": 3, "measured": 3, "passed": 3}, Verdict.PASSED),
        ({"total": 3, "measured": 3, "passed": 2, "failed": 1}, Verdict.FAILED),
        ({"total": 3, "measured": 2, "passed": 1, "failed": 1, "skipped": 1}, Verdict.FAILED),
        ({"total": 3, "measured": 2, "passed": 2, "skipped": 1}, Verdict.INCONCLUSIVE),
        ({"total": 3, "measured": 2, "passed": 2, "invalid": 1}, Verdict.INCONCLUSIVE),
        ({"total": 3, "measured": 2, "passed": 2}, Verdict.INCONCLUSIVE),
        ({"total": 0}, Verdict.INCONCLUSIVE),
    ],
)
def test_a_run_passes_only_when_every_case_was_measured_and_passed(counts: dict[str, Any], verdict: Verdict) -> None:
    """One failure fails it; one case missing, invalid or skipped makes it inconclusive."""
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
    """By share or by name; never without anything measured, and never against a failure."""
    assert run_verdict(CaseCounts(**counts), Coverage.model_validate({"at_least": at_least})) is verdict
