"""The report as Markdown, in the dialect of GitHub and GitLab.

It is meant for a pull request, or for the summary of a pipeline's step. A comment holds at most 65,536 characters, so
tables are truncated and show how much is missing. If that is not enough, the least important parts are left out. The
other forms have everything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from domain.control_characters import visible
from domain.plans.slo import Percentile
from reports.model.execution import ExecutionReport
from reports.model.report import CaseReport, CaseState, PairCell, Report
from reports.text.calls import (
    DEFINITION,
    found_by,
    found_in_words,
    grounds_in_words,
    often,
    real_in_words,
    standing,
    under,
)
from reports.text.figures import interaction_in_words, latency, notable, ratio
from reports.text.values import NONE, STATE_WORDS, milliseconds, percent, seconds, times

MOST_CHARACTERS = 65_000
"""Characters of the whole text. A comment holds more, but the line that lists what is left out needs room."""
MOST_ROWS = 20
"""Rows of any table."""
LARGEST_MATRIX = 12
"""Services of the largest matrix that is still readable as text."""
_LONGEST_PLAN = 20_000
_LONGEST_CELL = 300
_LONGEST_ANSWERS = 600

_SPECIAL = re.compile(r"([\\`*_\[\]|~<>&@])")
"""Characters with a meaning in Markdown, its tables, embedded HTML or mentions. They have it anywhere in a line."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
"""Characters that control terminals, where people read Markdown as well."""

Rows = Iterable[Sequence[str]]


Sections = dict[str, Callable[[Any], Iterator[str]]]


def render(report: ExecutionReport) -> str:
    """Render verdict and recovery first, then failures, then what lies behind them."""
    of_kind: Sections = _SECTIONS if isinstance(report, Report) else {"state": _state_of_run, "timeline": _timeline}
    sections: Sections = {"verdict": _verdict} | of_kind
    text = ""
    left_out = []
    for name, part in sections.items():
        more = "".join(f"{line}\n" for line in part(report))
        if len(text) + len(more) > MOST_CHARACTERS:
            left_out.append(name)
        else:
            text += more
    note = f"Left out, because a comment would be too long: {', '.join(left_out)}.\n" if left_out else ""
    return visible(f"{text}{note}".rstrip()) + "\n"


def _verdict(report: ExecutionReport) -> Iterator[str]:
    yield f"## Holdfast: {_text(report.title)}"
    yield ""
    yield f"**{_text(report.verdict_sentence)}**"
    yield ""
    yield _text(report.recovery_sentence)
    yield ""


def _state_of_run(report: ExecutionReport) -> Iterator[str]:
    run = report.run
    facts = {
        "kind": run.kind,
        "name": run.name,
        "status": run.status,
        "step": run.step,
        "error": f"{run.error_code or ''} {run.error_message}".strip(),
    }
    yield from _table(("fact", "value"), [(name, _text(value)) for name, value in facts.items() if value])


def _pairs(report: Report) -> Iterator[str]:
    pairs = notable(report.pairs)
    if pairs:
        yield "### Pairs that show what no single failure does"
        yield ""
        rows = [
            (_services_of(pair), _state(pair.state), _text(interaction_in_words(pair.interaction))) for pair in pairs
        ]
        yield from _table(("pair", "verdict", "together"), rows)


def _cases(report: Report) -> Iterator[str]:
    bad = (CaseState.FAILED, CaseState.INCONCLUSIVE)
    cases = sorted((case for case in report.cases if case.state in bad), key=lambda case: bad.index(case.state))
    if not cases:
        return
    yield "### Cases that do not meet the SLO, or may not"
    yield ""
    rows = [
        (
            _text(case.case_id),
            _state(case.state),
            str(case.requests),
            percent(case.error_rate),
            *(latency(case, percentile) for percentile in Percentile),
            milliseconds(case.max_ms),
            _text(case.reason),
        )
        for case in cases
    ]
    yield from _table(("case", "verdict", "requests", "errors", "p50", "p95", "p99", "max", "why"), rows)


