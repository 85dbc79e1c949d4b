"""What one walk of the sweeper found."""

from __future__ import annotations

from domain.base import Contract


class SweepOrder(Contract):
    """Asks for one walk over the ledger; what to look at may be narrowed one day."""


class SweepReport(Contract):
    """Window ids, by what was done about them."""

    closed: list[str] = []
    cancelled: list[str] = []
    failed: list[str] = []
    """Still on, or perhaps about to be, or not to be asked; the next sweep tries again."""
    ended: list[str] = []
    """Runs that were over before they held anything, and whose end nobody had written."""
