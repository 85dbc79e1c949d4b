"""A run as a whole: its input, its state and its result.

Terms as in `docs/architecture.md`.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from domain.base import Contract, StrictModel
from domain.errors import ErrorClass, ErrorCode, Problem
from domain.executions.starting import ContentId, ExecutionId, Label, RecordId, Services, Text
from domain.pairs.fidelity import PairFidelity
from domain.timing import Timing
from domain.units import ShareOfSome


class Phase(StrEnum):
    """Phase of an execution.

    These are the exact strings of the original orchestrator, except for CANCELLED, which is ours.
    """

    GENERATING_CASES = "GENERATING_CASES"
    ANALYZING_PATTERNS = "ANALYZING_PATTERNS"
    INJECTING_AND_REPLAYING = "INJECTING_AND_REPLAYING"
    RULES_READY = "RULES_READY"
    LOAD_TEST_BASELINE = "LOAD_TEST_BASELINE"
    DONE = "DONE"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class OldPhase(StrEnum):
    """Phases that may occur in rows of the original orchestrator.

    They are only read. All writing code takes a `Phase`.
    """

    INIT = "INIT"
    """Default of the original's entity, before it was first saved."""
    RECORDING_READY = "RECORDING_READY"
    """End of a stage that the original no longer has."""


AnyPhase = Phase | OldPhase
"""Phase of an execution in a stored row."""


class RunStatus(StrEnum):
    """Status of a run."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"
    FAILED = "failed"


class Verdict(StrEnum):
    """Verdict of a run or a case."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"


class Recovery(StrEnum):
    """Whether the system is known to be as before.

    `unverified` is never green.
    """

    NOT_NEEDED = "not_needed"
    VERIFIED = "verified"
    UNVERIFIED = "unverified"


class IfBusy(StrEnum):
    """What a run does if another run holds its namespace."""

    REFUSE = "refuse"
    WAIT = "wait"
    REPLACE = "replace"


class Leftovers(StrEnum):
    """What a run does about leftovers in its plan's services.

    Leftovers are whatever is switched on there before the run begins.
    """

    REFUSE = "refuse"
    CLEAN = "clean"
    """Switch it off first, no matter which run left it."""


class RunInput(StrictModel):
    """The JSON object that starts `ResilienceTest`.

    The plan is validated separately, so that every problem is reported.
    """

    plan: dict[str, Any]
    if_busy: IfBusy = IfBusy.REFUSE
    leftovers: Leftovers = Leftovers.REFUSE
    verify_pairs: ShareOfSome | None = None
    """Share of measured pairs that also run with two real faults. For example `"100%"`; None: no pairs."""
    requested_by: str = ""


class NewExecution(Contract):
    """Order to create the record of a run."""

    plan_json: str
    """The validated plan, as canonical JSON."""
    workflow_id: str
    run_id: str
    requested_by: str = ""
    verify_pairs: bool = False
    """Whether pairs run with two real faults, which the worker must allow."""


class Execution(Contract):
    """Record of a run, as far as workflows need it."""

    execution_id: ExecutionId
    """53-bit number: epoch seconds x 2^21 + 21 random bits. Unique across installations and deleted databases."""
    task_id: ContentId
    """Content id of the stored plan."""
    req_def_id: ContentId
    """Content id of the plan's request."""
    record_id: RecordId
    """Record id of the rules at the proxy: `hf<id in base 36>x`. No record id is a prefix of another."""
    plan_sha256: str
    environment: Text
    namespace: Label
    services: Services
    timing: Timing
    started_at: datetime
    search_attributes: bool = False
    """Whether the server knows our search attributes. Setting an unregistered one hangs a workflow."""


class ExecutionRef(Contract):
    """Reference to an execution. Everything else about it is in the store."""

    execution_id: int


class PhaseChange(Contract):
    """Order to store the phase of a run."""

    execution_id: int
    phase: Phase
    analyze_task_id: str | None = None
    intercept_record_id: str | None = None


class Ending(Contract):
    """Order to store how a run ended.

    The run, its lock or the sweeper writes it, whichever sees the end. The first end stands.
    """

    execution_id: int
    status: RunStatus
    phase: Phase
    recovery: Recovery
    verdict: Verdict | None = None
    error_code: ErrorCode | None = None
    error_phase: Phase | None = None
    error_message: str = ""


class CaseCounts(Contract):
    """Number of cases, and what became of them."""

    total: int = 0
    baseline: int = 0
    single: int = 0
    dual: int = 0
    measured: int = 0
    invalid: int = 0
    skipped: int = 0
    excluded: int = 0
    """Skipped cases that the plan excludes on purpose."""
    dispensable: int = 0
    """Other invalid and skipped cases that `coverage.may_lack` accepts."""
    passed: int = 0
    failed: int = 0
    inconclusive: int = 0
    """Measured cases with too few requests for a verdict, by `slo.regression`."""


class CaseVerdict(Contract):
    """One line of the result: a case, its outcome and the reason."""

    case_id: str
    outcome: str
    verdict: Verdict | None = None
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    """Percentiles of successful requests. None if those are too few (`unsupported`), or nothing was measured."""
    max_ms: float | None = None
    """The slowest successful request."""
    unsupported: list[str] = []
    """Percentiles that are None because too few requests succeeded. `p95` needs 59 and `p99` 299. Empty if none
    succeeded."""
    error_rate: float | None = None
    """Percent of requests, 0 to 100. What counts as an error is the peers' definition."""
    requests: int = 0
    successes: int = 0
    per_second: float | None = None
    """Requests per second, over the time in which they were sent."""
    reason: str = ""


class Judgement(Contract):
    """Judgement of all results by the SLO."""

    verdict: Verdict
    cases: CaseCounts
    failed_cases: list[CaseVerdict] = []
    """At most 50: highest error rate first, then slowest first."""
    inconclusive_cases: list[CaseVerdict] = []
    """At most 50, in the same order."""
    requests_saved: int = 0
    """Requests allowed by `load.max_requests` but not sent. Only of measured cases, which were decided earlier."""


class RunSummary(Contract):
    """Result of `ResilienceTest`, usable directly from `temporal workflow result`."""

    execution_id: int
    plan: str
    namespace: str
    status: RunStatus = RunStatus.COMPLETED
    phase: Phase = Phase.DONE
    verdict: Verdict
    recovery: Recovery
    cases: CaseCounts
    failed_cases: list[CaseVerdict] = []
    """At most 50, the worst failing cases first. All of them are in the store."""
    inconclusive_cases: list[CaseVerdict] = []
    """The same for cases with too few requests for a verdict."""
    requests_saved: int = 0
    """Requests allowed by `load.max_requests` but not sent. Only of measured cases, which were decided earlier."""
    pairs: PairFidelity | None = None
    """How well pairs made of rules match two real faults. None if no pair ran with real faults."""
    started_at: datetime
    finished_at: datetime


class RunFailure(Contract):
    """Details of the application error that ends a failed run.

    The type of that error is `code`.
    """

    code: ErrorCode
    error_class: ErrorClass
    phase: Phase
    """Phase in which the failure happened."""
    message: str
    recovery: Recovery
    execution_id: int | None = None
    problems: list[Problem] = []
    """For VALIDATION_ERROR: every problem with its path."""
