"""What the store hands out beside contracts: rows as readers want them."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import IntEnum, StrEnum

from workflows.contracts.base import Contract
from workflows.contracts.calls import FoundBy
from workflows.contracts.errors import ErrorClass, ErrorCode
from workflows.contracts.exchange import Measurement
from workflows.contracts.execution import AnyPhase, Recovery, RunStatus, Verdict
from workflows.contracts.fidelity import PairFinding
from workflows.contracts.load import Case, CaseOutcome, CaseType


class LogLevel(IntEnum):
    """Levels of `task_execution_log`, in the peers' numbers."""

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
    """Tells a line from all others; lines of the same moment are in its order. 0 for one that is not stored."""


class Halt(Contract):
    """New runs are refused: why, by whose word, since when."""

    reason: str
    by: str
    since: datetime

    def __str__(self) -> str:
        """One sentence for people."""
        who = f" by {self.by}" if self.by else ""
        return f"halted since {self.since.astimezone(UTC):%Y-%m-%d %H:%M:%SZ}{who}: {self.reason}"


class StoredCase(Case):
    """A case with the experiments it stands for, as the peers store them."""

    faults_json: str


class CaseResult(Contract):
    """What became of one case. Written by index; `case_id` and `case_type` are filled in on reading."""

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
    """What its verdict rests on; None where it has none, and in rows of before."""


class Arm(StrEnum):
    """Whose requests samples are of."""

    CASE = "case"
    CONTROL = "control"


class StoredSamples(Contract):
    """The latencies of one arm of a group of cases."""

    case_index: int
    """The case; for a control, the first case of its group."""
    arm: Arm
    histogram: bytes
    """All of them, as `clients/load/histograms.py` encodes them: successes only."""
    raw: bytes | None
    """One by one, errors included (`clients/store/packing.py`). None where there were too many."""


class CheckedPair(Contract):
    """What came of one pair with two real faults. On reading its finding has the case's id."""

    case_index: int
    finding: PairFinding
    verdict: Verdict | None = None
    """By the limits of the SLO; None where nothing was measured."""
    measurement: Measurement | None = None


class ExecutionRow(Contract):
    """The record of a run, as people read it."""

    execution_id: int
    task_id: int
    req_def_id: int
    plan: str
    namespace: str
    environment: str
    status: AnyPhase
    """The phase: the column keeps the peers' name."""
    run_status: RunStatus
    verdict: Verdict | None
    recovery: Recovery | None
    workflow_id: str
    run_id: str
    requested_by: str
    error_code: ErrorCode | None
    error_class: ErrorClass | None
    error_phase: AnyPhase | None
    error_message: str
    started_at: datetime
    updated_at: datetime
    finished_at: datetime | None
    analyze_task_id: str | None = None
    """The proxy's name of the analysis."""
    intercept_record_id: str | None = None
    """The rules' record id at the proxy."""


class UnfinishedRun(Contract):
    """A run whose end is not written: as much of its record as ending it takes."""

    execution_id: int
    workflow_id: str
    run_id: str


class RunFilter(Contract):
    """Which runs are asked for: those that fulfil all of it. What is None or empty asks for nothing."""

    plan: str | None = None
    """The plan's name."""
    namespace: str | None = None
    statuses: tuple[RunStatus, ...] = ()
    """One of these."""
    verdicts: tuple[Verdict, ...] = ()
    recoveries: tuple[Recovery, ...] = ()
    since: datetime | None = None
    """Started then, or later."""
    before: int | None = None
    """Created before this execution: the next page after one that ended with it."""
