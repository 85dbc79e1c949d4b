"""What the live view is made of: milestones, what is on now, and log lines, each as text with its colours."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from rich.text import Text

from cli.console import one_line
from cli.spans import in_words
from clients.store.read_models import LogEntry, LogLevel
from workflows.contracts.execution import Phase
from workflows.contracts.status import PhaseTime, RunState, WindowRow
from workflows.contracts.windows import WindowKind, WindowState

GOOD, BUSY, BAD, FAINT = "green", "yellow", "bold red", "dim"

_MILESTONES = (
    Phase.GENERATING_CASES,
    Phase.ANALYZING_PATTERNS,
    Phase.INJECTING_AND_REPLAYING,
    Phase.RULES_READY,
    Phase.LOAD_TEST_BASELINE,
)
_ENDS = (Phase.DONE, Phase.FAILED, Phase.CANCELLED)

_HIGHLIGHTS = (
    (r"\b(Running|recording|opening|closing|being switched off|inconclusive|invalid|skipped|paused|no effect)\b", BUSY),
    (r"\b(Recovered|passed|verified|completed|met|stable|ready: seen to act|off, and seen to be off)\b", GOOD),
    (r"(?<!\b0 )\b(failed|Failed|FAILED|unverified|NOT ready|error [A-Z][A-Z_]+)\b", BAD),
    (r"\bNOT (met|stable|seen)\b.*", BAD),
    (r"\berrors (?!0%)[0-9.]+%", BAD),
)
"""Words of the panels that say how something stands. Later ones win."""

_NAMES = {
    WindowKind.RECORDING: "recording",
    WindowKind.CALLS: "recording of calls",
    WindowKind.FAULT: "fault in",
    WindowKind.PAIR_FAULT: "pair's fault in",
    WindowKind.RULES: "rules",
    WindowKind.PAIRS: "pairs with two real faults",
}
_SYMBOLS = {"done": "✓", "now": "▸", "next": "·", "bad": "✗", "bar": "━", "rest": "─"}
_PLAIN_SYMBOLS = {"done": "+", "now": ">", "next": "-", "bad": "!", "bar": "#", "rest": "."}


def symbols(encoding: str) -> dict[str, str]:
    """The marks that a terminal of this encoding can show."""
    try:
        "".join(_SYMBOLS.values()).encode(encoding)
    except (UnicodeError, LookupError):
        return _PLAIN_SYMBOLS
    return _SYMBOLS


def highlighted(line: str) -> Text:
    """A line of a panel, with colours for how things stand."""
    text = Text(one_line(line))
    for pattern, style in _HIGHLIGHTS:
        text.highlight_regex(pattern, style)
    return text


def packed(parts: Sequence[Text], width: int, between: str) -> list[Text]:
    """Parts side by side, in as few lines as the width allows. One that is wider than that is wrapped."""
    lines: list[Text] = []
    for part in (piece for one in parts for piece in _wrapped(one, width)):
        if lines and lines[-1].cell_len + len(between) + part.cell_len <= width:
            lines[-1] = Text.assemble(lines[-1], (between, FAINT), part)
        else:
            lines.append(part)
    return lines


def _wrapped(text: Text, width: int) -> list[Text]:
    if text.cell_len <= width:
        return [text]
    lines = textwrap.wrap(text.plain, max(width, 10), subsequent_indent="  ")
    return [Text(line, text.style) if text.style else highlighted(line) for line in lines]


def milestones(state: RunState, now: datetime, marks: Mapping[str, str]) -> list[Text]:
    """Every stage: how long it took, since when it is under way, or that it is to come."""
    entered = {one.phase: one for one in state.phases}
    end = state.phase if state.phase in _ENDS else Phase.DONE
    last = next((one.phase for one in reversed(state.phases) if one.phase not in _ENDS), None)
    broken = last if end is not Phase.DONE else None
    found = [_milestone(phase, entered.get(phase), now, marks, bad=phase is broken) for phase in _MILESTONES]
    if state.phase not in _ENDS:
        return [*found, Text(f"{marks['next']} {end}", FAINT)]
    good = end is Phase.DONE
    return [*found, Text(f"{marks['done' if good else 'bad']} {end}", GOOD if good else BAD)]


def _milestone(phase: Phase, time: PhaseTime | None, now: datetime, marks: Mapping[str, str], *, bad: bool) -> Text:
    if time is None:
        return Text(f"{marks['next']} {phase}", FAINT)
    took = in_words(max((time.finished_at or now) - time.started_at, timedelta(0)))
    if time.finished_at is None:
        return Text(f"{marks['now']} {phase} {took}", f"bold {BUSY}")
    return Text(f"{marks['bad' if bad else 'done']} {phase} {took}", BAD if bad else GOOD)


def bar(state: RunState, width: int, marks: Mapping[str, str]) -> list[Text]:
    """How far the stage is that takes its time, and what is left of it; nothing in the others."""
    if state.phase is Phase.INJECTING_AND_REPLAYING:
        done, total, what = state.injections_completed, len(state.injections), "services"
    elif state.phase is Phase.LOAD_TEST_BASELINE:
        done, total, what = state.load.cases_done, state.load.cases_total, "cases"
    else:
        return []
    left = f", about {in_words(timedelta(seconds=state.eta_seconds))} left" if state.eta_seconds else ""
    words = f" {done} of {total} {what}{left}"
    room = min(width - len(words), 60)
    if not total or room < 10:
        return [Text(words.strip())]
    filled = room * done // total
    return [Text.assemble((marks["bar"] * filled, GOOD), (marks["rest"] * (room - filled), FAINT), words)]


def on_now(state: RunState, now: datetime) -> list[Text]:
    """What is switched on at this moment, or was not seen to be off."""
    rows = [row for row in state.windows if row.state is not WindowState.CLOSED and row.kind in _NAMES]
    if not rows:
        return [Text("on now: nothing", FAINT)]
    return [Text("on now:", "bold"), *(_on(row, now) for row in rows)]


def _on(row: WindowRow, now: datetime) -> Text:
    what = f"{_NAMES[row.kind]} {row.service}".strip() + (f" ({row.peer_name})" if row.peer_name else "")
    if row.state is WindowState.UNVERIFIED:
        return Text(one_line(f"{what} NOT seen to be off: {row.detail}"), BAD)
    since = "" if row.began_at is None else f" {in_words(max(now - row.began_at, timedelta(0)))}"
    return Text(one_line(f"{what} {row.state}{since}"), f"bold {BUSY}")


_LEVELS = {LogLevel.DEBUG: FAINT, LogLevel.INFO: "", LogLevel.WARN: f"bold {BUSY}", LogLevel.ERROR: BAD}


def log_lines(entries: Sequence[LogEntry], width: int, height: int) -> list[Text]:
    """The newest lines of a log that fit: warnings and errors in full, others in one line each."""
    found: list[Text] = []
    for entry in reversed(entries):
        found[:0] = _log_line(entry, width)
        if len(found) >= height:
            break
    return found[-height:] if height > 0 else []


def _log_line(entry: LogEntry, width: int) -> Iterator[Text]:
    head = f"{entry.ts.astimezone(UTC):%H:%M:%S}  {entry.level.name:<5}  "
    line = head + one_line(entry.message)
    style = _LEVELS[entry.level]
    if entry.level < LogLevel.WARN:
        yield Text(line, style)
        return
    indent = " " * len(head) if width > 3 * len(head) else ""
    for one in textwrap.wrap(line, max(width, 10), subsequent_indent=indent):
        yield Text(one, style)
