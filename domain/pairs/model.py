"""Messages between the workflows and activities that verify pairs."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import ValidationInfo, model_validator

from domain.base import Contract, UnfitError
from domain.executions.execution import ExecutionRef
from domain.executions.starting import (
    LONGEST_HOLD,
    BatchSeconds,
    CaseIndex,
    HoldSeconds,
    at_most,
    is_start,
    seconds_between,
)
from domain.executions.windows import WindowInput
from domain.pairs.fidelity import PairFinding

MOST_PAIRS = 1_000
"""Pairs of one window, at most: far more than `domain.pairs.comparing.per_page` gives it."""


class PairsOrder(ExecutionRef):
    """Order to choose the pairs to verify."""

    share: float | None = None
    """Percent of the measured pairs. None: only those that rules leave in doubt."""


class ChosenPairs(Contract):
    """Pairs to verify with two real faults."""

    measured: int
    """Pairs that the load test measured with rules."""
    cases: list[int] = []
    """Indices of the chosen pairs, ascending. A share that the user asked for is spread evenly over the measured pairs;
    pairs in doubt come on top."""


class PairsWindowInput(WindowInput):
    """Input of a pairs window."""

    hold_seconds: Annotated[float, seconds_between(0, MOST_PAIRS * (3 * LONGEST_HOLD))]
    """The window holds nothing itself. For each pair this covers its faults' time, their recovery, and the wait until
    all is stable."""
    cases: Annotated[list[CaseIndex], at_most(MOST_PAIRS)]
    """Indices of its pairs."""
    fault_seconds: HoldSeconds
    """How long each of a pair's two fault windows may stay open."""
    request_seconds: BatchSeconds
    """Upper bound on a pair's requests."""
    discovers: bool = False
    """Whether its pairs only show which calls they cause. There are no rules to compare with yet."""

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
    """One pair whose two faults are active, to be tried and compared."""

    case_index: int
    case_id: str
    faults: dict[str, str]
    """Name of the active fault in each of the two services."""


class UncheckedPair(ExecutionRef):
    """One pair that could not be verified."""

    case_index: int
    reason: str


class PairsReport(Contract):
    """Result of one pairs window."""

    done: int = 0
    """Number of its pairs that were dealt with, in order. If the run is paused, the others begin later."""
    findings: list[PairFinding] = []
    """One finding per pair that was dealt with."""
    trouble: str = ""
    """A fault that was not seen to end. No further pair begins then."""
