"""The result of a run for people: a line per case, worst first, and what it means."""

from __future__ import annotations

from collections.abc import Sequence

from cli.exit_codes import RunOutcome
from clients.store.read_models import CaseResult
from workflows.contracts.exchange import Measurement
from workflows.contracts.execution import Recovery, Verdict
from workflows.contracts.load import CaseOutcome

MOST_ROWS = 60
"""Rows shown; the rest are passed cases, and in the database."""

_HEADINGS = ("case", "verdict", "errors", "p50", "p95", "p99", "why")
_RIGHT = {2, 3, 4, 5}
_ORDER = {Verdict.FAILED: 0, Verdict.INCONCLUSIVE: 1, Verdict.PASSED: 3}


def table(results: Sequence[CaseResult]) -> list[str]:
    """All cases as aligned lines: failed first, then what was not measured, then passed."""
    ordered = sorted(results, key=lambda one: (_rank(one), one.case_index))
    rows = [_row(one) for one in ordered[:MOST_ROWS]]
    widths = [max(len(row[column]) for row in [_HEADINGS, *rows]) for column in range(len(_HEADINGS))]
    lines = [_line(_HEADINGS, widths), _line(tuple("-" * width for width in widths), widths)]
    lines += [_line(row, widths) for row in rows]
    if len(ordered) > MOST_ROWS:
        lines.append(f"... and {len(ordered) - MOST_ROWS} more")
    return lines


def _rank(result: CaseResult) -> int:
    if result.outcome is not CaseOutcome.MEASURED:
        return 2
    return _ORDER[result.verdict] if result.verdict else 2


def _row(result: CaseResult) -> tuple[str, ...]:
    verdict = result.verdict if result.outcome is CaseOutcome.MEASURED and result.verdict else result.outcome
    found = result.measurement if result.outcome is CaseOutcome.MEASURED else None
    return (
        result.case_id,
        str(verdict).upper() if verdict is Verdict.FAILED else str(verdict),
        f"{found.error_rate:g}%" if found else "",
        _ms(found, "p50"),
        _ms(found, "p95"),
        _ms(found, "p99"),
        result.reason,
    )


def _ms(found: Measurement | None, percentile: str) -> str:
    microseconds = getattr(found, f"success_{percentile}_us") if found else None
    return "" if microseconds is None else f"{microseconds / 1000:.0f} ms"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    parts = [
        cell.rjust(width) if column in _RIGHT else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join(parts).rstrip()


def conclusion(outcome: RunOutcome) -> list[str]:
    """What came of the run, in sentences; the last one is always about recovery."""
    lines = []
    if outcome.summary:
        cases = outcome.summary.cases
        lines.append(
            f"verdict: {outcome.summary.verdict.upper()}: {cases.failed} of {cases.total} cases miss the SLO, "
            f"{cases.passed} meet it, {cases.invalid} invalid, {cases.skipped} skipped"
        )
    elif outcome.failure:
        lines.append(f"the run failed in {outcome.failure.phase}: {outcome.failure.code}: {outcome.failure.message}")
    elif outcome.cancelled:
        lines.append("the run was cancelled")
    else:
        lines.append(outcome.message or "the run ended without a result")
    lines.append(_recovery(outcome))
    return lines


def _recovery(outcome: RunOutcome) -> str:
    if outcome.recovery is Recovery.VERIFIED:
        return "recovery: verified, nothing is left on"
    if outcome.recovery is Recovery.NOT_NEEDED:
        return "recovery: not needed, nothing was switched on"
    windows = ", ".join(outcome.lock.open_windows) if outcome.lock else ""
    detail = outcome.lock.detail if outcome.lock else ""
    what = "; ".join(part for part in (windows, detail) if part)
    return f"recovery: UNVERIFIED, something may still be on: {what}. See `holdfast faults`"
