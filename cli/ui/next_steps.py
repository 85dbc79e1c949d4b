"""Hints what to do next, at the end of a command."""

from __future__ import annotations

from domain.cases.real_verdicts import ALLOW_TWO
from domain.errors import ErrorCode
from domain.executions.execution import ExecutionSummary
from domain.executions.outcome import ExitCode, RunOutcome
from domain.resilience.model import ResilienceSummary

_AFTER_ERROR = {
    ErrorCode.VALIDATION_ERROR: "`holdfast --help` lists the commands, and `holdfast COMMAND --help` what each takes",
    ErrorCode.OUTSIDE_GUARDRAILS: "each problem names the setting of `holdfast worker` that would allow it",
    ErrorCode.SECRET_MISSING: "set it in the environment of `holdfast worker`, and restart the worker",
    ErrorCode.EXECUTION_ALREADY_RUNNING: (
        "use --wait to wait for the other run, or --force to have it cancelled and cleaned up first"
    ),
    ErrorCode.HALTED: "`holdfast unhalt` lets runs begin again",
    ErrorCode.ENVIRONMENT_NOT_CLEAN: (
        "`holdfast faults` lists what is on, `holdfast recover` closes what is ours, and `holdfast run --clean` first "
        "removes everything that is on in the plan's services"
    ),
    ErrorCode.NOT_FOUND: "`holdfast list` shows the runs that the store knows",
    ErrorCode.RECOVERY_UNVERIFIED: "`holdfast faults` lists what may still be on, `holdfast recover` closes it",
    ErrorCode.PEER_UNREACHABLE: "is it running, and is its address right? `holdfast server` starts the Temporal server",
    ErrorCode.STORE_UNAVAILABLE: "check HOLDFAST_DATABASE_URL, which must be the worker's",
    ErrorCode.UNEXPECTED: "This is a defect: please report it and attach that file",
}


_AS_BEFORE_THE_RUN = (
    ErrorCode.EXECUTION_ALREADY_RUNNING,
    ErrorCode.ENVIRONMENT_NOT_CLEAN,
    ErrorCode.HALTED,
    ErrorCode.OUTSIDE_GUARDRAILS,
)
"""Refusals that need the same hint whether they come before a run or as its result."""


def after_error(code: ErrorCode) -> str:
    """Return the hint for an error that has none of its own."""
    return _AFTER_ERROR.get(code, f"docs/errors.md explains {code}")


def after_run(outcome: RunOutcome, plan: str) -> str:
    """Return where to look when a run has just ended."""
    if outcome.exit_code is ExitCode.RECOVERY_UNVERIFIED:
        return after_error(ErrorCode.RECOVERY_UNVERIFIED)
    if outcome.failure is not None:
        code = outcome.failure.code
        if code in _AS_BEFORE_THE_RUN:
            return after_error(code)
        return f"docs/errors.md explains {code}; the worker's log has the details"
    if outcome.summary is None:
        return f"`holdfast status {plan}` shows how far it came"
    return _after_result(outcome.summary, plan)


def _after_result(summary: ExecutionSummary, name: str) -> str:
    shown = f"`holdfast status {name}` shows it again, `holdfast report {name} --html report.html` all of it"
    if not isinstance(summary, ResilienceSummary):
        return shown
    if any(ALLOW_TWO in case.reason for case in summary.inconclusive_cases):
        return f"for pairs in doubt, {ALLOW_TWO}: a setting of `holdfast worker`; `holdfast status {name}` names them"
    return f"{shown}; each case is in the store (test_result, execution {summary.execution_id})"


def after_end(run_id: str) -> str:
    """Return where to look for a run that ended earlier."""
    return f"`holdfast report {run_id} --html report.html` shows all of it, `holdfast list` every run"


def after_faults(*, anything: bool) -> str:
    """Return the hint after `faults`.

    With `anything`, something is or may be switched on.
    """
    if anything:
        return "`holdfast worker` closes in time what it can reach, `holdfast recover` closes leftovers at once"
    return "`holdfast list` shows the runs"


def after_halt(*, verified: bool, waited: bool) -> str:
    """Return the hint after `halt`."""
    if not waited:
        return "`holdfast faults` shows when everything is off; `holdfast unhalt` lets runs begin again"
    return "`holdfast unhalt` lets runs begin again" if verified else after_error(ErrorCode.RECOVERY_UNVERIFIED)


def after_recovery(*, verified: bool, direct: bool = False) -> str:
    """Return the hint after `recover`."""
    if verified and direct:
        return "once Temporal and the store are back, `holdfast faults` shows what they know about it"
    if verified:
        return "`holdfast faults` asks the ledger and the peers once more"
    return "fix what is named above and run the command again; `holdfast faults` shows what is left"
