"""Changes of the store, for counting them.

Reported once for each change that was committed, by the process that made it. A repeated write that changes nothing is
not reported, so counts over all processes agree with the rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta


@dataclass(frozen=True)
class ExecutionCreated:
    """An execution has a record."""

    kind: str


@dataclass(frozen=True)
class PhaseLeft:
    """A run has gone on to another phase, or ended."""

    phase: str
    took: timedelta


@dataclass(frozen=True)
class ExecutionEnded:
    """The end of an execution is recorded."""

    kind: str
    status: str
    verdict: str | None
    recovery: str
    took: timedelta
    cases: dict[tuple[str, str], int] = field(default_factory=dict)
    """Number of its cases, by outcome and verdict. The verdict is empty where a case has none."""


@dataclass(frozen=True)
class WindowEnded:
    """A window was seen to be off, or given up on."""

    kind: str
    state: str
    """`closed` or `unverified`. A window that was given up on may still be closed later, which is a further end."""


@dataclass(frozen=True)
class RequestsStored:
    """Measurements of cases are stored."""

    requests: int
    errors: int
    late_starts: int


Change = ExecutionCreated | PhaseLeft | ExecutionEnded | WindowEnded | RequestsStored

Report = Callable[[Change], None]
