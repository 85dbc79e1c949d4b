"""The steady state: asked before anything is switched on, and after everything is off."""

from __future__ import annotations

from enum import StrEnum

from domain.base import Contract


class SteadyMoment(StrEnum):
    """When it is asked."""

    BEFORE = "before"
    AFTER = "after"


class SteadyOrder(Contract):
    """Asks whether the plan's request meets its tolerance."""

    execution_id: int
    moment: SteadyMoment


class SteadyReport(Contract):
    """Whether it did."""

    met: bool
    detail: str = ""
    """Why not, with the measured values."""
