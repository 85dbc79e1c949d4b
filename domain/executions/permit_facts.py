"""Facts for permits: the caller, and the current state of its execution.

Read when an activity is about to act for the execution.
"""

from __future__ import annotations

from domain.base import Contract
from domain.executions.windows import LedgerEntry


class Caller(Contract):
    """The workflow that called an activity, according to the server.

    Empty for a standalone activity, which no workflow has called.
    """

    workflow_type: str = ""
    workflow_id: str = ""
    run_id: str = ""


class Standing(Contract):
    """Current state of an execution, from the store."""

    execution_id: int
    workflow_id: str
    """Workflow id of its run."""
    run_id: str
    ended: bool
    rows: list[LedgerEntry] = []
    """Its unsettled windows, including its lock."""
    locks: list[LedgerEntry] = []
    """Every unsettled lock, of any execution."""
    halted: str = ""
    """Why everything is halted. Empty if it is not."""
