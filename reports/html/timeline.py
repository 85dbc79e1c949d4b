"""The timeline as bars: where each begins and how long it is, in percent of the whole run."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from reports import words
from reports.model import Part, PhaseSpan, Report, WindowSpan
from workflows.contracts.windows import WindowKind, WindowState

MOST_TICKS: Final = 6
_TICKS: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400)
"""Seconds between two ticks of the axis."""

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
    """The peer's name of it, or why it ended so."""
    kind: str
    """Decides the colour: `phase`, or a kind of window."""
    start: float
    """Percent of the run's time before it began."""
    width: float
    began: str
    lasted: str
    end: str
    """How it ended, in words."""
    unfinished: bool = False
    """It has no end that is known, so its bar reaches to the last moment that is."""
    trouble: bool = False
    """It was not seen to be off."""


class Tick(Part):
    """A mark on the axis."""

    at: float
    """Percent."""
    label: str


class Chart(Part):
    """The timeline."""

    phases: list[Bar]
    windows: list[Bar]
    ticks: list[Tick]


def chart(report: Report) -> Chart:
    """The bars of a report. A run that goes on reaches to when the report was written."""
    scale = _Scale(report)
    phases = [_phase(one, scale, ended=report.timeline.finished_at is not None) for one in report.timeline.phases]
    windows = [_window(one, scale) for one in report.timeline.windows]
    return Chart(phases=phases, windows=windows, ticks=scale.ticks())


def _phase(one: PhaseSpan, scale: _Scale, *, ended: bool) -> Bar:
    """The last phase of a run that ended has no end of its own: it is the end."""
    return Bar(
        label=one.phase,
        detail="",
        kind="phase",
        **scale.place(one.started_at, one.finished_at),
        began=words.clock(one.started_at),
        lasted=words.seconds(one.seconds),
        end="" if one.finished_at else "the end" if ended else "under way",
        unfinished=one.finished_at is None and not ended,
    )


def _window(one: WindowSpan, scale: _Scale) -> Bar:
    kind = _KINDS[one.kind]
    return Bar(
        label=f"{kind}: {one.service}" if one.service else kind,
        detail=" ".join(part for part in (one.peer_name, one.detail) if part),
        kind=one.kind,
        **scale.place(one.intent_at, one.recovered_at),
        began=words.clock(one.intent_at),
        lasted=words.seconds(one.seconds),
        end=_end(one),
        unfinished=one.recovered_at is None,
        trouble=one.state is WindowState.UNVERIFIED,
    )


def _end(one: WindowSpan) -> str:
    if one.state is WindowState.UNVERIFIED:
        return "NOT seen to be off"
    if one.recovered_at is None:
        return f"still {one.state}"
    return "released" if one.kind is WindowKind.LOCK else "seen to be off"


class _Scale:
    """From moments to percent of the time from the first to the last of them."""

    def __init__(self, report: Report) -> None:
        line = report.timeline
        known = [line.started_at, line.finished_at, *(one.finished_at for one in line.phases)]
        for one in line.windows:
            known += [one.intent_at, one.recovered_at]
        if line.finished_at is None:
            known.append(report.written_at)
        moments = [one for one in known if one is not None]
        self._first, self._last = min(moments), max(moments)
        self._whole = max((self._last - self._first).total_seconds(), 0.001)

    def place(self, start: datetime | None, end: datetime | None) -> dict[str, float]:
        """`start` and `width` of a bar; one without an end reaches to the last moment."""
        begun = start or self._first
        left = self._percent(begun)
        return {"start": left, "width": max(self._percent(end or self._last) - left, 0.0)}

    def _percent(self, moment: datetime) -> float:
        return round(100 * (moment - self._first).total_seconds() / self._whole, 3)

    def ticks(self) -> list[Tick]:
        """At most `MOST_TICKS` of them, at round distances from the beginning."""
        step = next((one for one in _TICKS if self._whole / one <= MOST_TICKS), _TICKS[-1] * 7)
        marks = range(0, int(self._whole) + 1, step)
        return [Tick(at=self._percent(self._first + timedelta(seconds=one)), label=_since(one)) for one in marks]


def _since(seconds: int) -> str:
    if seconds < 60:
        return f"{seconds} s"
    minutes, rest = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes}:{rest:02d}"
    return f"{minutes // 60}:{minutes % 60:02d} h"
