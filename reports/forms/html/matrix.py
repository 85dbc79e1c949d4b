"""The matrix of services by services as a heat map.

This module decides which cell shows what. Colours and patterns are in `style.css`.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

from domain.pairs.fidelity import PairOutcome
from domain.plans.slo import Percentile
from reports.model.report import CaseReport, CaseState, PairCell, Part, Report, ServiceReport
from reports.text import values as words

MOST_SERVICES: Final = 100
"""Services that the matrix shows. If there are more, it shows those with the worst cases."""

MOST_WITH_TEXT: Final = 24
"""Services up to which a cell has room for its number."""

MOST_WITH_ROOM: Final = 60
"""Services up to which cells and names have room to breathe. More still fit side by side on a wide screen."""

_ERROR_STEPS: Final = (0.0, 1.0, 5.0, 10.0, 25.0, 50.0, 75.0, 99.99)
"""Steps of the error rate, in percent. The more steps it exceeds, the darker the cell."""
_RATIO_STEPS: Final = (1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0)
"""Steps of a latency divided by the baseline's."""

ERROR_LEGEND: Final = ("0%", "to 1%", "to 5%", "to 10%", "to 25%", "to 50%", "to 75%", "below 100%", "100%")
RATIO_LEGEND: Final = ("to 1.1×", "to 1.25×", "to 1.5×", "to 2×", "to 3×", "to 5×", "to 10×", "to 20×", "above 20×")

_MARKS: Final[dict[CaseState, str]] = {
    CaseState.INVALID: "inv",
    CaseState.SKIPPED: "skip",
    CaseState.EXCLUDED: "excl",
    CaseState.MISSING: "",
}
"""Text of a cell without a measurement, beside its pattern."""


class Cell(Part):
    """One cell: two services that fail together, or one alone.

    Single services are on the diagonal.
    """

    case_index: int | None
    """None if the report has no such case."""
    state: CaseState
    error_step: int | None
    ratio_step: int | None
    error_text: str
    ratio_text: str
    worse: bool = False
    """Whether the pair is worse than its two singles together."""
    disagrees: bool = False
    """Whether two real faults gave a different answer than the rules."""
    single: bool = False


class Matrix(Part):
    """The heat map, row by row."""

    services: list[str]
    rows: list[list[Cell]]
    left_out: int
    """Number of services that are not in the matrix."""
    size: str
    """`large` has numbers in its cells, `small` and `small tiny` have none."""
    percentile: Percentile
    states: list[CaseState]
    """States that occur, for the legend."""
    any_measured: bool
    """Whether any cell has a number. Without one there is nothing to choose, and no colour ramp to explain."""
    any_worse: bool
    any_disagreeing: bool


def matrix(report: Report) -> Matrix:
    """Build the heat map of a report.

    Every pair occurs twice, so that a row shows everything about one service.
    """
    shown = _most_relevant(report)
    single = {service.service: _single(report, service) for service in shown}
    pairs = {(pair.first, pair.second): _pair(report, pair) for pair in report.pairs}
    names = [service.service for service in shown]
    rows = [[single[row] if row == column else _between(pairs, row, column) for column in names] for row in names]
    cells = [cell for row in rows for cell in row]
    occurring = {cell.state for cell in cells}
    return Matrix(
        services=names,
        rows=rows,
        left_out=len(report.services) - len(names),
        size="large" if len(names) <= MOST_WITH_TEXT else "small" if len(names) <= MOST_WITH_ROOM else "small tiny",
        percentile=report.shown_percentile,
        states=[state for state in CaseState if state in occurring],
        any_measured=any(cell.error_step is not None for cell in cells),
        any_worse=any(cell.worse for cell in cells),
        any_disagreeing=any(cell.disagrees for cell in cells),
    )


def _most_relevant(report: Report) -> list[ServiceReport]:
    """Return the services to show, in their usual order.

    If there are too many, those of failed cases come first, then those of the worst pairs.
    """
    if len(report.services) <= MOST_SERVICES:
        return report.services
    chosen: dict[str, None] = {}
    failed = [name for case in report.cases if case.state is CaseState.FAILED for name in case.services]
    paired = [name for pair in report.pairs for name in (pair.first, pair.second)]
    for name in [*failed, *paired, *(service.service for service in report.services)]:
        if len(chosen) < MOST_SERVICES:
            chosen[name] = None
    return [service for service in report.services if service.service in chosen]


def _single(report: Report, service: ServiceReport) -> Cell:
    case = next((candidate for candidate in report.cases if candidate.index == service.case_index), None)
    return _missing(single=True) if case is None else _single_of(case, report.shown_percentile)


def _single_of(case: CaseReport, percentile: Percentile) -> Cell:
    ratio = case.p50_ratio if percentile is Percentile.P50 else case.p95_ratio
    return _cell(case.index, case.state, case.error_rate, ratio).model_copy(update={"single": True})


def _pair(report: Report, pair: PairCell) -> Cell:
    ratio = pair.p50_ratio if report.shown_percentile is Percentile.P50 else pair.p95_ratio
    marks = {
        "worse": pair.interaction is not None and pair.interaction.worse,
        "disagrees": pair.verified is PairOutcome.DISAGREED,
    }
    return _cell(pair.case_index, pair.state, pair.error_rate, ratio).model_copy(update=marks)


def _between(pairs: dict[tuple[str, str], Cell], first: str, second: str) -> Cell:
    return pairs.get((first, second)) or pairs.get((second, first)) or _missing()


def _missing(*, single: bool = False) -> Cell:
    blank = _cell(None, CaseState.MISSING, None, None)
    return blank.model_copy(update={"single": single})


def _cell(index: int | None, state: CaseState, error_rate: float | None, ratio: float | None) -> Cell:
    mark = _MARKS.get(state)
    return Cell(
        case_index=index,
        state=state,
        error_step=None if error_rate is None else bisect_left(_ERROR_STEPS, error_rate),
        ratio_step=None if ratio is None else bisect_left(_RATIO_STEPS, ratio),
        error_text=mark if mark is not None else _short_percent(error_rate),
        ratio_text=mark if mark is not None else _short_times(ratio),
    )


def _short_percent(value: float | None) -> str:
    """Format a percentage as briefly as a cell requires.

    A value above 0 is never shown as 0, and a value below 100 never as 100.
    """
    if value is None:
        return words.NONE
    if 0 < value < 0.1:
        return "<0.1%"
    if 99.9 < value < 100:
        return ">99.9%"
    return f"{value:.1f}".removesuffix(".0") + "%"


def _short_times(value: float | None) -> str:
    if value is None:
        return words.NONE
    return f"{value:.1f}×" if value < 10 else f"{value:.0f}×"
