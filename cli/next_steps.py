"""What to do next, in one line, at the end of a command that leaves somebody wondering."""

from __future__ import annotations

from cli.exit_codes import ExitCode, RunOutcome
from workflows.contracts.errors import ErrorCode


def after_run(outcome: RunOutcome, plan: str) -> str:
    """Where to look when a run has ended."""
    if outcome.exit_code is ExitCode.RECOVERY_UNVERIFIED:
        return "`holdfast faults` lists what may still be on, and the run's log has the commands to close it by hand"
    if outcome.failure is not None:
        code = outcome.failure.code
        if code is ErrorCode.EXECUTION_ALREADY_RUNNING:
            return "say --wait to wait for the other run, or --force to have it cancelled and cleaned up first"
        return f"docs/errors.md explains {code}; the worker's log has the details"
    if outcome.summary is None:
        return f"`holdfast status {plan}` shows how far it came"
    shown = f"`holdfast status {plan}` shows it again, `holdfast list` every run"
    return f"{shown}; each case is in the store (test_result, execution {outcome.summary.execution_id})"
