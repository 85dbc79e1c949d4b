"""A case's result as a row of `test_result`, and back."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from clients.store.columns import utc_now
from clients.store.read_models import CaseResult
from clients.store.tables import TestResult
from workflows.contracts.calls import FoundBy
from workflows.contracts.exchange import Measurement
from workflows.contracts.execution import Verdict
from workflows.contracts.load import CaseOutcome, CaseType

_COLUMNS = {
    "p50": "p50_ms",
    "p95": "p95_ms",
    "p99": "p99_ms",
    "response_code": "response_code",
    "success_p50_us": "success_p50_us",
    "success_p95_us": "success_p95_us",
    "success_p99_us": "success_p99_us",
    "success_max_us": "success_max_us",
    "requests": "requests",
    "successes": "successes",
    "errors": "errors",
    "errors_by_kind": "errors_by_kind",
    "duration_us": "duration_us",
    "late_starts": "late_starts",
    "planned": "planned",
    "seed": "seed",
}
"""Column to field of `Measurement`, for those that need no conversion."""


def result_row(result: CaseResult) -> dict[str, Any]:
    """The columns that a result fills; null where nothing was measured. `requests` is null exactly then."""
    found = result.measurement
    return {
        "outcome": result.outcome.value,
        "reason": result.reason,
        "verdict": result.verdict.value if result.verdict else None,
        "request_url": result.request_url,
        "request_method": result.request_method,
        "found_by": result.found_by.value if result.found_by else None,
        "err_rate": Decimal(str(found.error_rate)) if found else None,
        "response_body": found.response_body if found else "",
        "created_at": utc_now(),
        "control": found.control.model_dump(mode="json") if found and found.control else None,
        "comparison": found.comparison.model_dump(mode="json") if found and found.comparison else None,
        **{column: getattr(found, field) if found else None for column, field in _COLUMNS.items()},
    }


def result_of(row: TestResult, index: int, case_id: str, case_type: str) -> CaseResult:
    """A result with its case."""
    return CaseResult(
        case_index=index,
        case_id=case_id,
        case_type=CaseType(case_type),
        outcome=CaseOutcome(row.outcome),
        reason=row.reason,
        verdict=Verdict(row.verdict) if row.verdict else None,
        measurement=_measurement(row),
        request_url=row.request_url,
        request_method=row.request_method,
        found_by=FoundBy(row.found_by) if row.found_by else None,
    )


def _measurement(row: TestResult) -> Measurement | None:
    if row.requests is None:
        return None
    facts = {field: getattr(row, column) for column, field in _COLUMNS.items()}
    facts |= {"error_rate": row.err_rate, "response_body": row.response_body}
    # Null in rows that were written before the column was there.
    facts |= {"late_starts": row.late_starts or 0, "control": row.control, "comparison": row.comparison}
    return Measurement.model_validate(facts)
