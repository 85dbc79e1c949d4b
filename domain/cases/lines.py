"""A case as people see it.

Percentiles appear only if the sample supports them.
"""

from __future__ import annotations

from datetime import timedelta

from domain.cases.verdicts import shown_latency
from domain.executions.execution import Verdict
from domain.measuring.load import CaseOutcome
from domain.plans.slo import Percentile
from domain.resilience.model import CaseVerdict
from domain.traffic.exchange import Measurement

TOO_SMALL = "n too small"
"""Shown in place of a percentile that too few requests support."""

_US = 1_000_000


def case_line(
    case_id: str, outcome: CaseOutcome, measurement: Measurement | None, verdict: Verdict | None, reason: str
) -> CaseVerdict:
    """Build one line of a result, without numbers if nothing was measured."""
    if measurement is None:
        return CaseVerdict(case_id=case_id, outcome=outcome, verdict=verdict, reason=reason)
    shown = {percentile: _ms(shown_latency(measurement, percentile)) for percentile in Percentile}
    slowest = measurement.success_max_us
    seconds = measurement.duration_us / _US
    return CaseVerdict(
        case_id=case_id,
        outcome=outcome,
        verdict=verdict,
        p50_ms=shown[Percentile.P50],
        p95_ms=shown[Percentile.P95],
        p99_ms=shown[Percentile.P99],
        max_ms=None if slowest is None else _ms(timedelta(microseconds=slowest)),
        unsupported=[percentile for percentile, value in shown.items() if value is None and measurement.successes],
        error_rate=measurement.error_rate,
        requests=measurement.requests,
        successes=measurement.successes,
        per_second=round(measurement.requests / seconds, 2) if seconds else None,
        reason=reason,
    )


def _ms(latency: timedelta | None) -> float | None:
    return None if latency is None else round(latency / timedelta(milliseconds=1), 3)


def percentile_text(case: CaseVerdict, percentile: Percentile) -> str:
    """Format a percentile for a table.

    `TOO_SMALL` if too few requests succeeded for a value. Empty if none succeeded, or nothing was measured.
    """
    value: float | None = getattr(case, f"{percentile}_ms")
    if value is not None:
        return f"{value:.0f} ms"
    return TOO_SMALL if percentile in case.unsupported else ""
