"""How an execution is to be started: what to do about obstacles."""

from __future__ import annotations

from dataclasses import dataclass

from domain.executions.execution import IfBusy, Leftovers


@dataclass(frozen=True)
class StartOptions:
    """How to start an execution: what to do about obstacles and pairs."""

    if_busy: IfBusy = IfBusy.REFUSE
    leftovers: Leftovers = Leftovers.REFUSE
    verify_pairs: float | None = None
    """Percent of the measured pairs that also run with two real faults. None: not asked for."""
