"""The page's long tables: which rows, and in which order."""

from __future__ import annotations

from typing import Final

from reports.model import CaseReport, CaseState, Interaction, PairCell, Part, Report
from workflows.contracts.windows import WindowKind, WindowState

MOST_CASES: Final = 500
"""Rows of the table of cases. The explorer has every case, and so has the JSON report."""

MOST_PAIRS: Final = 50
"""Rows of the table of interactions, if so many are worse."""

FEW_PAIRS: Final = 10
"""Rows of it at least: how the worst of them stand says something even where none is worse."""

_ORDER: Final = (
    CaseState.FAILED,
    CaseState.INCONCLUSIVE,
    CaseState.UNJUDGED,
    CaseState.INVALID,
    CaseState.SKIPPED,
    CaseState.PASSED,
    CaseState.EXCLUDED,
    CaseState.MISSING,
)
"""What a reader looks for first."""


class Cases(Part):
    """The rows of the table of cases."""

    rows: list[CaseReport]
    left_out: int


class Pair(Part):
    """A pair beside its two singles."""

    cell: PairCell
    interaction: Interaction
    first_error_rate: float | None
    second_error_rate: float | None
    milliseconds: float | None
    """The pair's own latency at the percentile that is compared."""


class Pairs(Part):
    """The rows of the table of interactions."""

    rows: list[Pair]
    worse: int
    """Pairs that are worse than their singles together, of all."""
    compared: int
    """Pairs of which that can be said."""


_RULES: Final[dict[WindowState | None, str]] = {
    WindowState.OPENING: "not seen to act yet",
    WindowState.OPEN: "not seen to act yet",
    WindowState.CLOSING: "being switched off",
    WindowState.CLOSED: "off, and seen to be off",
    WindowState.UNVERIFIED: "NOT seen to be off",
}


def rules_stand(report: Report) -> str:
    """How rules stand that are not ready: off again, or never on."""
    window = next((one.state for one in report.run.windows if one.kind is WindowKind.RULES), None)
    return _RULES.get(window, "not ready")


def case_rows(report: Report) -> Cases:
    """The cases that a reader wants first: what failed, what is not known, then the highest error rate and p95."""
    rows = by_interest(report)
    return Cases(rows=rows[:MOST_CASES], left_out=len(rows) - len(rows[:MOST_CASES]) + report.cases_left_out)


def by_interest(report: Report) -> list[CaseReport]:
    """All cases of a report in that order."""
    return sorted(report.cases, key=_rank)


def _rank(case: CaseReport) -> tuple[int, float, float, int]:
    return _ORDER.index(case.state), -(case.error_rate or 0), -(case.p95_ms or 0), case.index


def interaction_rows(report: Report) -> Pairs:
    """The worst interactions in the report's own order: every one that is worse, and a few beside them."""
    cases = {case.index: case for case in report.cases}
    singles = {one.service: cases.get(one.case_index) for one in report.services if one.case_index is not None}
    compared = [(one, one.interaction) for one in report.pairs if one.interaction is not None]
    worse = sum(found.worse for _, found in compared)
    rows = [
        Pair(
            cell=cell,
            interaction=interaction,
            first_error_rate=_error_rate(singles.get(cell.first)),
            second_error_rate=_error_rate(singles.get(cell.second)),
            milliseconds=_latency(cases.get(cell.case_index), interaction),
        )
        for cell, interaction in compared[: max(FEW_PAIRS, min(worse, MOST_PAIRS))]
    ]
    return Pairs(rows=rows, worse=worse, compared=len(compared))


def _error_rate(case: CaseReport | None) -> float | None:
    return None if case is None else case.error_rate


def _latency(case: CaseReport | None, interaction: Interaction) -> float | None:
    if case is None or interaction.percentile is None:
        return None
    found: float | None = getattr(case, f"{interaction.percentile}_ms")
    return found
