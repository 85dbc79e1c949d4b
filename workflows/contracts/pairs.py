"""What the workflows and activities that verify pairs say to each other."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import ValidationInfo, model_validator

from workflows.contracts.base import Contract, UnfitError
from workflows.contracts.execution import ExecutionRef
from workflows.contracts.fidelity import PairFinding
from workflows.contracts.starting import (
    LONGEST_HOLD,
    BatchSeconds,
    CaseIndex,
    HoldSeconds,
    at_most,
    is_start,
    seconds_between,
)
from workflows.contracts.windows import WindowInput

MOST_PAIRS = 1_000
"""Of one window: far more than `logic.fidelity.per_page` gives it."""


class PairsWish(ExecutionRef):
    """Asks which pairs are to be verified."""

    share: float | None = None
    """Percent of the measured pairs. None: only those that rules leave in doubt."""


class ChosenPairs(Contract):
    """Which pairs are verified with two real faults."""

    measured: int
    """Pairs that the load test measured with rules."""
    cases: list[int] = []
    """Indices of the chosen ones, ascending, spread evenly over the measured ones."""


class PairsWindowInput(WindowInput):
    """What a pairs window is started with besides."""

    hold_seconds: Annotated[float, seconds_between(0, MOST_PAIRS * (3 * LONGEST_HOLD))]
    """It holds nothing itself: for each pair its faults' time, their recovery, and the wait until all is stable."""
    cases: Annotated[list[CaseIndex], at_most(MOST_PAIRS)]
    """Indices of its pairs."""
    fault_seconds: HoldSeconds
    """How long each of a pair's two fault windows may stay open."""
    request_seconds: BatchSeconds
    """Upper bound on a pair's requests."""
    discovers: bool = False
    """Whether its pairs are asked to see which calls they cause, before there are rules to compare with."""

    @model_validator(mode="after")
    def _has_pairs_of_its_run(self, info: ValidationInfo) -> Self:
        if is_start(info):
            services = len(self.execution.services)
            first = 1 + services
            end = first + services * (services - 1) // 2
            if not all(first <= index < end for index in self.cases):
                raise UnfitError("cases has an index that is no pair", f"{first} to {end - 1} of {services} services")
        return self


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
