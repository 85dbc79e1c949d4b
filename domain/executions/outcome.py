"""Exit codes. Pipelines rely on these numbers: never change one."""

from __future__ import annotations

from enum import IntEnum

from pydantic import SerializeAsAny, computed_field

from domain.base import Contract
from domain.errors import ERRORS, ErrorClass, ErrorCode
from domain.executions.execution import ExecutionSummary, Recovery, RunFailure, RunStatus, Verdict
from domain.executions.windows import LockReport


class ExitCode(IntEnum):
    """Exit codes of `holdfast run` and the other commands."""

    PASSED = 0
    VERDICT_FAILED = 1
    INVALID = 2
    """Invalid plan, a plan that the worker does not allow, or wrong use of the command line."""
    RUN_FAILED = 3
    STOPPED = 4
    """Stop condition, abort, deadline, or a steady state not met before anything was switched on."""
    RECOVERY_UNVERIFIED = 5
    """Something may still be switched on. Wins over all other codes."""
    INCONCLUSIVE = 6
    REFUSED = 7
    """Refused with nothing touched: locked, already running, not clean, halted."""
    OUTPUT_LOST = 8
    """Standard output cannot be written: closed, full, or without a reader. Only 5 wins over it."""
    CANCELLED = 130


_STOPPED = {
    ErrorCode.STOP_CONDITION,
    ErrorCode.ABORTED,
    ErrorCode.DEADLINE_EXCEEDED,
    ErrorCode.STEADY_STATE_NOT_MET,
}
_STATUS = {RunStatus.CANCELLED: ExitCode.CANCELLED, RunStatus.TIMED_OUT: ExitCode.STOPPED}
_VERDICTS = {
    Verdict.PASSED: ExitCode.PASSED,
    Verdict.FAILED: ExitCode.VERDICT_FAILED,
    Verdict.INCONCLUSIVE: ExitCode.INCONCLUSIVE,
}


class RunOutcome(Contract):
    """How a run ended, as far as Temporal alone knows.

    `--json` writes this as JSON.
    """

    workflow_id: str
    run_id: str
    status: RunStatus
    summary: SerializeAsAny[ExecutionSummary] | None = None
    failure: RunFailure | None = None
    message: str = ""
    """The server's message, for an end without summary or failure."""
    lock: LockReport | None = None
    """None: the run never held its namespace, or its lock ended without a report."""
    lock_trouble: str = ""
    """Why the lock ended without a report. Empty: it did not."""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def recovery(self) -> Recovery:
        """Whether everything was seen to be off.

        The lock's last look counts. Without its report, what the failed run knew counts. Without either, a lock means
        unverified. Without any lock, the result says it, and without a result nothing was touched.
        """
        if self.lock is not None:
            return Recovery.VERIFIED if self.lock.recovery_verified else Recovery.UNVERIFIED
        if self.failure is not None:
            return self.failure.recovery
        if self.lock_trouble:
            return Recovery.UNVERIFIED
        return self.summary.recovery if self.summary is not None else Recovery.NOT_NEEDED

    @computed_field  # type: ignore[prop-decorator]
    @property
    def exit_code(self) -> ExitCode:
        """The exit code for this outcome. Unverified recovery wins over everything else."""
        if self.recovery is Recovery.UNVERIFIED:
            return ExitCode.RECOVERY_UNVERIFIED
        if self.summary is not None:
            return self._by_result(self.summary)
        if self.failure is not None:
            return code_for(self.failure.code)
        return _STATUS.get(self.status, ExitCode.RUN_FAILED)

    @staticmethod
    def _by_result(summary: ExecutionSummary) -> ExitCode:
        if summary.verdict is not None:
            return _VERDICTS[summary.verdict]
        return ExitCode.PASSED if summary.status is RunStatus.COMPLETED else ExitCode.RUN_FAILED


def code_for(code: ErrorCode) -> ExitCode:
    """Return the exit code for an error before or during a run."""
    kind = ERRORS[code]
    if kind.error_class is ErrorClass.VALIDATION and kind.touched_nothing:
        return ExitCode.INVALID
    if kind.touched_nothing:
        return ExitCode.REFUSED
    if code in _STOPPED:
        return ExitCode.STOPPED
    return ExitCode.CANCELLED if code is ErrorCode.CANCELLED else ExitCode.RUN_FAILED
