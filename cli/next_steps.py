"""What to do next, in one line, at the end of a command that leaves somebody wondering."""

from __future__ import annotations

from cli.exit_codes import ExitCode, RunOutcome
from workflows.contracts.errors import ErrorCode
from workflows.logic.real_verdicts import ALLOW_TWO

_AFTER_ERROR = {
    ErrorCode.VALIDATION_ERROR: "`holdfast --help` lists the commands, and `holdfast COMMAND --help` what each takes",
    ErrorCode.OUTSIDE_GUARDRAILS: "each problem names the setting of `holdfast worker` that would allow it",
    ErrorCode.SECRET_MISSING: "set it in the environment of `holdfast worker`, and start that again",
    ErrorCode.EXECUTION_ALREADY_RUNNING: (
        "say --wait to wait for the other run, or --force to have it cancelled and cleaned up first"
    ),
    ErrorCode.HALTED: "`holdfast unhalt` lets runs begin again",
    ErrorCode.ENVIRONMENT_NOT_CLEAN: (
        "`holdfast faults` lists what is on, `holdfast recover` closes what is ours, and `holdfast run --clean` begins "
        "with removing whatever is on in the plan's services"
    ),
    ErrorCode.NOT_FOUND: "`holdfast list` shows the runs that the store knows",
    ErrorCode.RECOVERY_UNVERIFIED: "`holdfast faults` lists what may still be on, `holdfast recover` closes it",
    ErrorCode.PEER_UNREACHABLE: "is it up, and its address right? `holdfast server` starts the Temporal one",
    ErrorCode.STORE_UNAVAILABLE: "check HOLDFAST_DATABASE_URL, which must be the worker's",
    ErrorCode.UNEXPECTED: "This is a defect: please report it, with that file",
}


_AS_BEFORE_THE_RUN = (
    ErrorCode.EXECUTION_ALREADY_RUNNING,
    ErrorCode.ENVIRONMENT_NOT_CLEAN,
    ErrorCode.HALTED,
    ErrorCode.OUTSIDE_GUARDRAILS,
)
"""Refusals that mean the same to whoever started a run."""


def after_error(code: ErrorCode) -> str:
    """What helps against an error that has no hint of its own."""
    return _AFTER_ERROR.get(code, f"docs/errors.md explains {code}")


def after_run(outcome: RunOutcome, plan: str) -> str:
    """Where to look when a run has ended."""
    if outcome.exit_code is ExitCode.RECOVERY_UNVERIFIED:
        return after_error(ErrorCode.RECOVERY_UNVERIFIED)
    if outcome.failure is not None:
        code = outcome.failure.code
        if code in _AS_BEFORE_THE_RUN:
            return after_error(code)
        return f"docs/errors.md explains {code}; the worker's log has the details"
    if outcome.summary is None:
        return f"`holdfast status {plan}` shows how far it came"
    if any(ALLOW_TWO in one.reason for one in outcome.summary.inconclusive_cases):
        return f"for pairs in doubt, {ALLOW_TWO}: a setting of `holdfast worker`; `holdfast status {plan}` names them"
    shown = f"`holdfast status {plan}` shows it again, `holdfast report {plan} --html report.html` all of it"
    return f"{shown}; each case is in the store (test_result, execution {outcome.summary.execution_id})"


def after_end(run_id: str) -> str:
    """What there is of a run that has ended."""
    return f"`holdfast report {run_id} --html report.html` shows all of it, `holdfast list` every run"


def after_faults(*, anything: bool) -> str:
    """Whether somebody has to act on what the ledger says."""
    if anything:
        return "`holdfast worker` closes what it can reach in time, `holdfast recover` what was left behind, at once"
    return "`holdfast list` shows the runs"


def after_halt(*, verified: bool, waited: bool) -> str:
    """How a halt goes on."""
    if not waited:
        return "`holdfast faults` shows when everything is off; `holdfast unhalt` lets runs begin again"
    return "`holdfast unhalt` lets runs begin again" if verified else after_error(ErrorCode.RECOVERY_UNVERIFIED)


def after_recovery(*, verified: bool, direct: bool = False) -> str:
    """What remains to be done when everything has been closed, or not."""
    if verified and direct:
        return "once Temporal and store are back, `holdfast faults` tells what they know of it"
    if verified:
        return "`holdfast faults` asks the ledger and the peers once more"
    return "mend what is named above and say it again; `holdfast faults` shows what is left"
