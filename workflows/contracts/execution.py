"""A run as a whole: what starts it, how it stands, how it ended. Words as in `docs/architecture.md`."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from workflows.contracts.base import Contract, StrictModel
from workflows.contracts.errors import ErrorClass, ErrorCode, Problem
from workflows.contracts.fidelity import PairFidelity
from workflows.contracts.starting import ContentId, ExecutionId, Label, RecordId, Services, Text
from workflows.contracts.timing import Timing
from workflows.contracts.units import ShareOfSome


class Phase(StrEnum):
    """Where an execution is, in the exact strings of the original orchestrator, and CANCELLED, which is ours."""

    GENERATING_CASES = "GENERATING_CASES"
    ANALYZING_PATTERNS = "ANALYZING_PATTERNS"
    INJECTING_AND_REPLAYING = "INJECTING_AND_REPLAYING"
    RULES_READY = "RULES_READY"
    LOAD_TEST_BASELINE = "LOAD_TEST_BASELINE"
    DONE = "DONE"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class OldPhase(StrEnum):
    """Phases that rows of the original orchestrator may have. They are read; whatever writes takes a `Phase`."""

    INIT = "INIT"
    """The default of its entity, before it was first saved."""
    RECORDING_READY = "RECORDING_READY"
    """The end of a stage that it no longer has."""


AnyPhase = Phase | OldPhase
"""Where an execution is, or was, as a stored row says."""


class RunStatus(StrEnum):
    """What became of a run."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"
    FAILED = "failed"


class Verdict(StrEnum):
    """What a run, or a case, found."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"


class Recovery(StrEnum):
    """Whether the system is known to be as it was. `unverified` is never green."""

    NOT_NEEDED = "not_needed"
    VERIFIED = "verified"
    UNVERIFIED = "unverified"


class IfBusy(StrEnum):
    """What a run does when another holds its namespace."""

    REFUSE = "refuse"
    WAIT = "wait"
    REPLACE = "replace"


class Leftovers(StrEnum):
    """What a run does when something is on in its plan's services before it begins."""

    REFUSE = "refuse"
    CLEAN = "clean"
    """Switch it off first, whoever left it."""


class RunInput(StrictModel):
    """The one JSON object that starts `ResilienceTest`. The plan is validated apart, so that every problem is told."""

    plan: dict[str, Any]
    if_busy: IfBusy = IfBusy.REFUSE
    leftovers: Leftovers = Leftovers.REFUSE
    verify_pairs: ShareOfSome | None = None
    """Share of the measured pairs that also run with two real faults, such as `"100%"`; None: none do."""
    requested_by: str = ""


class NewExecution(Contract):
    """Asks for the record of a run."""

    plan_json: str
    """The validated plan, canonical JSON."""
    workflow_id: str
    run_id: str
    requested_by: str = ""
    verify_pairs: bool = False
    """Whether pairs run with two real faults, which the worker must allow."""


class Execution(Contract):
    """The record of a run, as far as workflows need it."""

    execution_id: ExecutionId
    """53-bit number: epoch seconds x 2^21 + 21 random bits; unique over deleted databases and installations."""
    task_id: ContentId
    """Content id of the stored plan."""
    req_def_id: ContentId
    """Content id of the plan's request."""
    record_id: RecordId
    """The rules' record id at the proxy, `hf<id in base 36>x`: none is a prefix of another."""
    plan_sha256: str
    environment: Text
    namespace: Label
    services: Services
    timing: Timing
    started_at: datetime
    search_attributes: bool = False
    """Whether the server knows ours: setting an unregistered one hangs a workflow."""


class ExecutionRef(Contract):
    """One execution; everything else about it is in the store."""

    execution_id: int


class PhaseChange(Contract):
    """Tells the store where a run is."""

    execution_id: int
    phase: Phase
    analyze_task_id: str | None = None
    intercept_record_id: str | None = None


class Ending(Contract):
    """Tells the store how a run ended. Written once by whoever saw the end: the run itself or its lock."""

    execution_id: int
    status: RunStatus
    phase: Phase
    recovery: Recovery
    verdict: Verdict | None = None
    error_code: ErrorCode | None = None
    error_phase: Phase | None = None
    error_message: str = ""


class CaseCounts(Contract):
    """How many cases there are and what became of them."""

    total: int = 0
    baseline: int = 0
    single: int = 0
    dual: int = 0
    measured: int = 0
    invalid: int = 0
    skipped: int = 0
    excluded: int = 0
    """Those of the skipped ones that the plan leaves out on purpose."""
    dispensable: int = 0
    """Those of the other invalid and skipped ones that may lack, by the plan's `coverage.may_lack`."""
    passed: int = 0
    failed: int = 0
    inconclusive: int = 0
    """Those of the measured ones of which too few requests say anything, by `slo.regression`."""


class CaseVerdict(Contract):
    """One line of the result: a case, what became of it, and why."""

    case_id: str
    outcome: str
    verdict: Verdict | None = None
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    """Of successful requests; None where so few say nothing about it (`unsupported`), or nothing was measured."""
    max_ms: float | None = None
    """The slowest successful request."""
    unsupported: list[str] = []
    """The percentiles that are None because so few requests succeeded: `p95` needs 59, `p99` 299. Empty when none
    succeeded."""
    error_rate: float | None = None
    """Percent of requests, 0 to 100, by the peers' definition of an error."""
    requests: int = 0
    successes: int = 0
    per_second: float | None = None
    """Requests per second of the time in which they were sent."""
    reason: str = ""


class Judgement(Contract):
    """What the SLO makes of all results."""

    verdict: Verdict
    cases: CaseCounts
    failed_cases: list[CaseVerdict] = []
    """At most 50, the highest error rate and then the slowest first."""
    inconclusive_cases: list[CaseVerdict] = []
    """At most 50, in the same order."""
    requests_saved: int = 0
    """Of what `load.max_requests` allowed the measured cases, not sent because they were decided earlier."""


class RunSummary(Contract):
    """The result of `ResilienceTest`: usable as it is from `temporal workflow result`."""

    execution_id: int
    plan: str
    namespace: str
    status: RunStatus = RunStatus.COMPLETED
    phase: Phase = Phase.DONE
    verdict: Verdict
    recovery: Recovery
    cases: CaseCounts
    failed_cases: list[CaseVerdict] = []
    """The worst failing cases first, at most 50; all of them are in the store."""
    inconclusive_cases: list[CaseVerdict] = []
    """The same of those of which too few requests say anything."""
    requests_saved: int = 0
    """Of what `load.max_requests` allowed the measured cases, not sent because they were decided earlier."""
    pairs: PairFidelity | None = None
    """How well pairs made of rules stand for two real faults; None when none ran with them."""
    started_at: datetime
    finished_at: datetime


class RunFailure(Contract):
    """The detail of the application error that a failed run ends with; the error's type is `code`."""

    code: ErrorCode
    error_class: ErrorClass
    phase: Phase
    """The phase in which it happened."""
    message: str
    recovery: Recovery
    execution_id: int | None = None
    problems: list[Problem] = []
    """For VALIDATION_ERROR: every problem with its path."""
