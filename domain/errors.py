"""Every error that can end a run: its code, class and retryability.

It is a single table, so that the same trouble has the same name in the command line, the store, Temporal and the
reports. Activities raise these codes as the type of a Temporal application error. Nothing else may be raised across a
workflow boundary (`tests/unit/domain/test_errors.py` walks the table).
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from domain.base import Contract


class ErrorClass(StrEnum):
    """The classes of trouble."""

    VALIDATION = "E001"
    TIMEOUT = "E002"
    EXECUTION = "E003"
    CANCELLED = "E004"
    RETRY_EXHAUSTED = "E005"
    DATABASE = "E006"


class ErrorCode(StrEnum):
    """Stable error codes. Other programs compare them: never rename a code."""

    VALIDATION_ERROR = "VALIDATION_ERROR"
    OUTSIDE_GUARDRAILS = "OUTSIDE_GUARDRAILS"
    SECRET_MISSING = "SECRET_MISSING"  # noqa: S105 - a code, not a secret
    EXECUTION_ALREADY_RUNNING = "EXECUTION_ALREADY_RUNNING"
    HALTED = "HALTED"
    NO_PERMIT = "NO_PERMIT"
    ENVIRONMENT_NOT_CLEAN = "ENVIRONMENT_NOT_CLEAN"
    STEADY_STATE_NOT_MET = "STEADY_STATE_NOT_MET"
    SERVICE_NOT_STABLE = "SERVICE_NOT_STABLE"
    ANALYZE_TIMEOUT = "ANALYZE_TIMEOUT"
    ANALYZE_FAILED = "ANALYZE_FAILED"
    ANALYZE_CONFLICT = "ANALYZE_CONFLICT"
    FAULT_REJECTED = "FAULT_REJECTED"
    FAULT_NOT_RUNNING = "FAULT_NOT_RUNNING"
    REPLAY_FAILED = "REPLAY_FAILED"
    INTERCEPTOR_NOT_READY = "INTERCEPTOR_NOT_READY"
    RULES_REJECTED = "RULES_REJECTED"
    LOAD_TARGET_INVALID = "LOAD_TARGET_INVALID"
    LOGIN_FAILED = "LOGIN_FAILED"
    RECOVERY_UNVERIFIED = "RECOVERY_UNVERIFIED"
    WINDOW_OVERDUE = "WINDOW_OVERDUE"
    PEER_UNREACHABLE = "PEER_UNREACHABLE"
    PEER_TIMEOUT = "PEER_TIMEOUT"
    PEER_ERROR = "PEER_ERROR"
    PEER_REJECTED = "PEER_REJECTED"
    PEER_GARBAGE = "PEER_GARBAGE"
    STORE_UNAVAILABLE = "STORE_UNAVAILABLE"
    STORE_CONFLICT = "STORE_CONFLICT"
    NOT_FOUND = "NOT_FOUND"
    NOT_COMPARABLE = "NOT_COMPARABLE"
    STOP_CONDITION = "STOP_CONDITION"
    ABORTED = "ABORTED"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    CANCELLED = "CANCELLED"
    TERMINATED = "TERMINATED"
    UNEXPECTED = "UNEXPECTED"


class ErrorKind(Contract):
    """How Holdfast handles an error code."""

    error_class: ErrorClass
    retryable: bool
    """Whether the same call may succeed later. Network trouble and 5xx may pass, validation errors and 4xx do not."""
    touched_nothing: bool = False
    """Whether a run that ends with this code has switched nothing on. Its exit code is then 7 or 2, not 3."""


def _kind(error_class: ErrorClass, *, retryable: bool = False, touched_nothing: bool = False) -> ErrorKind:
    return ErrorKind(error_class=error_class, retryable=retryable, touched_nothing=touched_nothing)


ERRORS: dict[ErrorCode, ErrorKind] = {
    ErrorCode.VALIDATION_ERROR: _kind(ErrorClass.VALIDATION, touched_nothing=True),
    ErrorCode.OUTSIDE_GUARDRAILS: _kind(ErrorClass.VALIDATION, touched_nothing=True),
    ErrorCode.SECRET_MISSING: _kind(ErrorClass.VALIDATION, touched_nothing=True),
    ErrorCode.EXECUTION_ALREADY_RUNNING: _kind(ErrorClass.EXECUTION, touched_nothing=True),
    ErrorCode.HALTED: _kind(ErrorClass.EXECUTION, touched_nothing=True),
    ErrorCode.NO_PERMIT: _kind(ErrorClass.EXECUTION),
    ErrorCode.ENVIRONMENT_NOT_CLEAN: _kind(ErrorClass.EXECUTION, touched_nothing=True),
    ErrorCode.STEADY_STATE_NOT_MET: _kind(ErrorClass.EXECUTION),
    ErrorCode.SERVICE_NOT_STABLE: _kind(ErrorClass.TIMEOUT),
    ErrorCode.ANALYZE_TIMEOUT: _kind(ErrorClass.TIMEOUT),
    ErrorCode.ANALYZE_FAILED: _kind(ErrorClass.EXECUTION),
    ErrorCode.ANALYZE_CONFLICT: _kind(ErrorClass.EXECUTION, retryable=True),
    ErrorCode.FAULT_REJECTED: _kind(ErrorClass.EXECUTION),
    ErrorCode.FAULT_NOT_RUNNING: _kind(ErrorClass.EXECUTION),
    ErrorCode.REPLAY_FAILED: _kind(ErrorClass.EXECUTION),
    ErrorCode.INTERCEPTOR_NOT_READY: _kind(ErrorClass.TIMEOUT),
    ErrorCode.RULES_REJECTED: _kind(ErrorClass.EXECUTION),
    ErrorCode.LOAD_TARGET_INVALID: _kind(ErrorClass.VALIDATION),
    ErrorCode.LOGIN_FAILED: _kind(ErrorClass.EXECUTION, retryable=True),
    ErrorCode.RECOVERY_UNVERIFIED: _kind(ErrorClass.EXECUTION),
    ErrorCode.WINDOW_OVERDUE: _kind(ErrorClass.TIMEOUT),
    ErrorCode.PEER_UNREACHABLE: _kind(ErrorClass.RETRY_EXHAUSTED, retryable=True),
    ErrorCode.PEER_TIMEOUT: _kind(ErrorClass.TIMEOUT, retryable=True),
    ErrorCode.PEER_ERROR: _kind(ErrorClass.RETRY_EXHAUSTED, retryable=True),
    ErrorCode.PEER_REJECTED: _kind(ErrorClass.EXECUTION),
    ErrorCode.PEER_GARBAGE: _kind(ErrorClass.RETRY_EXHAUSTED, retryable=True),
    ErrorCode.STORE_UNAVAILABLE: _kind(ErrorClass.DATABASE, retryable=True),
    ErrorCode.STORE_CONFLICT: _kind(ErrorClass.DATABASE),
    ErrorCode.NOT_FOUND: _kind(ErrorClass.DATABASE),
    ErrorCode.NOT_COMPARABLE: _kind(ErrorClass.VALIDATION, touched_nothing=True),
    ErrorCode.STOP_CONDITION: _kind(ErrorClass.EXECUTION),
    ErrorCode.ABORTED: _kind(ErrorClass.CANCELLED),
    ErrorCode.DEADLINE_EXCEEDED: _kind(ErrorClass.TIMEOUT),
    ErrorCode.CANCELLED: _kind(ErrorClass.CANCELLED),
    ErrorCode.TERMINATED: _kind(ErrorClass.CANCELLED),
    ErrorCode.UNEXPECTED: _kind(ErrorClass.EXECUTION),
}
"""Kind of every error code. `docs/errors.md` explains each code to operators."""


class HoldfastError(Exception):
    """A failure whose cause is understood, with a stable code.

    It states what happened, where, and what to do. Clients translate the exceptions of their libraries into this one
    and keep the cause. Activities convert it into a Temporal application error once, in one place.
    """

    def __init__(self, code: ErrorCode, message: str, *, hint: str = "", problems: Sequence[Problem] = ()) -> None:
        super().__init__(f"{message}. {hint}" if hint else message)
        self.code = code
        self.message = message
        self.hint = hint
        self.problems = list(problems)

    @property
    def kind(self) -> ErrorKind:
        """How Holdfast handles the code."""
        return ERRORS[self.code]


class Problem(Contract):
    """A mistake in a plan: where, what, and how to fix it."""

    path: str
    """Place of the mistake, for example `services[2].fault`. Empty: the document as a whole."""
    message: str
    hint: str = ""

    def __str__(self) -> str:
        where = self.path or "plan"
        return f"{where}: {self.message}" + (f" ({self.hint})" if self.hint else "")


class ValidationReport(Contract):
    """All problems of a plan, reported together."""

    problems: list[Problem] = []
