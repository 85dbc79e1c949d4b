"""The timeline as bars.

Each bar's start and length are percentages of the whole run.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from domain.executions.windows import WindowKind, WindowState
from reports.model.execution import ExecutionReport, PhaseSpan, WindowSpan
from reports.model.report import Part
from reports.text import values as words

MOST_TICKS: Final = 6
_TICKS: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400)
"""Possible distances between two ticks of the axis, in seconds."""

_KINDS: Final[dict[WindowKind, str]] = {
    WindowKind.LOCK: "namespace held",
    WindowKind.RECORDING: "recording",
    WindowKind.CALLS: "recording of calls",
    WindowKind.FAULT: "fault",
    WindowKind.RULES: "rules",
    WindowKind.PAIRS: "pairs with two real faults",
    WindowKind.PAIR_FAULT: "fault of a pair",
}


class Bar(Part):
    """One line of the timeline."""

    label: str
    detail: str
    """The peer's name for it, and details such as why it ended that way."""
    kind: str
    """Decides the colour: `phase`, or a kind of window."""
    start: float
    """Percent of the run's time that passed before it began."""
    width: float
    began: str
    lasted: str
    end: str
    """How it ended, in words."""
    unfinished: bool = False
    """Whether its end is unknown. Its bar then reaches to the last known moment."""
    trouble: bool = False
    """Whether its end could not be verified."""


class Tick(Part):
    """A mark on the axis."""

    at: float
    """Position in percent of the run's time."""
    label: str


class Chart(Part):
    """The timeline."""

    phases: list[Bar]
    windows: list[Bar]
    ticks: list[Tick]


def chart(report: ExecutionReport) -> Chart:
    """Build the bars of a report.

    A run that is still under way extends to the moment the report was written.
    """
    scale = _Scale(report)
    phases = [_phase(phase, scale, ended=report.timeline.finished_at is not None) for phase in report.timeline.phases]
    windows = [_window(window, scale) for window in report.timeline.windows]
    return Chart(phases=phases, windows=windows, ticks=scale.ticks())


def _phase(phase: PhaseSpan, scale: _Scale, *, ended: bool) -> Bar:
    """Build the bar of a phase."""
    return Bar(
        label=phase.phase,
        detail="",
        kind="phase",
        **scale.place(phase.started_at, phase.finished_at),
        began=words.clock(phase.started_at),
        lasted=words.seconds(phase.seconds),
        end="" if phase.finished_at else "the end" if ended else "under way",
        # The last phase of an ended run has no end of its own: it is the end.
        unfinished=phase.finished_at is None and not ended,
    )


def _window(window: WindowSpan, scale: _Scale) -> Bar:
    kind = _KINDS[window.kind]
    return Bar(
        label=f"{kind}: {window.service}" if window.service else kind,
        detail=" ".join(part for part in (window.peer_name, window.detail) if part),
        kind=window.kind,
        **scale.place(window.intent_at, window.recovered_at),
        began=words.clock(window.intent_at),
        lasted=words.seconds(window.seconds),
        end=_end(window),
        unfinished=window.recovered_at is None,
        trouble=window.state is WindowState.UNVERIFIED,
    )


def _end(window: WindowSpan) -> str:
    if window.state is WindowState.UNVERIFIED:
        return "NOT seen to be off"
    if window.recovered_at is None:
        return f"still {window.state}"
    return "released" if window.kind is WindowKind.LOCK else "seen to be off"


class _Scale:
    """Converts moments to percent of the time between first and last moment."""

    def __init__(self, report: ExecutionReport) -> None:
        line = report.timeline
        known = [line.started_at, line.finished_at, *(phase.finished_at for phase in line.phases)]
        for window in line.windows:
            known += [window.intent_at, window.recovered_at]
        if line.finished_at is None:
            known.append(report.written_at)
        moments = [instant for instant in known if instant is not None]
        self._first, self._last = min(moments), max(moments)
        self._whole = max((self._last - self._first).total_seconds(), 0.001)

    def place(self, start: datetime | None, end: datetime | None) -> dict[str, float]:
        """Return `start` and `width` of a bar.

        A bar without an end reaches to the last moment.
        """
        begun = start or self._first
        left = self._percent(begun)
        return {"start": left, "width": max(self._percent(end or self._last) - left, 0.0)}

    def _percent(self, moment: datetime) -> float:
        return round(100 * (moment - self._first).total_seconds() / self._whole, 3)

    def ticks(self) -> list[Tick]:
        """Return at most `MOST_TICKS` ticks, at round distances from the beginning."""
        step = next((distance for distance in _TICKS if self._whole / distance <= MOST_TICKS), _TICKS[-1] * 7)
        marks = range(0, int(self._whole) + 1, step)
        return [
            Tick(at=self._percent(self._first + timedelta(seconds=mark)), label=_tick_label(mark)) for mark in marks
        ]


def _tick_label(seconds: int) -> str:
    if seconds < 60:
        return f"{seconds} s"
    minutes, rest = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes}:{rest:02d}"
    return f"{minutes // 60}:{minutes % 60:02d} h"
