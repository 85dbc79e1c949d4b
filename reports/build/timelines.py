"""What happened when: phases, windows, and warnings in the log."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from clients.store.read_models import LogEntry, LogLevel
from domain.executions.state import ExecutionState, WindowRow
from domain.executions.windows import WindowState
from domain.resilience.state import ResilienceState
from reports.build.reading import StoredRun
from reports.model.report import Notice, PhaseSpan, Timeline, WindowSpan

MOST_WINDOWS = 2_500
"""Windows of a timeline. A run of a thousand services has somewhat more than a thousand, not counting pairs with real
faults."""

MOST_NOTICES = 200
"""Lines of the log."""


def timeline(run: StoredRun, state: ResilienceState) -> Timeline:
    """Build the timeline of a resilience test."""
    phases = [
        PhaseSpan(
            phase=phase.phase,
            started_at=phase.started_at,
            finished_at=phase.finished_at,
            seconds=_seconds(phase.started_at, phase.finished_at),
        )
        for phase in state.phases
    ]
    return timeline_of(state, phases, run.log)


def timeline_of(state: ExecutionState, phases: list[PhaseSpan], log: Sequence[LogEntry]) -> Timeline:
    """Build the timeline of an execution.

    If there are too many windows, those that are not closed are kept first.
    """
    rows = sorted(state.windows, key=lambda window: (window.state is WindowState.CLOSED, window.window_id))[
        :MOST_WINDOWS
    ]
    warnings = [entry for entry in log if entry.level >= LogLevel.WARN]
    began = state.started_at or datetime.now(UTC)
    return Timeline(
        started_at=began,
        finished_at=state.finished_at,
        seconds=_seconds(began, state.finished_at),
        phases=phases,
        windows=[_window(row) for row in sorted(rows, key=lambda row: (row.began_at or began, row.window_id))],
        windows_left_out=len(state.windows) - len(rows),
        notices=[
            Notice(at=warning.ts, level=warning.level.name, message=warning.message)
            for warning in warnings[:MOST_NOTICES]
        ],
        notices_left_out=max(0, len(warnings) - MOST_NOTICES),
    )


def _window(row: WindowRow) -> WindowSpan:
    return WindowSpan(
        window_id=row.window_id,
        kind=row.kind,
        service=row.service,
        peer_name=row.peer_name,
        state=row.state,
        intent_at=row.began_at,
        recovered_at=row.ended_at,
        seconds=_seconds(row.began_at, row.ended_at),
        detail=row.detail,
    )


def _seconds(began: datetime | None, ended: datetime | None) -> float | None:
    return None if began is None or ended is None else round((ended - began).total_seconds(), 3)
