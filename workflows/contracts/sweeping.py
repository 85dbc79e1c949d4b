"""What one walk of the sweeper found."""

from __future__ import annotations

from workflows.contracts.base import Contract


class SweepReport(Contract):
    """Window ids, by what was done about them."""

    closed: list[str] = []
    cancelled: list[str] = []
    failed: list[str] = []
    """Still on, or not to be asked; the next sweep tries again."""
