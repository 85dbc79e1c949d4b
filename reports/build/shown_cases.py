"""Stored results in the form in which they are shown."""

from __future__ import annotations

from clients.store.read_models import CaseResult
from domain.cases.lines import case_line
from domain.measuring.load import CaseOutcome
from domain.resilience.model import CaseVerdict


def as_shown(result: CaseResult) -> CaseVerdict:
    """Return the line shown for a result.

    Cases that do not count are shown without numbers.
    """
    measurement = result.measurement if result.outcome is CaseOutcome.MEASURED else None
    return case_line(
        result.case_id, result.outcome, measurement, result.verdict if measurement else None, result.reason
    )
