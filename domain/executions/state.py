"""State of an execution: what the query `status` answers, whatever its kind."""

from __future__ import annotations

from datetime import datetime

from domain.base import Contract
from domain.errors import ErrorCode
from domain.executions.execution import Recovery, RunStatus, Verdict
from domain.executions.windows import WindowKind, WindowState


class WindowRow(Contract):
    """A window of this run, as the `status` query shows it."""

    window_id: str
    kind: WindowKind
    state: WindowState
    service: str = ""
    peer_name: str = ""
    detail: str = ""
    began_at: datetime | None = None
    """UTC, by the window's clock: when its intent was written. Nothing was switched on before that."""
    ended_at: datetime | None = None
    """UTC, by the same clock: when everything was seen to be off. None until then."""


class ExecutionState(Contract):
    """Current state of an execution. Each kind subclasses it with fields of its own."""

    kind: str = ""
    """Name of the execution's kind (`kinds.py`)."""
    name: str = ""
    """Name of the definition, such as the plan."""
    execution_id: int | None = None
    """None until the record is created."""
    parent_execution_id: int | None = None
    """The execution that started this one."""
    environment: str = ""
    """Name of the system it acts on. Empty if it acts on none."""
    namespace: str = ""
    team: str = ""
    """Team that the definition names as its owner."""
    status: RunStatus = RunStatus.PENDING
    step: str = ""
    """What it is doing: the phase of a resilience test."""
    progress: int = 0
    """Percent of the work done, 0 to 100. Never falls."""
    message: str = ""
    """One sentence about what it is doing."""
    verdict: Verdict | None = None
    recovery: Recovery | None = Recovery.NOT_NEEDED
    """None while something is switched on."""
    paused: bool = False
    waiting_for: str = ""
    """Holder of the namespace, while the execution waits for it."""
    started_at: datetime | None = None
    updated_at: datetime | None = None
    finished_at: datetime | None = None
    error_code: ErrorCode | None = None
    error_message: str = ""
    windows: list[WindowRow] = []
