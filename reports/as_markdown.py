"""The report as Markdown, for a pull request or the summary of a pipeline's step: GitHub's and GitLab's dialect.

A comment holds 65,536 characters at most, so tables are cut, and say so; where that is not enough, what matters least
is left out. The other forms have everything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from reports.call_words import (
    DEFINITION,
    found_by,
    found_in_words,
    grounds_in_words,
    often,
    real_in_words,
    standing,
    under,
)
from reports.figures import STATE_WORDS, interaction_in_words, latency, notable, ratio
from reports.model import CaseReport, CaseState, PairCell, Report
from reports.words import NONE, milliseconds, percent, seconds, times
from workflows.contracts.slo import Percentile
from workflows.logic.steering import visible

MOST_CHARACTERS = 65_000
"""Of all of it: a comment's, less the line that says what is left out."""
MOST_ROWS = 20
"""Of any table."""
LARGEST_MATRIX = 12
"""Services of a matrix that is still readable as text."""
_LONGEST_PLAN = 20_000
_LONGEST_CELL = 300
_LONGEST_ANSWERS = 600

_SPECIAL = re.compile(r"([\\`*_\[\]|~<>&@])")
"""What Markdown, its tables, HTML within it and mentions are made of, wherever it stands in a line."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
"""What steers a terminal: people read Markdown there as well."""

Rows = Iterable[Sequence[str]]


def render(report: Report) -> str:
    """Verdict and recovery first; then what failed, and what lies behind it."""
    parts = {
        "verdict": _top,
        "pairs": _pairs,
        "cases": _cases,
        "fallback calls": _fallbacks,
        "matrix": _matrix,
        "coverage": _coverage,
        "services": _services,
        "timeline": _timeline,
        "plan": _details,
    }
    text, left_out = "", []
    for name, part in parts.items():
        more = "".join(f"{line}\n" for line in part(report))
        if len(text) + len(more) > MOST_CHARACTERS:
            left_out.append(name)
        else:
            text += more
    told = f"Too long for a comment, and so not here: {', '.join(left_out)}.\n" if left_out else ""
    return visible(f"{text}{told}".rstrip()) + "\n"


def _top(report: Report) -> Iterator[str]:
    yield f"## Holdfast: {_text(report.title)}"
    yield ""
    yield f"**{_text(report.verdict_sentence)}**"
    yield ""
    yield _text(report.recovery_sentence)
    yield ""


def _pairs(report: Report) -> Iterator[str]:
    found = notable(report.pairs)
    if found:
        yield "### Pairs that show what no single failure does"
        yield ""
        rows = [(_services_of(one), _state(one.state), _text(interaction_in_words(one.interaction))) for one in found]
        yield from _table(("pair", "verdict", "together"), rows)


def _cases(report: Report) -> Iterator[str]:
    bad = (CaseState.FAILED, CaseState.INCONCLUSIVE)
    found = sorted((one for one in report.cases if one.state in bad), key=lambda one: bad.index(one.state))
    if not found:
        return
    yield "### Cases that do not meet the SLO, or may not"
    yield ""
    rows = [
        (
            _text(one.case_id),
            _state(one.state),
            str(one.requests),
            percent(one.error_rate),
            *(latency(one, percentile) for percentile in Percentile),
            milliseconds(one.max_ms),
            _text(one.reason),
        )
        for one in found
    ]
    yield from _table(("case", "verdict", "requests", "errors", "p50", "p95", "p99", "max", "why"), rows)


def _fallbacks(report: Report) -> Iterator[str]:
    found = report.fallback
    if found is None:
        return
    yield "### Fallback calls"
    yield ""
    yield f"{DEFINITION} {found_in_words(found)}"
    yield ""
    yield from (f"* Not seen: {_text(one)}" for one in found.unseen)
    if found.unseen:
        yield ""
    rows = [
        (
            _text(under(one)),
            _text(one.service) + (" (broken itself)" if one.retry else ""),
            _text(f"{one.method} {one.path}"),
            often(one),
            _text(standing(one)),
        )
        for one in found.calls
    ]
    if rows:
        headings = ("while broken", "receives", "call", "how often", "when its service fails as well")
        yield from _table(headings, rows, more=found.calls_left_out)
    lines = list(grounds_in_words(report.grounds)) if report.grounds else []
    if lines:
        yield " ".join(lines)
        yield ""
    different = [
        (_text(one.case_id), _state(one.state), found_by(one) or NONE, _text(real_in_words(one)))
        for one in report.cases
        if real_in_words(one)
    ]
    if different:
        yield from _table(("case", "verdict", "found by", "what really broken services answer"), different)


def _matrix(report: Report) -> Iterator[str]:
    names = [one.service for one in report.services]
    if not report.pairs or len(names) > LARGEST_MATRIX:
        return
    shown = report.shown_percentile
    yield f"### Services by services: error rate, {shown} over the baseline's"
    yield ""
    cells: dict[frozenset[str], PairCell | CaseReport] = {
        frozenset((one.first, one.second)): one for one in report.pairs
    }
    cells |= {frozenset(one.services): one for one in report.cases if len(one.services) == 1}
    rows = [[f"**{_text(name)}**", *(_cell(cells.get(frozenset((name, other))), shown) for other in names)]
            for name in names]  # fmt: skip
    yield from _table(("", *map(_text, names)), rows)


def _cell(one: PairCell | CaseReport | None, shown: Percentile) -> str:
    if one is None:
        return NONE
    if one.error_rate is None:
        return f"*{STATE_WORDS[one.state]}*"
    words = f"{percent(one.error_rate)}, {times(ratio(one, shown))}"
    return words if one.state is CaseState.PASSED else f"{_state(one.state)} {words}"


def _coverage(report: Report) -> Iterator[str]:
    found = report.coverage
    yield "### Coverage"
    yield ""
    yield (
        f"{found.measured} of {found.total} cases measured, {percent(found.share)} of the wanted ones "
        f"({percent(found.at_least)} asked for); {found.invalid} invalid, {found.skipped} skipped, "
        f"{found.excluded} excluded, {found.missing} not reached."
    )
    yield ""
    if found.reasons:
        rows = [(STATE_WORDS[one.state], str(one.cases), _text(one.reason)) for one in found.reasons]
        yield from _table(("state", "cases", "why"), rows)


def _services(report: Report) -> Iterator[str]:
    if not report.services:
        return
    yield "### What each service's failure looks like"
    yield ""
    rows = []
    for one in report.services:
        answers = "; ".join(
            f"{found.method} {found.path}: {found.status}"
            + (f" (healthy: {found.healthy_status})" if found.healthy_status is not None else "")
            + (" stands for no answer" if found.substituted else "")
            for found in one.captured
        )
        told = _text(answers or one.error, _LONGEST_ANSWERS)
        rows.append((_text(one.service), _text(one.fault), str(one.state), told, seconds(one.broken_seconds)))
    yield from _table(("service", "fault", "state", "answers when broken", "intent to recovery"), rows)


def _timeline(report: Report) -> Iterator[str]:
    yield "<details><summary>Phases and what was switched on</summary>"
    yield ""
    yield from _table(
        ("phase", "began", "took"),
        [(_text(one.phase), f"{one.started_at:%H:%M:%S}", seconds(one.seconds)) for one in report.timeline.phases],
    )
    yield from _table(
        ("window", "of", "intent", "recovered", "state"),
        [
            (
                _text(one.kind),
                _text(one.service or one.peer_name) or NONE,
                f"{one.intent_at:%H:%M:%S}" if one.intent_at else NONE,
                f"{one.recovered_at:%H:%M:%S}" if one.recovered_at else "**not seen**",
                _text(one.state),
            )
            for one in report.timeline.windows
        ],
        more=report.timeline.windows_left_out,
    )
    notices = [(f"{one.at:%H:%M:%S}", one.level, _text(one.message)) for one in report.timeline.notices]
    if notices:
        yield from _table(("at", "level", "message"), notices, more=report.timeline.notices_left_out)
    yield "</details>"
    yield ""


def _details(report: Report) -> Iterator[str]:
    one = report.environment
    yield "<details><summary>Environment, plan and versions</summary>"
    yield ""
    facts = {
        "execution": str(report.run.execution_id or NONE),
        "environment": f"{one.environment}, namespace {one.namespace}",
        "request": one.request,
        "load": one.load,
        "SLO": "; ".join(one.slo),
        "run": f"{one.workflow_id}, {one.workflow_run_id}",
        "requested by": one.requested_by or NONE,
        "holdfast": f"{report.holdfast_version}, Python {one.python}, {one.platform}",
        "written": f"{report.written_at:%Y-%m-%d %H:%M:%S} UTC",
    }
    yield from _table(("what", "which"), [(name, _text(value)) for name, value in facts.items()])
    plan = report.plan_yaml
    if len(plan) > _LONGEST_PLAN:
        plan = plan[:_LONGEST_PLAN] + f"\n# ... {len(report.plan_yaml):,} characters in all: the other forms have them"
    # Longer than any row of backticks in it, or the plan would end the block.
    fence = "`" * max(3, 1 + max((len(row) for row in re.findall("`+", plan)), default=0))
    yield from (f"{fence}yaml", plan.rstrip(), fence, "", "</details>", "")


def _services_of(cell: PairCell) -> str:
    return _text(f"{cell.first}+{cell.second}")


def _state(state: CaseState) -> str:
    return f"**{STATE_WORDS[state]}**" if state is CaseState.FAILED else STATE_WORDS[state]


def _table(headings: Sequence[str], rows: Rows, more: int = 0) -> Iterator[str]:
    """A table of at most `MOST_ROWS`, and how many are left out, `more` of them before."""
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
    """Text that means nothing to Markdown, on one line, and not too long for a cell."""
    line = _CONTROL.sub("\ufffd", " ".join(text.split()))
    line = line if len(line) <= longest else f"{line[:longest]} ..."
    return _SPECIAL.sub(r"\\\1", line)
