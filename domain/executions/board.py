"""An execution's board: its state, as steps and windows report it.

The `status` query reads it. The board is pure: time comes from the caller, so that a replay gives the same board. Each
kind of execution has a subclass that adds its own state.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Generic, TypeVar

from domain.errors import ErrorCode
from domain.executions.execution import Recovery, RunStatus, Verdict, final_step
from domain.executions.state import ExecutionState
from domain.executions.window_rows import recovery_of, with_change
from domain.executions.windows import WindowChanged, WindowState

S = TypeVar("S", bound=ExecutionState)


class ExecutionBoard(Generic[S]):
    """An execution's state, and the rules by which it changes."""

    def __init__(self, state: S) -> None:
        self.state = state
        self._doubted = False

    def _set(self, **facts: Any) -> None:
        self.state = self.state.model_copy(update=facts)

    def begun(self, name: str, now: datetime) -> None:
        """Start the execution of a definition with this name: its input is valid."""
        self._set(name=name, status=RunStatus.RUNNING, started_at=now, updated_at=now)

    def refused(self, code: ErrorCode, message: str, now: datetime) -> None:
        """End the execution before it begins: its input is invalid."""
        self._set(started_at=now)
        self.ended(RunStatus.FAILED, now, code, message)

    def created(self, execution_id: int) -> None:
        """Take over the id of the execution's new record."""
        self._set(execution_id=execution_id)

    def judged_as(self, verdict: Verdict) -> None:
        """Record the verdict."""
        self._set(verdict=verdict)

    def enter(self, step: str, now: datetime, message: str = "") -> None:
        """Begin a step."""
        self._set(step=step, message=message, updated_at=now)

    def advanced(self, percent: int) -> None:
        """Record how much of the work is done, in percent. It never falls."""
        self._set(progress=max(self.state.progress, min(percent, 100)))

    def window_changed(self, change: WindowChanged, now: datetime) -> None:
        """Record a window's change of state."""
        rows = with_change(self.state.windows, change)
        recovery = Recovery.UNVERIFIED if self._doubted else recovery_of(rows)
        self._set(windows=rows, updated_at=now, recovery=recovery)

    def doubted(self) -> None:
        """Make recovery unverified for good, even when every window has closed."""
        self._doubted = True
        self._set(recovery=Recovery.UNVERIFIED)

    def waiting_for(self, holder: str) -> None:
        """Record the execution that holds the namespace. Empty: none any more."""
        self._set(waiting_for=holder)

    def paused(self, paused: bool) -> None:
        """Record that an operator has paused or resumed the execution."""
        self._set(paused=paused)

    def ended(self, status: RunStatus, now: datetime, code: ErrorCode | None = None, message: str = "") -> None:
        """End the execution."""
        self.enter(final_step(status), now, message)
        if status is RunStatus.COMPLETED:
            self.advanced(100)
        self._set(status=status, finished_at=now, error_code=code, error_message=message)

    def is_open(self, window_id: str) -> bool:
        """Return whether a window has reported that it is open."""
        return any(row.window_id == window_id and row.state is WindowState.OPEN for row in self.state.windows)

    def snapshot(self, now: datetime) -> S:
        """Return the state, with what depends on the time."""
        return self.state
