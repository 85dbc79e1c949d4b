"""Pair fidelity: how well pairs made of rules match real faults."""

from __future__ import annotations

from enum import StrEnum

from domain.base import Contract


class PairOutcome(StrEnum):
    """Outcome of a pair that was to be verified.

    Every such pair gets one; none disappears silently.
    """

    AGREED = "agreed"
    DISAGREED = "disagreed"
    UNCHECKED = "unchecked"
    """Nothing could be sent, or its faults were not both seen active. The reason is given."""


class PairFinding(Contract):
    """Finding about one pair; the answers are in the store."""

    case_id: str
    outcome: PairOutcome
    status_agrees: bool | None = None
    """This and the next two: None if nothing was compared."""
    body_agrees: bool | None = None
    verdict_agrees: bool | None = None
    differs: list[str] = []
    """What differs, in words. Shows the values of statuses and verdicts, but only the places in bodies."""
    reason: str = ""
    """Why the pair is unchecked."""


class PairChoice(Contract):
    """Which pairs a run verifies with two real faults."""

    asked_for: bool
    """Whether the user asked for pairs. If not, these are the pairs whose result was in doubt."""
    share: float | None = None
    """Percentage of the measured pairs that the user asked for. None if not, and for runs that did not store it."""
    measured: int
    chosen: int


class PairFidelity(Contract):
    """How well pairs made of rules match pairs with two real faults."""

    share: float
    """Percentage of the measured pairs that the user asked for."""
    asked_for: bool = True
    """Whether the user asked for pairs. If not, these are the pairs whose result was in doubt, and `share` is 0."""
    measured: int = 0
    chosen: int = 0
    agreed: int = 0
    disagreed: int = 0
    unchecked: int = 0
    status_agreed: int = 0
    body_agreed: int = 0
    verdict_agreed: int = 0
    findings: list[PairFinding] = []
    """Pairs that disagree, then unchecked ones; at most 50. The store has every pair."""

    @property
    def compared(self) -> int:
        """Number of pairs of which both answers are known."""
        return self.agreed + self.disagreed
