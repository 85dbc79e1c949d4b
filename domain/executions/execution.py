"""What every kind of execution has: its status, its record, how it ends.

An execution is one durable run of a definition: a resilience test of a plan, and other kinds (`kinds.py`). Terms as in
`docs/architecture.md`.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from domain.base import Contract
from domain.errors import ErrorClass, ErrorCode, Problem
from domain.executions.starting import LARGEST_ID, ContentId, ExecutionId, Label, RecordId, Services, Text
from domain.timing import Timing


class RunStatus(StrEnum):
    """Status of an execution."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"
    FAILED = "failed"


class Verdict(StrEnum):
    """Verdict of an execution or a case."""

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


class FinalStep(StrEnum):
    """Last step of an execution, whatever its kind. Also the last phases of a resilience test."""

    DONE = "DONE"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


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


class ExecutionRecord(Contract):
    """Record of an execution, as far as its workflow needs it."""

    execution_id: ExecutionId
    """53-bit number: epoch seconds x 2^21 + 21 random bits. Unique across installations and deleted databases."""
    timing: Timing
    started_at: datetime
    search_attributes: bool = False
    """Whether the server knows our search attributes. Setting an unregistered one hangs a workflow."""
    missing_search_attributes: list[str] = []
    """Those of them that it does not know, because this worker may not register them."""


class Execution(ExecutionRecord):
    """Record of an execution that acts on a system, as far as workflows need it."""

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


class NewRecord(Contract):
    """Order to create the record of an execution whose definition is not a plan."""

    kind: str
    """Name of the execution's kind (`kinds.py`)."""
    definition_json: str
    """The definition, as JSON."""
    workflow_id: str
    run_id: str
    requested_by: str = ""
    parent_execution_id: int | None = Field(default=None, ge=1, le=LARGEST_ID)
    """The execution that started this one."""


class ExecutionRef(Contract):
    """Reference to an execution. Everything else about it is in the store."""

    execution_id: int


class StepChange(Contract):
    """Order to store which step an execution has come to."""

    execution_id: int
    step: str


class Ending(Contract):
    """Order to store how an execution ended.

    The execution, its lock or the sweeper writes it, whichever sees the end. The first end stands.
    """

    execution_id: int
    status: RunStatus
    phase: FinalStep
    recovery: Recovery
    verdict: Verdict | None = None
    error_code: ErrorCode | None = None
    error_phase: str | None = None
    """Step in which the error happened."""
    error_message: str = ""


class ExecutionSummary(Contract):
    """Result of an execution's workflow, usable directly from `temporal workflow result`."""

    kind: str = ""
    """Name of the execution's kind (`kinds.py`)."""
    execution_id: int
    name: str = ""
    """Name of the definition."""
    status: RunStatus = RunStatus.COMPLETED
    verdict: Verdict | None = None
    """None: this kind of execution does not judge."""
    recovery: Recovery
    started_at: datetime
    finished_at: datetime


class RunFailure(Contract):
    """Details of the application error that ends a failed execution.

    The type of that error is `code`.
    """

    code: ErrorCode
    error_class: ErrorClass
    phase: str
    """Step in which the failure happened: the phase of a resilience test."""
    message: str
    recovery: Recovery
    execution_id: int | None = None
    problems: list[Problem] = []
    """For VALIDATION_ERROR: every problem with its path."""


def final_step(status: RunStatus) -> FinalStep:
    """Return the last step of an execution that ended with this status."""
    return {RunStatus.COMPLETED: FinalStep.DONE, RunStatus.CANCELLED: FinalStep.CANCELLED}.get(status, FinalStep.FAILED)
