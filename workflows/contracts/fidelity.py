"""Pair fidelity: how well pairs made of rules stand for pairs with two real faults."""

from __future__ import annotations

from enum import StrEnum

from workflows.contracts.base import Contract


class PairOutcome(StrEnum):
    """What became of a pair that was to be verified. Never silently absent."""

    AGREED = "agreed"
    DISAGREED = "disagreed"
    UNCHECKED = "unchecked"
    """Its faults were not both seen to act, or nothing could be sent: with a reason."""


class PairFinding(Contract):
    """What came of one pair. What was answered is in the store."""

    case_id: str
    outcome: PairOutcome
    status_agrees: bool | None = None
    """None where nothing was compared."""
    body_agrees: bool | None = None
    verdict_agrees: bool | None = None
    differs: list[str] = []
    """What differs, in words: values of statuses and verdicts, and only the places in bodies."""
    reason: str = ""
    """Why it is unchecked."""


class PairFidelity(Contract):
    """How well pairs made of rules stand for pairs with two real faults."""

    share: float
    """Percent of the measured pairs that were asked for."""
    asked_for: bool = True
    """Whether they were. Else these pairs are those whose result was in doubt, and `share` is 0."""
    measured: int = 0
    chosen: int = 0
    agreed: int = 0
    disagreed: int = 0
    unchecked: int = 0
    status_agreed: int = 0
    body_agreed: int = 0
    verdict_agreed: int = 0
    findings: list[PairFinding] = []
    """Those that disagree, then those unchecked; at most 50. The store has every pair."""

    @property
    def compared(self) -> int:
        """Pairs of which both answers are known."""
        return self.agreed + self.disagreed
