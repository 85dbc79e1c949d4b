"""The load test: cases by index, batches, and what a batch reports.

The samples are in the store.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

from pydantic import ValidationInfo, model_validator

from domain.base import Contract, UnfitError
from domain.executions.execution import Execution
from domain.executions.starting import (
    MOST_AT_ONCE,
    MOST_BATCHES,
    BatchSeconds,
    CaseIndex,
    is_start,
    number_between,
)
from domain.measuring.metrics import LoadMetrics


class CaseType(StrEnum):
    """Kinds of cases, as in the table `test_cases`."""

    BASELINE = "BASELINE"
    SINGLE = "SINGLE"
    DUAL = "DUAL"


class CaseOutcome(StrEnum):
    """Outcome of a case.

    Every case gets one; none disappears silently.
    """

    MEASURED = "measured"
    INVALID = "invalid"
    SKIPPED = "skipped"


class Case(Contract):
    """One combination of failing services."""

    index: int
    case_id: str
    """`baseline`, or the sorted names of the failing services joined with `+`."""
    case_type: CaseType
    services: list[str] = []


class GeneratedCases(Contract):
    """Numbers of the cases and tokens that case generation stored."""

    baseline: int
    single: int
    dual: int
    tokens: int

    @property
    def total(self) -> int:
        """Number of all cases."""
        return self.baseline + self.single + self.dual


class CaseRange(Contract):
    """Case indices from `first` up to, not including, `end`."""

    first: CaseIndex
    end: CaseIndex


class LoadShare(Contract):
    """Part of the plan's load that a batch may send beside others."""

    lane: int
    """From 0 up to, not including, `of`. No two batches that are measured at once have the same lane."""
    of: int
    """Batches that are measured at once, at most."""


class PageInput(Contract):
    """One page of batches: the work of one `LoadPage`."""

    execution: Execution
    cases: CaseRange
    batch_size: Annotated[int, number_between(1, MOST_BATCHES)]
    batch_seconds: BatchSeconds
    """Upper bound on one batch's time, with room to spare: requests x timeout / concurrency."""
    paused: bool = False
    at_once: Annotated[int, number_between(1, MOST_AT_ONCE)] = 1
    """Batches that are measured at once, at most."""

    @model_validator(mode="after")
    def _is_a_page(self, info: ValidationInfo) -> Self:
        if not is_start(info):
            return self
        if self.cases.first > self.cases.end:
            raise UnfitError("cases ends before it begins", "first is at most end")
        if self.cases.end - self.cases.first > self.batch_size * MOST_BATCHES:
            raise UnfitError("cases is more than a page", f"at most {MOST_BATCHES} batches of batch_size")
        return self


class BatchOrder(Contract):
    """One batch: the work of one activity."""

    execution_id: int
    cases: CaseRange
    share: LoadShare | None = None
    """Part of the plan's load that the batch may send. None: all of it."""


class BatchReport(Contract):
    """What a batch did.

    A repeated batch also reports what an earlier attempt finished.
    """

    measured: int = 0
    invalid: int = 0
    skipped: int = 0
    metrics: LoadMetrics = LoadMetrics()


class PageReport(Contract):
    """What a page did."""

    batches: int = 0
    measured: int = 0
    invalid: int = 0
    skipped: int = 0
    metrics: LoadMetrics = LoadMetrics()


class LoadReport(Contract):
    """Result of a rules window."""

    rules: int = 0
    pages: int = 0
    batches: int = 0
    measured: int = 0
    invalid: int = 0
    skipped: int = 0
    recovery_verified: bool = True


class RulesOrder(Contract):
    """Order to upsert, await or remove the rules of these services."""

    execution_id: int
    services: list[str]
    ttl_seconds: int = 0
    known_to_be_on: bool = False
    """Whether the proxy has answered the upsert. If not, it may still be working on it when we look."""


class RulesUpserted(Contract):
    """What the proxy was asked to switch on."""

    record_id: str
    rules: int
    services: list[str]
    ttl_seconds: int


class Exclusion(Contract):
    """Why the cases of a service cannot be measured."""

    service: str
    outcome: CaseOutcome
    reason: str


class ExclusionOrder(Contract):
    """Order to record the outcome of all cases of these services."""

    execution_id: int
    exclusions: list[Exclusion]
