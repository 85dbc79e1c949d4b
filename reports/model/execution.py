"""What the report of every kind of execution has: its header and its timeline.

The report of a kind adds its own sections. The forms render these values and compute nothing.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import SerializeAsAny

from domain.executions.state import ExecutionState
from domain.executions.windows import WindowKind, WindowState
from domain.resilience.model import Phase
from reports.model.cases import Part

REPORT_VERSION: Literal[1] = 1
"""Version of the report that this code writes."""


class PhaseSpan(Part):
    """One phase of the run."""

    phase: Phase
    started_at: datetime
    finished_at: datetime | None = None
    seconds: float | None = None


class WindowSpan(Part):
    """Something that was switched on, from intent to verified end.

    The intent is written before anything is done.
    """

    window_id: str
    kind: WindowKind
    service: str = ""
    peer_name: str = ""
    state: WindowState
    intent_at: datetime | None = None
    recovered_at: datetime | None = None
    """When the window was verified to be closed. None if it has not been."""
    seconds: float | None = None
    """Seconds from `intent_at` to `recovered_at`."""
    detail: str = ""


class Notice(Part):
    """One line of the run's log."""

    at: datetime
    level: str
    """`WARN` or `ERROR`: the report has no other lines."""
    message: str


class Timeline(Part):
    """What happened when."""

    started_at: datetime
    finished_at: datetime | None = None
    """End of the run. None: the run was still under way when the report was written."""
    seconds: float | None = None
    phases: list[PhaseSpan] = []
    """Phases of a resilience test. Empty for other kinds."""
    windows: list[WindowSpan] = []
    """Windows in the order of their intents."""
    windows_left_out: int = 0
    """Further windows, which are only in the store. Closed windows are left out first."""
    notices: list[Notice] = []
    """Warnings and errors, in order; at most 200."""
    notices_left_out: int = 0
    """Further notices, which are only in the store."""


class ExecutionReport(Part):
    """Everything known about an execution of any kind when the report is written.

    A report can also be written for an execution that failed, was aborted, or is still under way.
    """

    version: Literal[1] = REPORT_VERSION
    holdfast_version: str
    """Version of Holdfast that wrote the report."""
    written_at: datetime
    title: str
    """Title, such as `shop, 2026-11-21 20:15 UTC`."""
    verdict_sentence: str
    """Outcome of the execution in one sentence, for readers who stop there."""
    recovery_sentence: str
    """Whether the system is known to be restored, in one sentence."""
    run: SerializeAsAny[ExecutionState]
    """State of the execution, as the `status` query returns it. It is rebuilt from what is stored."""
    timeline: Timeline