def _fallbacks(report: Report) -> Iterator[str]:
    fallback = report.fallback
    if fallback is None:
        return
    yield "### Fallback calls"
    yield ""
    yield f"{DEFINITION} {found_in_words(fallback)}"
    yield ""
    yield from (f"* Not seen: {_text(sentence)}" for sentence in fallback.unseen)
    if fallback.unseen:
        yield ""
    rows = [
        (
            _text(under(call)),
            _text(call.service) + (" (broken itself)" if call.retry else ""),
            _text(f"{call.method} {call.path}"),
            often(call),
            _text(standing(call)),
        )
        for call in fallback.calls
    ]
    if rows:
        headings = ("while broken", "receives", "call", "how often", "when its service fails as well")
        yield from _table(headings, rows, more=fallback.calls_left_out)
    lines = list(grounds_in_words(report.grounds)) if report.grounds else []
    if lines:
        yield " ".join(lines)
        yield ""
    different = [
        (_text(case.case_id), _state(case.state), found_by(case) or NONE, _text(real_in_words(case)))
        for case in report.cases
        if real_in_words(case)
    ]
    if different:
        yield from _table(("case", "verdict", "found by", "answer with real faults"), different)


def _matrix(report: Report) -> Iterator[str]:
    names = [service.service for service in report.services]
    if not report.pairs or len(names) > LARGEST_MATRIX:
        return
    shown = report.shown_percentile
    yield f"### Services by services: error rate, {shown} over the baseline's"
    yield ""
    cells: dict[frozenset[str], PairCell | CaseReport] = {
        frozenset((pair.first, pair.second)): pair for pair in report.pairs
    }
    cells |= {frozenset(case.services): case for case in report.cases if len(case.services) == 1}
    rows = [[f"**{_text(name)}**", *(_cell(cells.get(frozenset((name, column))), shown) for column in names)]
            for name in names]  # fmt: skip
    yield from _table(("", *map(_text, names)), rows)


def _cell(cell: PairCell | CaseReport | None, shown: Percentile) -> str:
    if cell is None:
        return NONE
    if cell.error_rate is None:
        return f"*{STATE_WORDS[cell.state]}*"
    words = f"{percent(cell.error_rate)}, {times(ratio(cell, shown))}"
    return words if cell.state is CaseState.PASSED else f"{_state(cell.state)} {words}"


def _coverage(report: Report) -> Iterator[str]:
    coverage = report.coverage
    yield "### Coverage"
    yield ""
    yield (
        f"{coverage.measured} of {coverage.total} cases measured, {percent(coverage.share)} of the cases that count "
        f"({percent(coverage.at_least)} required); {coverage.invalid} invalid, {coverage.skipped} skipped, "
        f"{coverage.excluded} excluded, {coverage.missing} not reached."
    )
    yield ""
    if coverage.reasons:
        rows = [(STATE_WORDS[reason.state], str(reason.cases), _text(reason.reason)) for reason in coverage.reasons]
        yield from _table(("state", "cases", "why"), rows)


def _services(report: Report) -> Iterator[str]:
    if not report.services:
        return
    yield "### What each service's failure looks like"
    yield ""
    rows = []
    for service in report.services:
        answers = "; ".join(
            f"{answer.method} {answer.path}: {answer.status}"
            + (f" (healthy: {answer.healthy_status})" if answer.healthy_status is not None else "")
            + (" (in place of no answer)" if answer.substituted else "")
            for answer in service.captured
        )
        shown = _text(answers or service.error, _LONGEST_ANSWERS)
        rows.append(
            (_text(service.service), _text(service.fault), str(service.state), shown, seconds(service.broken_seconds))
        )
    yield from _table(("service", "fault", "state", "answers when broken", "intent to recovery"), rows)


