"""Builds the cases of a report from their results and samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from clients.store.read_models import Arm, CaseResult
from domain.cases.cases import case_at
from domain.cases.verdicts import success_latency
from domain.executions.execution import Verdict
from domain.measuring.comparison import Control
from domain.measuring.load import Case, CaseOutcome
from domain.measuring.percentiles import error_rate
from domain.measuring.statistics.support import supported
from domain.plans.exclusions import PlanExclusions
from domain.plans.slo import Percentile
from domain.traffic.exchange import Measurement
from reports.build.reading import StoredRun
from reports.build.shown_cases import as_shown
from reports.model.report import CaseReport, CaseState, ControlReport, Ratio

LONGEST_ANSWER = 1_000
"""Characters of an answer's body that are kept."""

Distributions = Mapping[tuple[int, Arm], list[tuple[int, int]] | None]
"""Latency distributions by case index and arm."""

_STATES = {
    Verdict.PASSED: CaseState.PASSED,
    Verdict.FAILED: CaseState.FAILED,
    Verdict.INCONCLUSIVE: CaseState.INCONCLUSIVE,
}


@dataclass(frozen=True)
class Cases:
    """The cases of a report."""

    reports: list[CaseReport]
    controls: list[ControlReport]
    left_out: int
    normal: dict[int, dict[Percentile, float | None]]
    """Latencies that each measured case is compared with, in milliseconds, by case index. They are those of the
    baseline beside the case or, without one, of the run's baseline."""


def case_state(
    case: Case, outcome: CaseOutcome | None, verdict: Verdict | None, exclusions: PlanExclusions
) -> CaseState:
    """Return what became of a case, in one word."""
    if outcome is None:
        return CaseState.MISSING
    if outcome is CaseOutcome.MEASURED:
        return CaseState.UNJUDGED if verdict is None else _STATES[verdict]
    if exclusions.reason(case) is not None:
        return CaseState.EXCLUDED
    return CaseState.INVALID if outcome is CaseOutcome.INVALID else CaseState.SKIPPED


def cut(text: str, longest: int) -> str:
    """Truncate text to `longest` characters; if cut, append its full length."""
    return text if len(text) <= longest else f"{text[:longest]} ... ({len(text):,} characters)"


def case_reports(run: StoredRun, distributions: Distributions, most_missing: int) -> Cases:
    """Report every kept case, and some of those without a result.

    At most `most_missing` cases without a result are reported.
    """
    names = run.plan.service_names
    exclusions = PlanExclusions(run.plan)
    results = {kept.case_index: kept for kept in run.results.kept}
    missing = (index for index in range(run.total) if index not in run.results.found)
    shown = sorted([*results, *(index for index, _ in zip(missing, range(most_missing), strict=False))])
    controls, places = _controls(run.results.kept, distributions)
    baseline = _measured(results.get(0))
    reports = []
    normal = {}
    for index in shown:
        case = case_at(names, index)
        result = results.get(index)
        measurement = _measured(result)
        if result is None or measurement is None:
            state = case_state(case, result.outcome if result else None, None, exclusions)
            reports.append(_unmeasured(case, result, state))
            continue
        normal[index] = _levels(measurement.control or baseline)
        report = _report(case, result, measurement, case_state(case, result.outcome, result.verdict, exclusions))
        numbers = _ratios(report, measurement, normal[index]) if case.services else {}
        more = {"control": places.get(index), "histogram": distributions.get((index, Arm.CASE))}
        reports.append(report.model_copy(update=numbers | more))
    return Cases(reports, controls, run.total - len(shown), normal)


def _measured(result: CaseResult | None) -> Measurement | None:
    """Return what was measured, if it still counts.

    Invalidated cases keep their numbers in the store, but these no longer count.
    """
    return result.measurement if result is not None and result.outcome is CaseOutcome.MEASURED else None


