"""Steady state: orders and reports of its check.

It is checked before anything is switched on, and after everything is off.
"""

from __future__ import annotations

from enum import StrEnum

from domain.base import Contract


class SteadyMoment(StrEnum):
    """When the steady state is checked."""

    BEFORE = "before"
    AFTER = "after"


class SteadyOrder(Contract):
    """Order to check whether the plan's request meets its tolerance."""

    execution_id: int
    moment: SteadyMoment


class SteadyReport(Contract):
    """Result of a steady-state check."""

    met: bool
    detail: str = ""
    """Why the steady state was not met, with the measured values."""
