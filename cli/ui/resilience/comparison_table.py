"""The comparison of two runs, for people.

It has one line per changed case, then the conclusion.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC

from cli.console import one_line
from cli.ui.columns import aligned
from domain.executions.execution import Verdict
from domain.plans.slo import Percentile
from reports.compare.model import CaseSide, Change, ComparedCase, ComparedRun, Conclusion, RunComparison

MOST_ROWS = 60
"""Most rows shown. `--json` has every case."""

_RIGHT = {3, 4}
_QUIET = {Change.SAME, Change.UNMEASURED, Change.EXCLUDED}
"""Changes that get no row, unless the verdict changed as well."""
_WORDS = {Change.SAME: "the same", Change.UNMEASURED: "measured in neither run"}


def lines(found: RunComparison) -> Iterator[str]:
    """Yield the whole comparison. The conclusion is the last line but one."""
    yield f"A: {_run(found.before)}"
    yield f"B: {_run(found.after)}"
    yield from (f"note: {remark}" for remark in found.remarks)
    yield ""
    changed = [case for case in found.cases if case.change not in _QUIET or _verdicts(case)]
    if changed:
        headings = ("case", "change", "verdict", "errors", found.margins.percentile.value, "why")
        rows = [_row(case) for case in changed[:MOST_ROWS]]
        yield from aligned(headings, rows, _RIGHT)
        if len(changed) > MOST_ROWS:
            yield f"... and {len(changed) - MOST_ROWS} more; `--json` has every case"
        yield ""
    counted = (f"{count} {_WORDS.get(change, change)}" for change, count in found.counts.items() if count)
    yield f"{len(found.cases)} cases: {', '.join(counted)}"
    yield _margins(found)
    yield _conclusion(found)
    yield f"next: {_next(found)}"


def _run(run: ComparedRun) -> str:
    verdict = run.verdict.upper() if run.verdict is Verdict.FAILED else run.verdict or run.status
    when = f"{run.started_at.astimezone(UTC):%Y-%m-%d %H:%M:%SZ}"
    return f"execution {run.execution_id} of plan {run.plan}, {when}: {verdict}, {run.measured} of {run.cases} measured"


def _row(case: ComparedCase) -> tuple[str, ...]:
    change = case.change.upper() if case.change is Change.WORSE else case.change.value
    return (
        case.case_id,
        change,
        _verdicts(case),
        _change(_errors(case.before), _errors(case.after)),
        _change(_latency(case.before), _latency(case.after)),
        one_line(case.why),
    )


def _verdicts(case: ComparedCase) -> str:
    """Return both verdicts. Empty: they are the same."""
    before, after = (str(side.verdict or side.outcome or "missing") for side in (case.before, case.after))
    return "" if before == after else f"{before} -> {after}"


def _change(before: str, after: str) -> str:
    return before if before == after else f"{before or '?'} -> {after or '?'}"


def _errors(side: CaseSide) -> str:
    return "" if side.error_rate is None else f"{side.error_rate:g}%"


def _latency(side: CaseSide) -> str:
    return "" if side.percentile_ms is None else f"{side.percentile_ms:.0f} ms"


def _margins(found: RunComparison) -> str:
    margins = found.margins
    return (
        f"allowed: {margins.percentile} slower by {margins.slower:g}% (at least {margins.at_least_ms:g} ms), errors "
        f"up by {margins.errors:g} points; bounds hold with {margins.confidence:g}%, false alarms over all cases "
        f"{margins.false_alarms:g}%"
    )


def _conclusion(found: RunComparison) -> str:
    counts = found.counts
    if found.conclusion is Conclusion.REGRESSION:
        return f"REGRESSION: {counts[Change.WORSE]} of {len(found.cases)} cases are worse"
    if found.conclusion is Conclusion.NO_REGRESSION:
        return "no regression: no case is worse"
    if counts[Change.UNCERTAIN]:
        return f"UNDECIDED: no case is surely worse, {counts[Change.UNCERTAIN]} may be"
    return "UNDECIDED: no case was measured in both runs"


def _next(found: RunComparison) -> str:
    more = [case.more_requests for case in found.cases if case.more_requests is not None]
    if found.conclusion is not Conclusion.UNCERTAIN or not more:
        return f"`holdfast status {found.after.plan}` shows the newest run of the plan; `--json` shows every case"
    advice = f"about {max(more):,} more requests per case (`load.requests`) in both runs would decide"
    lower = found.margins.percentile is not Percentile.P50
    return advice + (", or fewer with `--percentile p50`" if lower else "")
