"""Which execution an activity works for, for the lines that it logs."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

EXECUTION: ContextVar[int | None] = ContextVar("execution", default=None)
"""The execution of the activity in progress. None outside of activities, and where an activity has none."""


LOGS_FAILURE: ContextVar[bool] = ContextVar("logs_failure", default=False)
"""Whether the activity in progress logs the reason of its failure. The SDK's record of it is then a duplicate."""


def note_execution(order: Any) -> None:
    """Remember the execution that an activity's order names, for the rest of this task."""
    named = getattr(order, "execution_id", None)
    EXECUTION.set(named if named is not None else getattr(getattr(order, "execution", None), "execution_id", None))
