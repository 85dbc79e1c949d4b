"""What a command's exit code says. Pipelines rely on these numbers: never change one."""

from __future__ import annotations

from enum import IntEnum

from workflows.contracts.base import Contract
from workflows.contracts.errors import ERRORS, ErrorClass, ErrorCode
from workflows.contracts.execution import Recovery, RunFailure, RunSummary, Verdict
from workflows.contracts.windows import LockReport


class ExitCode(IntEnum):
    """Exit codes of `holdfast run`."""

    PASSED = 0
    VERDICT_FAILED = 1
    INVALID = 2
    """Invalid plan, or wrong use of the command line."""
    RUN_FAILED = 3
    STOPPED = 4
    """Stop condition, abort or deadline."""
    RECOVERY_UNVERIFIED = 5
    """Something may still be switched on. Wins over all others."""
    INCONCLUSIVE = 6
    REFUSED = 7
    """Refused with nothing touched: locked, already running, not clean."""
    CANCELLED = 130


_STOPPED = {ErrorCode.STOP_CONDITION, ErrorCode.ABORTED, ErrorCode.DEADLINE_EXCEEDED}
_VERDICTS = {
    Verdict.PASSED: ExitCode.PASSED,
    Verdict.FAILED: ExitCode.VERDICT_FAILED,
    Verdict.INCONCLUSIVE: ExitCode.INCONCLUSIVE,
}


class RunOutcome(Contract):
    """How a run ended, as far as Temporal alone tells."""

    workflow_id: str
    run_id: str
    summary: RunSummary | None = None
    failure: RunFailure | None = None
    cancelled: bool = False
    message: str = ""
    """For an end without summary or failure: what the server says."""
    lock: LockReport | None = None
    """None when the run never held its namespace."""

    @property
    def recovery(self) -> Recovery:
        """The lock's last look counts; without a lock nothing was switched on."""
        if self.lock is None:
            return self.failure.recovery if self.failure else Recovery.NOT_NEEDED
        return Recovery.VERIFIED if self.lock.recovery_verified else Recovery.UNVERIFIED

    @property
    def exit_code(self) -> ExitCode:
        """The one number."""
        if self.recovery is Recovery.UNVERIFIED:
            return ExitCode.RECOVERY_UNVERIFIED
        if self.cancelled:
            return ExitCode.CANCELLED
        if self.summary is not None:
            return _VERDICTS[self.summary.verdict]
        return code_for(self.failure.code) if self.failure else ExitCode.RUN_FAILED


def code_for(code: ErrorCode) -> ExitCode:
    """The exit code of an error that ended a run or kept it from starting."""
    kind = ERRORS[code]
    if kind.error_class is ErrorClass.VALIDATION and kind.touched_nothing:
        return ExitCode.INVALID
    if kind.touched_nothing:
        return ExitCode.REFUSED
    if code in _STOPPED:
        return ExitCode.STOPPED
    return ExitCode.CANCELLED if code is ErrorCode.CANCELLED else ExitCode.RUN_FAILED
