"""What the workflows and activities that verify pairs say to each other."""

from __future__ import annotations

from workflows.contracts.base import Contract
from workflows.contracts.execution import ExecutionRef
from workflows.contracts.fidelity import PairFinding
from workflows.contracts.windows import WindowInput


class PairsWish(ExecutionRef):
    """Asks which pairs are to be verified."""

    share: float
    """Percent of the measured pairs."""


class ChosenPairs(Contract):
    """Which pairs are verified with two real faults."""

    measured: int
    """Pairs that the load test measured with rules."""
    cases: list[int] = []
    """Indices of the chosen ones, ascending, spread evenly over the measured ones."""


class PairsWindowInput(WindowInput):
    """What a pairs window is started with besides."""

    cases: list[int]
    """Indices of its pairs."""
    fault_seconds: float
    """How long each of a pair's two fault windows may stay open."""
    request_seconds: float
    """Upper bound on a pair's requests."""


class PairOrder(ExecutionRef):
    """One pair whose two faults are on: ask, and compare."""

    case_index: int
    case_id: str
    faults: dict[str, str]
    """The name of the fault in each of the two services."""


class UncheckedPair(ExecutionRef):
    """One pair that could not be verified."""

    case_index: int
    reason: str


class PairsReport(Contract):
    """The result of one pairs window."""

    done: int = 0
    """How many of its pairs were dealt with, in order; a paused run begins the others later."""
    findings: list[PairFinding] = []
    """One per pair that was dealt with."""
    trouble: str = ""
    """A fault that was not seen to end: nothing more is begun then."""