def _base_report(case: Case, result: CaseResult | None, state: CaseState) -> CaseReport:
    return CaseReport(
        index=case.index,
        case_id=case.case_id,
        case_type=case.case_type,
        services=case.services,
        state=state,
        outcome=result.outcome if result else None,
        reason=result.reason if result else "",
    )


def _unmeasured(case: Case, result: CaseResult | None, state: CaseState) -> CaseReport:
    report = _base_report(case, result, state)
    return report if result else report.model_copy(update={"reason": "the run ended before it was measured"})


def _report(case: Case, result: CaseResult, measurement: Measurement, state: CaseState) -> CaseReport:
    line = as_shown(result)
    facts = line.model_dump(
        include={"p50_ms", "p95_ms", "p99_ms", "max_ms", "error_rate", "requests", "successes", "per_second"}
    )
    more = {
        "unsupported": [Percentile(name) for name in line.unsupported],
        "errors_by_kind": measurement.errors_by_kind,
        "answer_status": measurement.response_code,
        "answer_body": cut(measurement.response_body, LONGEST_ANSWER),
        "finding": measurement.comparison.finding if measurement.comparison else None,
    }
    return _base_report(case, result, state).model_copy(update=facts | more)


def _levels(sample: Measurement | Control | None) -> dict[Percentile, float | None]:
    """Return each percentile that the sample supports, in milliseconds."""
    levels: dict[Percentile, float | None] = {}
    for percentile in Percentile:
        latency = success_latency(sample, percentile) if sample else None
        enough = sample is not None and supported(sample.successes, percentile.share)
        levels[percentile] = round(latency.total_seconds() * 1000, 3) if latency is not None and enough else None
    return levels


def _ratios(
    report: CaseReport, measurement: Measurement, normal: Mapping[Percentile, float | None]
) -> dict[str, object]:
    own = {Percentile.P50: report.p50_ms, Percentile.P95: report.p95_ms}
    ratios = {percentile: _ratio_to(value, normal[percentile]) for percentile, value in own.items()}
    comparison = measurement.comparison
    if comparison is not None and comparison.percentile in ratios and ratios[comparison.percentile] is not None:
        # The verdict shows the comparison's own ratio, so the report shows the same number.
        ratios[comparison.percentile] = comparison.ratio
    ratio = None
    if comparison is not None:
        ratio = Ratio(
            percentile=comparison.percentile,
            value=comparison.ratio,
            low=comparison.low,
            high=comparison.high,
            limit=comparison.limit,
            beside=True,
        )
    return {"p50_ratio": ratios[Percentile.P50], "p95_ratio": ratios[Percentile.P95], "ratio": ratio}


def _ratio_to(value: float | None, normal: float | None) -> float | None:
    return round(value / normal, 3) if value is not None and normal else None


def _controls(
    results: Sequence[CaseResult], distributions: Distributions
) -> tuple[list[ControlReport], dict[int, int]]:
    """Return the baselines beside the groups, and each case's index among them."""
    groups: dict[int, list[CaseResult]] = {}
    for result in results:
        if (
            result.measurement is not None
            and result.measurement.control is not None
            and result.measurement.seed is not None
        ):
            # The seed is derived from the run and the first case of the group, so it identifies the group.
            groups.setdefault(result.measurement.seed, []).append(result)
    reports: list[ControlReport] = []
    places: dict[int, int] = {}
    for group in groups.values():
        first = group[0]
        control = group[0].measurement.control if group[0].measurement else None
        if control is None:
            continue
        places |= {result.case_index: len(reports) for result in group}
        levels = _levels(control)
        reports.append(
            ControlReport(
                first_case=first.case_index,
                requests=control.requests,
                successes=control.successes,
                error_rate=error_rate(control.requests - control.successes, control.requests),
                p50_ms=levels[Percentile.P50],
                p95_ms=levels[Percentile.P95],
                p99_ms=levels[Percentile.P99],
                histogram=distributions.get((first.case_index, Arm.CONTROL)),
            )
        )
    return reports, places
