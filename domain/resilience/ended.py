"""Panels of a run that is over: nothing there still runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from domain.executions.execution import RunStatus
from domain.executions.state import WindowRow
from domain.executions.windows import WindowKind, WindowState
from domain.faults.model import InjectionState
from domain.resilience.model import Phase
from domain.resilience.state import AnalysisPanel, InjectionRow, ResilienceState

_DONE = (InjectionState.RECOVERED, InjectionState.FAILED)


def injection_fields(rows: Sequence[InjectionRow]) -> dict[str, Any]:
    """Return a state's injections, with the numbers done and running."""
    states = [row.state for row in rows]
    return {
        "injections": list(rows),
        "injections_completed": sum(state in _DONE for state in states),
        "injections_running": states.count(InjectionState.RUNNING),
    }


def over(state: ResilienceState, status: RunStatus, message: str) -> dict[str, Any]:
    """Return the panels of a run that has ended.

    An analysis that was cut short did not complete, and a fault whose window has ended is not running.
    """
    ends = {row.service: row for row in state.windows if row.kind is WindowKind.FAULT}
    rows = [_ended(row, ends.get(row.service)) for row in state.injections]
    return {"analysis": _analysis(state, status, message), **injection_fields(rows)}


def off(state: ResilienceState) -> dict[str, Any]:
    """Return the panels of a run of which everything was seen to be off."""
    seen = {InjectionState.RUNNING: InjectionState.RECOVERED}
    rows = [row.model_copy(update={"state": seen.get(row.state, row.state)}) for row in state.injections]
    return {"rules": state.rules.model_copy(update={"ready": False}), **injection_fields(rows)}


def _analysis(state: ResilienceState, status: RunStatus, message: str) -> AnalysisPanel:
    panel = state.analysis
    begun = panel.state == "recording" or any(
        phase_time.phase is Phase.ANALYZING_PATTERNS for phase_time in state.phases
    )
    if not begun or panel.state == "completed":
        return panel
    if status is RunStatus.CANCELLED:
        return panel.model_copy(update={"state": "cancelled"})
    return panel.model_copy(update={"state": "failed", "error": message})


def _ended(row: InjectionRow, window: WindowRow | None) -> InjectionRow:
    """Complete a row without a report: the run ended during the fault.

    The last state of the fault's window decides.
    """
    if row.state is not InjectionState.RUNNING or window is None:
        return row
    if window.state is WindowState.CLOSED:
        return row.model_copy(update={"state": InjectionState.RECOVERED})
    if window.state is WindowState.UNVERIFIED:
        return row.model_copy(update={"state": InjectionState.FAILED, "error": window.detail})
    return row
