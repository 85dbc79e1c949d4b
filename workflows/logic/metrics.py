"""Merging what batches and pages found, so that a run of any size can be shown while it goes."""

from __future__ import annotations

from collections.abc import Sequence

from workflows.contracts.execution import CaseVerdict
from workflows.contracts.load import CaseOutcome
from workflows.contracts.metrics import LoadMetrics

SHOWN_CASES = 200
"""Cases with their metrics in the status of a run: all of them for up to 18 services. The store has every one."""

CARRIED_CASES = 50
"""Cases with their metrics that one page hands on, when it has more: every workflow's history keeps them."""


def metrics_of(cases: Sequence[CaseVerdict]) -> LoadMetrics:
    """The metrics of some cases."""
    measured = [case for case in cases if case.outcome == CaseOutcome.MEASURED]
    slowest = max((case for case in measured if case.p95_ms is not None), key=_p95, default=None)
    return LoadMetrics(
        measured=len(measured),
        error_rate_sum=sum(case.error_rate or 0 for case in measured),
        worst_p95_ms=slowest.p95_ms if slowest else None,
        worst_p95_case=slowest.case_id if slowest else "",
        cases=sorted(cases, key=_worst_first),
    )


def merged(one: LoadMetrics, other: LoadMetrics, most_cases: int) -> LoadMetrics:
    """Both together, with at most so many cases, the worst of them."""
    slower = max((one, other), key=lambda metrics: -1.0 if metrics.worst_p95_ms is None else metrics.worst_p95_ms)
    return LoadMetrics(
        measured=one.measured + other.measured,
        error_rate_sum=one.error_rate_sum + other.error_rate_sum,
        worst_p95_ms=slower.worst_p95_ms,
        worst_p95_case=slower.worst_p95_case,
        cases=sorted([*one.cases, *other.cases], key=_worst_first)[:most_cases],
    )


def _p95(case: CaseVerdict) -> float:
    return case.p95_ms or 0


def _worst_first(case: CaseVerdict) -> tuple[bool, float, float, str]:
    """What was not measured last; errors weigh more than slowness."""
    return case.outcome != CaseOutcome.MEASURED, -(case.error_rate or 0), -(case.p95_ms or 0), case.case_id
