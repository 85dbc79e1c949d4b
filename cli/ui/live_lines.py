"""Parts of the live view, as coloured text.

They are the milestones, a progress bar, what is switched on now, and log lines.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from rich.text import Text

from cli.console import one_line
from cli.ui.spans import in_words
from cli.ui.window_names import NAMES, window_label
from clients.store.read_models import LogEntry, LogLevel
from domain.executions.execution import RunStatus
from domain.executions.state import ExecutionState, WindowRow
from domain.executions.windows import WindowState
from domain.resilience.model import Phase
from domain.resilience.state import PhaseTime, ResilienceState

GOOD = "green"
BUSY = "yellow"
BAD = "bold red"
FAINT = "dim"

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
"""Words in panels that show how something stands, with their colours. Later patterns win."""

_SYMBOLS = {"done": "✓", "now": "▸", "next": "·", "bad": "✗", "bar": "━", "rest": "─"}
_PLAIN_SYMBOLS = {"done": "+", "now": ">", "next": "-", "bad": "!", "bar": "#", "rest": "."}


def symbols(encoding: str) -> dict[str, str]:
    """Return the symbols that a terminal of this encoding can show."""
    try:
        "".join(_SYMBOLS.values()).encode(encoding)
    except (UnicodeError, LookupError):
        return _PLAIN_SYMBOLS
    return _SYMBOLS


def highlighted(line: str) -> Text:
    """Colour a panel's line by how things stand."""
    text = Text(one_line(line))
    for pattern, style in _HIGHLIGHTS:
        text.highlight_regex(pattern, style)
    return text


def packed(parts: Sequence[Text], width: int, between: str) -> list[Text]:
    """Put parts side by side, in as few lines as possible.

    A part that is wider than `width` is wrapped.
    """
    lines: list[Text] = []
    for part in (piece for text in parts for piece in _wrapped(text, width)):
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


def milestones(state: ExecutionState, now: datetime, marks: Mapping[str, str]) -> list[Text]:
    """Return every stage, and how long each has taken so far."""
    if not isinstance(state, ResilienceState):
        return [_step(state, now, marks)] if state.step else []
    entered = {phase_time.phase: phase_time for phase_time in state.phases}
    end = state.phase if state.phase in _ENDS else Phase.DONE
    last = next((phase_time.phase for phase_time in reversed(state.phases) if phase_time.phase not in _ENDS), None)
    broken = last if end is not Phase.DONE else None
    found = [_milestone(phase, entered.get(phase), now, marks, bad=phase is broken) for phase in _MILESTONES]
    if state.phase not in _ENDS:
        return [*found, Text(f"{marks['next']} {end}", FAINT)]
    good = end is Phase.DONE
    return [*found, Text(f"{marks['done' if good else 'bad']} {end}", GOOD if good else BAD)]


def _step(state: ExecutionState, now: datetime, marks: Mapping[str, str]) -> Text:
    """Return the step of an execution without phases."""
    if state.finished_at is None:
        took = in_words(max(now - (state.started_at or now), timedelta(0)))
        return Text(f"{marks['now']} {state.step} {took}", f"bold {BUSY}")
    good = state.status is RunStatus.COMPLETED
    return Text(f"{marks['done' if good else 'bad']} {state.step}", GOOD if good else BAD)


def _milestone(phase: Phase, time: PhaseTime | None, now: datetime, marks: Mapping[str, str], *, bad: bool) -> Text:
    if time is None:
        return Text(f"{marks['next']} {phase}", FAINT)
    took = in_words(max((time.finished_at or now) - time.started_at, timedelta(0)))
    if time.finished_at is None:
        return Text(f"{marks['now']} {phase} {took}", f"bold {BUSY}")
    return Text(f"{marks['bad' if bad else 'done']} {phase} {took}", BAD if bad else GOOD)


def bar(state: ExecutionState, width: int, marks: Mapping[str, str]) -> list[Text]:
    """Return a progress bar with the time left.

    Of a resilience test only for the two long stages. Empty for the others.
    """
    left = ""
    if not isinstance(state, ResilienceState):
        done = min(max(state.progress, 0), 100)
        total = 100
        what = "%"
    elif state.phase is Phase.INJECTING_AND_REPLAYING:
        done = state.injections_completed
        total = len(state.injections)
        what = "services"
    elif state.phase is Phase.LOAD_TEST_BASELINE:
        done = state.load.cases_done
        total = state.load.cases_total
        what = "cases"
    else:
        return []
    if isinstance(state, ResilienceState) and state.eta_seconds:
        left = f", about {in_words(timedelta(seconds=state.eta_seconds))} left"
    words = f" {done} of {total} {what}{left}"
    room = min(width - len(words), 60)
    if not total or room < 10:
        return [Text(words.strip())]
    filled = room * done // total
    return [Text.assemble((marks["bar"] * filled, GOOD), (marks["rest"] * (room - filled), FAINT), words)]


def on_now(state: ExecutionState, now: datetime) -> list[Text]:
    """Return what is switched on, or was not seen to be off."""
    rows = [row for row in state.windows if row.state is not WindowState.CLOSED and row.kind in NAMES]
    if not rows:
        return [Text("on now: nothing", FAINT)]
    return [Text("on now:", "bold"), *(_window_text(row, now) for row in rows)]


def _window_text(row: WindowRow, now: datetime) -> Text:
    what = window_label(row) + (f" ({row.peer_name})" if row.peer_name else "")
    if row.state is WindowState.UNVERIFIED:
        return Text(one_line(f"{what} NOT seen to be off: {row.detail}"), BAD)
    since = "" if row.began_at is None else f" {in_words(max(now - row.began_at, timedelta(0)))}"
    return Text(one_line(f"{what} {row.state}{since}"), f"bold {BUSY}")


_LEVELS = {LogLevel.DEBUG: FAINT, LogLevel.INFO: "", LogLevel.WARN: f"bold {BUSY}", LogLevel.ERROR: BAD}


def log_lines(entries: Sequence[LogEntry], width: int, height: int) -> list[Text]:
    """Return the newest log lines that fit.

    Warnings and errors are shown in full, other entries on one line each.
    """
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
    for wrapped_line in textwrap.wrap(line, max(width, 10), subsequent_indent=indent):
        yield Text(wrapped_line, style)
