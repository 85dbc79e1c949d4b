"""What the store knows, at one moment, of the execution that an activity is about to act for, and who asks."""

from __future__ import annotations

from domain.base import Contract
from domain.executions.windows import LedgerEntry


class Caller(Contract):
    """The workflow that asked for an activity, by the server's word. Empty: nobody, a standalone activity."""

    workflow_type: str = ""
    workflow_id: str = ""
    run_id: str = ""


class Standing(Contract):
    """Where an execution stands."""

    execution_id: int
    workflow_id: str
    """Of its run."""
    run_id: str
    ended: bool
    rows: list[LedgerEntry] = []
    """Its windows that are not settled, its lock among them."""
    locks: list[LedgerEntry] = []
    """Every lock that is not settled, of any execution."""
    halted: str = ""
    """Why everything is halted; empty when it is not."""
