"""The result of a run, for people.

It has one line per case, worst first, then the conclusion.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cli.console import one_line
from cli.ui.columns import aligned
from domain.cases.lines import percentile_text
from domain.executions.execution import Recovery, RunStatus, Verdict
from domain.executions.outcome import RunOutcome
from domain.plans.slo import Percentile
from domain.resilience.model import CaseVerdict, ResilienceSummary

MOST_ROWS = 60
"""Most rows shown, worst cases first. The database has all of them."""

_HEADINGS = ("case", "verdict", "requests", "errors", "p50", "p95", "p99", "max", "why")
_RIGHT = {2, 3, 4, 5, 6, 7}
_ORDER = {Verdict.FAILED: 0, Verdict.INCONCLUSIVE: 1, Verdict.PASSED: 3}
_NOT_MEASURED = 2


def table(cases: Sequence[CaseVerdict]) -> list[str]:
    """Format cases as lines: failed, inconclusive, not measured, then passed."""
    ordered = sorted(cases, key=_rank)
    rows = [_row(case) for case in ordered[:MOST_ROWS]]
    lines = aligned(_HEADINGS, rows, _RIGHT)
    if len(ordered) > MOST_ROWS:
        lines.append(f"... and {len(ordered) - MOST_ROWS} more")
    return lines


def _rank(case: CaseVerdict) -> int:
    return _ORDER[case.verdict] if case.verdict else _NOT_MEASURED


def _row(case: CaseVerdict) -> tuple[str, ...]:
    verdict = str(case.verdict or case.outcome)
    return (
        case.case_id,
        verdict.upper() if case.verdict is Verdict.FAILED else verdict,
        str(case.requests or ""),
        "" if case.error_rate is None else f"{case.error_rate:g}%",
        *(percentile_text(case, percentile) for percentile in Percentile),
        "" if case.max_ms is None else f"{case.max_ms:.0f} ms",
        one_line(case.reason),
    )


def conclusion(outcome: RunOutcome) -> list[str]:
    """Return the run's result in sentences, the last about recovery."""
    lines: list[str] = []
    if isinstance(outcome.summary, ResilienceSummary):
        lines += _judged(outcome.summary)
    elif outcome.summary:
        verdict = f"verdict: {outcome.summary.verdict.upper()}" if outcome.summary.verdict else "done"
        lines.append(f"{verdict}: {outcome.summary.kind} {outcome.summary.name}")
    elif outcome.failure:
        lines.append(f"the run failed in {outcome.failure.phase}: {outcome.failure.code}: {outcome.failure.message}")
    elif outcome.status is RunStatus.CANCELLED:
        lines.append("the run was cancelled")
    else:
        lines.append(outcome.message or f"the run ended without a result: {outcome.status}")
    lines.append(_recovery(outcome))
    return [one_line(line) for line in lines]


def _judged(summary: ResilienceSummary) -> Iterator[str]:
    cases = summary.cases
    yield (
        f"verdict: {summary.verdict.upper()}: {cases.failed} of {cases.total} cases miss the SLO, "
        f"{cases.passed} meet it, "
        + (f"{cases.inconclusive} inconclusive, " if cases.inconclusive else "")
        + f"{cases.invalid} invalid, {cases.skipped} skipped"
        + (f", {cases.excluded} of them excluded by the plan" if cases.excluded else "")
        + (f", {cases.dispensable} of them not required by the plan" if cases.dispensable else "")
    )
    if summary.requests_saved:
        yield f"requests saved: {summary.requests_saved}, because cases were decided early"


def _recovery(outcome: RunOutcome) -> str:
    if outcome.recovery is Recovery.VERIFIED:
        return "recovery: verified, nothing is left on"
    if outcome.recovery is Recovery.NOT_NEEDED:
        return "recovery: not needed, nothing was switched on"
    windows = ", ".join(outcome.lock.open_windows) if outcome.lock else ""
    detail = outcome.lock.detail if outcome.lock else outcome.lock_trouble
    what = "".join(f": {part}" for part in (windows, detail) if part)
    return f"recovery: UNVERIFIED, something may still be on{what}. See `holdfast faults`"
