"""Models the store returns besides the domain's contracts: rows made for readers."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import IntEnum, StrEnum
from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from domain.base import Contract
from domain.calls.model import FoundBy
from domain.errors import ErrorClass, ErrorCode
from domain.executions.execution import Recovery, RunStatus, Verdict
from domain.measuring.load import Case, CaseOutcome, CaseType
from domain.pairs.fidelity import PairFinding
from domain.resilience.model import RESILIENCE_TEST, OldPhase, Phase
from domain.traffic.exchange import Measurement


class LogLevel(IntEnum):
    """Levels of `task_execution_log`, with the peers' numbers."""

    DEBUG = 0
    INFO = 1
    WARN = 2
    ERROR = 3


class LogEntry(Contract):
    """One line of a run's log."""

    ts: datetime
    level: LogLevel
    message: str
    entry_id: int = 0
    """Unique id of the line; 0 when it is not stored.

    Lines with the same time are ordered by it.
    """


class Halt(Contract):
    """The halt of all new runs: why, by whom, since when."""

    reason: str
    by: str
    since: datetime

    def __str__(self) -> str:
        """Return one sentence for people."""
        who = f" by {self.by}" if self.by else ""
        return f"halted since {self.since.astimezone(UTC):%Y-%m-%d %H:%M:%SZ}{who}: {self.reason}"


class StoredCase(Case):
    """A case with its experiments, in the form the peers store them."""

    faults_json: str


class CaseResult(Contract):
    """The result of one case.

    It is written by `case_index`; `case_id` and `case_type` are filled in on reading.
    """

    case_index: int
    case_id: str = ""
    case_type: CaseType = CaseType.BASELINE
    outcome: CaseOutcome
    reason: str = ""
    verdict: Verdict | None = None
    measurement: Measurement | None = None
    request_url: str = ""
    request_method: str = ""
    found_by: FoundBy | None = None
    """Basis of the verdict; None without a verdict and in older rows."""


class Arm(StrEnum):
    """The arm that samples were measured in."""

    CASE = "case"
    CONTROL = "control"


class StoredSamples(Contract):
    """The latencies of one arm of a group of cases."""

    case_index: int
    """The case; for a control, the first case of its group."""
    arm: Arm
    histogram: bytes
    """Latencies of all successes, encoded by `clients/load/histograms.py`."""
    raw: bytes | None
    """Each sample, errors included (`clients/store/packing.py`). None when there were too many."""


class CheckedPair(Contract):
    """The result of one pair with two real faults.

    On reading, the finding holds the case's id.
    """

    case_index: int
    finding: PairFinding
    verdict: Verdict | None = None
    """Verdict by the limits of the SLO; None when nothing was measured."""
    measurement: Measurement | None = None


Step = Annotated[Phase | OldPhase | str, Field(union_mode="left_to_right")]
"""Step of an execution in a stored row. Only a resilience test has phases."""


class ExecutionRow(Contract):
    """The record of an execution, in the form people read."""

    kind: str = RESILIENCE_TEST
    """Name of the execution's kind."""
    execution_id: int
    task_id: int
    req_def_id: int
    plan: str
    """Name of the plan, or of another kind's definition."""
    namespace: str
    environment: str
    status: Step
    """What it is doing: the phase of a resilience test. The column keeps the peers' name."""
    run_status: RunStatus
    verdict: Verdict | None
    recovery: Recovery | None
    workflow_id: str
    run_id: str
    requested_by: str
    error_code: ErrorCode | None
    error_class: ErrorClass | None
    error_phase: Step | None
    error_message: str
    started_at: datetime
    updated_at: datetime
    finished_at: datetime | None
    analyze_task_id: str | None = None
    """Id of the analysis at the proxy."""
    intercept_record_id: str | None = None
    """Record id of the rules at the proxy."""
    name: str = ""
    """Name of the definition; empty in rows of before it was stored."""
    parent_execution_id: int | None = None
    """The execution that started this one."""

    @field_validator("status")
    @classmethod
    def _known_phase(cls, status: Step, info: ValidationInfo) -> Step:
        # Not of `error_phase`: a phase in which a newer worker failed must not make the row unreadable.
        if info.data.get("kind") == RESILIENCE_TEST and not isinstance(status, Phase | OldPhase):
            raise ValueError("not a phase of a resilience test")
        return status


class UnfinishedRun(Contract):
    """A run without a recorded end: the fields needed to end it."""

    execution_id: int
    workflow_id: str
    run_id: str


class RunFilter(Contract):
    """Conditions for listing runs; a run must meet all of them.

    A field that is None or empty sets no condition.
    """

    plan: str | None = None
    """Name of the plan, or of another kind's definition."""
    kinds: tuple[str, ...] = ()
    """Kinds to list."""
    namespace: str | None = None
    statuses: tuple[RunStatus, ...] = ()
    """Statuses to list."""
    verdicts: tuple[Verdict, ...] = ()
    recoveries: tuple[Recovery, ...] = ()
    since: datetime | None = None
    """Earliest start of a run."""
    before: int | None = None
    """Only runs created before this execution.

    Pass the last execution of a page to list the next page.
    """
