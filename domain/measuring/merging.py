"""Merging of what batches and pages found.

This lets a run of any size be shown while it is in progress.
"""

from __future__ import annotations

from collections.abc import Sequence

from domain.measuring.load import CaseOutcome
from domain.measuring.metrics import LoadMetrics
from domain.resilience.model import CaseVerdict

SHOWN_CASES = 200
"""Cases with their metrics in a run's status. That is all of them for up to 19 services; the store has every case."""

CARRIED_CASES = 50
"""Cases with their metrics that a page hands on, at most. Every workflow's history keeps them."""


def metrics_of(cases: Sequence[CaseVerdict]) -> LoadMetrics:
    """Return the metrics of these cases."""
    measured = [case for case in cases if case.outcome == CaseOutcome.MEASURED]
    by_p95 = max((case for case in measured if case.p95_ms is not None), key=_p95, default=None)
    by_max = max((case for case in measured if case.max_ms is not None), key=_max, default=None)
    return LoadMetrics(
        measured=len(measured),
        error_rate_sum=sum(case.error_rate or 0 for case in measured),
        worst_p95_ms=by_p95.p95_ms if by_p95 else None,
        worst_p95_case=by_p95.case_id if by_p95 else "",
        worst_max_ms=by_max.max_ms if by_max else None,
        worst_max_case=by_max.case_id if by_max else "",
        cases=sorted(cases, key=worst_first),
    )


def merged(left: LoadMetrics, right: LoadMetrics, most_cases: int) -> LoadMetrics:
    """Merge two metrics, and keep the worst `most_cases` cases."""
    by_p95 = max((left, right), key=lambda metrics: _or_least(metrics.worst_p95_ms))
    by_max = max((left, right), key=lambda metrics: _or_least(metrics.worst_max_ms))
    return LoadMetrics(
        measured=left.measured + right.measured,
        error_rate_sum=left.error_rate_sum + right.error_rate_sum,
        worst_p95_ms=by_p95.worst_p95_ms,
        worst_p95_case=by_p95.worst_p95_case,
        worst_max_ms=by_max.worst_max_ms,
        worst_max_case=by_max.worst_max_case,
        cases=sorted([*left.cases, *right.cases], key=worst_first)[:most_cases],
    )


def _p95(case: CaseVerdict) -> float:
    return case.p95_ms or 0


def _max(case: CaseVerdict) -> float:
    return case.max_ms or 0


def _or_least(value: float | None) -> float:
    # Below every real value, so that any value wins.
    return -1.0 if value is None else value


def worst_first(case: CaseVerdict) -> tuple[bool, float, float, str]:
    """Sort key that puts the worst cases first, and unmeasured ones last.

    Errors weigh more than slowness. Slowness is p95 or, with few requests, the slowest request.
    """
    slowness = case.p95_ms or case.max_ms or 0
    return case.outcome != CaseOutcome.MEASURED, -(case.error_rate or 0), -slowness, case.case_id
