"""The page's long tables: which rows they have, and in which order."""

from __future__ import annotations

from collections import Counter
from typing import Final

from domain.executions.windows import WindowKind, WindowState
from domain.measuring.load import CaseType
from domain.plans.slo import Percentile
from reports.model.report import CaseReport, CaseState, Interaction, PairCell, Part, Report
from reports.text import values as words

MOST_TABLE_ROWS: Final = 500
"""Rows of the table of cases. The explorer and the JSON report have every case of the report."""

MOST_PAIRS: Final = 50
"""Rows of the table of interactions, if that many pairs are worse than their singles."""

FEW_PAIRS: Final = 5
"""Fewest rows of that table. The worst pairs are of interest even if none is worse than its singles."""

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
"""States in the order in which a reader looks for them."""

_CALM: Final = (CaseState.PASSED, CaseState.EXCLUDED, CaseState.MISSING)
"""States that need not be read case by case. Coverage counts the cases without a result."""


MOST_PASSED: Final = 20
"""Cases in calm states up to which they are shown unfolded. More are folded, so that they do not bury what needs
reading."""


class CaseGroup(Part):
    """Cases in a table of their own, and which columns have content."""

    title: str
    """Title of a folded group. Empty for the cases that a reader looks for."""
    folded: bool
    rows: list[CaseReport]
    ratios: bool
    reasons: bool


class Cases(Part):
    """The tables of cases."""

    groups: list[CaseGroup]
    left_out: int
    percentiles: list[Percentile]
    """Percentiles that have a column: all but `unsupported`. A sentence replaces a column without values."""
    unsupported: list[Percentile]
    """Percentiles that no case has, because there were too few requests."""


class Pair(Part):
    """A pair beside its two singles."""

    cell: PairCell
    interaction: Interaction
    first_error_rate: float | None
    second_error_rate: float | None
    milliseconds: float | None
    """The pair's own latency at the compared percentile."""


class Pairs(Part):
    """The rows of the table of interactions."""

    rows: list[Pair]
    worse: int
    """Number of all pairs that are worse than their singles together."""
    compared: int
    """Number of pairs that could be compared with their singles."""
    latencies: bool
    """Whether any row has a latency to compare."""


_RULES: Final[dict[WindowState | None, str]] = {
    WindowState.OPENING: "not seen to act yet",
    WindowState.OPEN: "not seen to act yet",
    WindowState.CLOSING: "being switched off",
    WindowState.CLOSED: "off, and seen to be off",
    WindowState.UNVERIFIED: "NOT seen to be off",
}


def rules_stand(report: Report) -> str:
    """Describe the state of rules that are not ready.

    They may be closed again, or were never active.
    """
    state = next((window.state for window in report.run.windows if window.kind is WindowKind.RULES), None)
    return _RULES.get(state, "not ready")


def case_rows(report: Report) -> Cases:
    """Return the cases to show, the most interesting first.

    Failed cases come first, then undecided ones, then those with the highest error rate and p95.
    """
    ranked = by_interest(report)
    rows = ranked[:MOST_TABLE_ROWS]
    calm = [case for case in rows if _is_calm(case)]
    groups = [_group(rows)]
    if len(calm) > MOST_PASSED:
        first = [case for case in rows if not _is_calm(case)]
        groups = [_group(first), _group(calm, folded=True)]
    unsupported = [percentile for percentile in Percentile if _is_unsupported(rows, percentile)]
    return Cases(
        groups=[group for group in groups if group.rows],
        left_out=len(ranked) - len(rows) + report.cases_left_out,
        percentiles=[percentile for percentile in Percentile if percentile not in unsupported],
        unsupported=unsupported,
    )


def _is_calm(case: CaseReport) -> bool:
    return case.state in _CALM and case.case_type is not CaseType.BASELINE


def _group(rows: list[CaseReport], *, folded: bool = False) -> CaseGroup:
    counts = Counter(words.state(case.state) for case in rows)
    summary = ", ".join(f"{many:,} {state}" for state, many in counts.items())
    return CaseGroup(
        title=summary if folded else "",
        folded=folded,
        rows=rows,
        ratios=any(case.ratio or case.p95_ratio or case.p50_ratio or case.finding for case in rows),
        reasons=any(case.reason for case in rows),
    )


def _is_unsupported(rows: list[CaseReport], percentile: Percentile) -> bool:
    """Return whether no case has the percentile because of too few requests.

    False if nothing was measured at all.
    """
    without = all(getattr(case, f"{percentile}_ms") is None or percentile in case.unsupported for case in rows)
    return without and any(percentile in case.unsupported for case in rows)


def by_interest(report: Report) -> list[CaseReport]:
    """Return all cases of a report, the most interesting first.

    A failing pair shows nothing new if one of its services already fails alone. Such pairs come last among the failed
    cases.
    """
    alone = {case.services[0] for case in report.cases if case.state is CaseState.FAILED and len(case.services) == 1}
    return sorted(
        report.cases, key=lambda case: _rank(case, known=len(case.services) > 1 and bool(alone & {*case.services}))
    )


def _rank(case: CaseReport, *, known: bool) -> tuple[int, bool, float, float, int]:
    explained = known and case.state is CaseState.FAILED
    return _ORDER.index(case.state), explained, -(case.error_rate or 0), -(case.p95_ms or 0), case.index


def interaction_rows(report: Report) -> Pairs:
    """Return the worst interactions, in the report's own order.

    These are all pairs that are worse than their singles, up to `MOST_PAIRS`, and at least `FEW_PAIRS` in all.
    """
    cases = {case.index: case for case in report.cases}
    singles = {
        service.service: cases.get(service.case_index) for service in report.services if service.case_index is not None
    }
    compared = [(pair, pair.interaction) for pair in report.pairs if pair.interaction is not None]
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
    latencies = any(row.milliseconds is not None for row in rows)
    return Pairs(rows=rows, worse=worse, compared=len(compared), latencies=latencies)


def _error_rate(case: CaseReport | None) -> float | None:
    return None if case is None else case.error_rate


def _latency(case: CaseReport | None, interaction: Interaction) -> float | None:
    if case is None or interaction.percentile is None:
        return None
    value: float | None = getattr(case, f"{interaction.percentile}_ms")
    return value
