"""One sweep over the ledger: its order and its report."""

from __future__ import annotations

from datetime import timedelta

from domain.base import Contract

LONGEST_SWEEP = timedelta(minutes=10)
"""Time for one sweep. The next one goes on with what this one does not reach."""


class SweepOrder(Contract):
    """Order for one sweep over the ledger.

    Empty for now: later, it may narrow what to look at.
    """


class SweepReport(Contract):
    """Ids of windows and runs, by what was done about them."""

    closed: list[str] = []
    cancelled: list[str] = []
    failed: list[str] = []
    """Windows still on, possibly about to be, or impossible to check. The next sweep tries again."""
    ended: list[str] = []
    """Runs whose end this sweep recorded. They ended before they held anything, and nobody else had recorded it."""
