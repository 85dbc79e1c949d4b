"""One frame of the live view, for a given terminal size.

This module is pure: time and size are arguments. The current stage shows everything it has. The other stages show what
there is room for, and at least their summary line. The log takes the rest.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from rich.text import Text

from cli.ui.live_lines import FAINT, bar, highlighted, log_lines, milestones, on_now, packed
from cli.ui.panels import header_lines, stage_panels
from clients.store.read_models import LogEntry
from domain.control_characters import visible_line
from domain.executions.state import ExecutionState
from domain.faults.model import InjectionState
from domain.resilience.model import Phase
from domain.resilience.state import ResilienceState

_LEAST_LOG = 4
"""Log lines that always get room before any panel shows more than its first line."""

_LOG_SHARE = 5
"""On a large terminal, at least one line in five is for the log."""

_LOW = 30
"""Terminals with fewer lines leave out what matters less, and put short lines side by side."""

_MATTERS_LESS = ("execution ", "started ", "steady state before the run: met", "steady state after the run: met")
"""Beginnings of the header lines that a low terminal leaves out."""

_WORTH_A_CUT = 4
"""Fewest rows worth showing of a panel that has more, if it is not the current stage's."""

_COLUMN = re.compile(r"^(  \S+)(  +)(?=\S)")
"""Matches the first column of a panel's row, and the blanks after it."""

_URGENCY = {InjectionState.RUNNING: 0, InjectionState.FAILED: 1, InjectionState.RECOVERED: 2, InjectionState.PENDING: 3}


@dataclass(frozen=True)
class Moment:
    """Everything that one frame shows."""

    state: ExecutionState | None
    """None: the run has not answered yet."""
    log: Sequence[LogEntry]
    log_of_store: bool
    now: datetime
    """UTC."""
    footer: str


def frame(moment: Moment, width: int, height: int, marks: Mapping[str, str]) -> list[Text]:
    """Return one frame of exactly `height` lines, the footer always last."""
    foot = [Text(moment.footer, FAINT)]
    state = moment.state
    if state is None:
        middle = [Text("waiting for the run's first answer", "bold")]
    else:
        low = height < _LOW
        top = _top(state, moment.now, width, marks, low=low)
        least = max(_LEAST_LOG, height // _LOG_SHARE)
        middle = top + _panels(state, width, height - len(top) - len(foot) - 1 - least, low=low)
    left = height - len(middle) - len(foot) - 1
    lines = (middle + _log(moment, width, left))[: height - 1]
    lines += [Text()] * (height - 1 - len(lines)) + foot
    lines = [_escaped(line) for line in lines]
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return lines


def _escaped(line: Text) -> Text:
    """Spell out control characters. A line that has any loses its colours."""
    plain = visible_line(line.plain)
    return line if plain == line.plain else Text(plain)


def _top(state: ExecutionState, now: datetime, width: int, marks: Mapping[str, str], *, low: bool) -> list[Text]:
    header = [line for line in header_lines(state) if not (low and line.startswith(_MATTERS_LESS))]
    return [
        *packed([highlighted(line) for line in header], width, " | "),
        *packed(milestones(state, now, marks), width, "  "),
        *bar(state, width, marks),
        *packed(on_now(state, now), width, " "),
    ]


def _log(moment: Moment, width: int, height: int) -> list[Text]:
    if height < 1:
        return []
    source = "from the store" if moment.log_of_store else "from the run itself"
    title = f"log, {source}, times in UTC "
    head = Text(title + "-" * max(0, width - len(title)), "bold")
    return [head, *log_lines(moment.log, width, height)]


def _panels(state: ExecutionState, width: int, room: int, *, low: bool) -> list[Text]:
    """Return each panel's first line, and others as far as they fit.

    The lines of the current stage take precedence.
    """
    panels = stage_panels(state)
    titles = [highlighted(lines[0]) for _, lines in panels]
    for title in titles:
        title.stylize("bold")
    spare = max(0, room - len(packed(titles, width, " | ") if low else titles))
    shown: dict[int, list[str]] = {}
    current = _stage_of(state)
    for index in _by_interest([stage for stage, _ in panels], current):
        rows = panels[index][1][1:]
        if len(rows) > spare:
            worth = panels[index][0] == current or spare >= _WORTH_A_CUT
            rows = _cut(stage_panels(_busiest_first(state))[index][1][1:], spare) if worth else []
        shown[index] = rows
        spare -= len(rows)
    return _joined(titles, shown, width, low=low)


def _joined(titles: Sequence[Text], shown: Mapping[int, list[str]], width: int, *, low: bool) -> list[Text]:
    """Put each title's rows below it.

    On a low terminal, titles without rows share a line.
    """
    lines: list[Text] = []
    pending: list[Text] = []
    for index, title in enumerate(titles):
        pending.append(title)
        if shown[index] or not low or index == len(titles) - 1:
            lines += packed(pending, width, " | ") if low else pending
            lines += [highlighted(row) for row in _narrowed(shown[index], width)]
            pending = []
    return lines


def _stage_of(state: ExecutionState) -> str:
    """Return the current stage, or the last one of an ended run."""
    if not isinstance(state, ResilienceState):
        return state.step
    entered = [phase_time.phase for phase_time in state.phases if phase_time.phase in _ORDER]
    return entered[-1] if entered else Phase.GENERATING_CASES


_ORDER: list[str] = list(Phase)


def _by_interest(stages: Sequence[str], current: str) -> list[int]:
    """Order panel indices by interest.

    The current stage comes first, then earlier stages, newest first, then later ones.
    """

    def rank(index: int) -> tuple[int, int]:
        distance = _place(current) - _place(stages[index])
        return (0, distance) if distance >= 0 else (1, -distance)

    return sorted(range(len(stages)), key=rank)


def _place(stage: str) -> int:
    return _ORDER.index(stage) if stage in _ORDER else 0


def _busiest_first(state: ExecutionState) -> ExecutionState:
    """Put services with something to see first, if not all fit."""
    if not isinstance(state, ResilienceState):
        return state
    rows = sorted(state.injections, key=lambda row: _URGENCY[row.state])
    return state.model_copy(update={"injections": rows})


def _cut(rows: list[str], room: int) -> list[str]:
    if room < 1:
        return []
    return [*rows[: room - 1], f"  ... and {len(rows) - room + 1} more lines"]


def _narrowed(rows: list[str], width: int) -> list[str]:
    """Narrow the first column to its longest name, if lines overflow."""
    if not any(len(row) > width for row in rows):
        return rows
    columns = [_COLUMN.match(row) for row in rows]
    widest = max((len(column[1]) for column in columns if column), default=0)
    return [
        f"{column[1]:<{widest}}  {row[column.end() :]}" if column else row
        for row, column in zip(rows, columns, strict=True)
    ]