def _timeline(report: ExecutionReport) -> Iterator[str]:
    yield "<details><summary>Phases and what was switched on</summary>"
    yield ""
    if report.timeline.phases:
        yield from _table(
            ("phase", "began", "took"),
            [
                (_text(phase.phase), f"{phase.started_at:%H:%M:%S}", seconds(phase.seconds))
                for phase in report.timeline.phases
            ],
        )
    yield from _table(
        ("window", "of", "intent", "recovered", "state"),
        [
            (
                _text(window.kind),
                _text(window.service or window.peer_name) or NONE,
                f"{window.intent_at:%H:%M:%S}" if window.intent_at else NONE,
                f"{window.recovered_at:%H:%M:%S}" if window.recovered_at else "**not seen**",
                _text(window.state),
            )
            for window in report.timeline.windows
        ],
        more=report.timeline.windows_left_out,
    )
    notices = [(f"{notice.at:%H:%M:%S}", notice.level, _text(notice.message)) for notice in report.timeline.notices]
    if notices:
        yield from _table(("at", "level", "message"), notices, more=report.timeline.notices_left_out)
    yield "</details>"
    yield ""


def _details(report: Report) -> Iterator[str]:
    environment = report.environment
    yield "<details><summary>Environment, plan and versions</summary>"
    yield ""
    facts = {
        "execution": str(report.run.execution_id or NONE),
        "environment": f"{environment.environment}, namespace {environment.namespace}",
        "request": environment.request,
        "load": environment.load,
        "SLO": "; ".join(environment.slo),
        "run": f"{environment.workflow_id}, {environment.workflow_run_id}",
        "requested by": environment.requested_by or NONE,
        "holdfast": f"{report.holdfast_version}, Python {environment.python}, {environment.platform}",
        "written": f"{report.written_at:%Y-%m-%d %H:%M:%S} UTC",
    }
    yield from _table(("what", "which"), [(name, _text(value)) for name, value in facts.items()])
    plan = report.plan_yaml
    if len(plan) > _LONGEST_PLAN:
        plan = (
            plan[:_LONGEST_PLAN]
            + f"\n# ... {len(report.plan_yaml):,} characters in all: the other forms have the whole plan"
        )
    # The fence must be longer than any row of backticks in the plan, or the plan would end the block.
    fence = "`" * max(3, 1 + max((len(row) for row in re.findall("`+", plan)), default=0))
    yield from (f"{fence}yaml", plan.rstrip(), fence, "", "</details>", "")


def _services_of(cell: PairCell) -> str:
    return _text(f"{cell.first}+{cell.second}")


def _state(state: CaseState) -> str:
    return f"**{STATE_WORDS[state].upper()}**" if state is CaseState.FAILED else STATE_WORDS[state]


def _table(headings: Sequence[str], rows: Rows, more: int = 0) -> Iterator[str]:
    """Render a table of at most `MOST_ROWS` rows.

    Below it is the number of rows left out, including `more` that the caller left out before.
    """
    all_rows = list(rows)
    yield f"| {' | '.join(headings)} |"
    yield f"|{' --- |' * len(headings)}"
    for row in all_rows[:MOST_ROWS]:
        yield f"| {' | '.join(row)} |"
    yield ""
    left_out = max(0, len(all_rows) - MOST_ROWS) + more
    if left_out:
        yield f"... and {left_out} more"
        yield ""


def _text(text: str, longest: int = _LONGEST_CELL) -> str:
    """Escape text for Markdown, and make it one short line.

    It then fits a cell of a table.
    """
    line = _CONTROL.sub("\ufffd", " ".join(text.split()))
    line = line if len(line) <= longest else f"{line[:longest]} ..."
    return _SPECIAL.sub(r"\\\1", line)


_SECTIONS: Sections = {
    "pairs": _pairs,
    "cases": _cases,
    "fallback calls": _fallbacks,
    "matrix": _matrix,
    "coverage": _coverage,
    "services": _services,
    "timeline": _timeline,
    "plan": _details,
}
"""Sections of a resilience test, the most important first."""
