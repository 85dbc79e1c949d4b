"""The state of a run, corrected by what the Temporal server and the run's lock know."""

from __future__ import annotations

from temporalio.client import Client, WorkflowExecutionStatus

from clients.temporal.connection import lock_of_run
from clients.temporal.runs import RunDirectory, RunEnd
from domain.errors import ErrorCode
from domain.executions.execution import Recovery, RunStatus, final_step
from domain.executions.state import ExecutionState
from domain.executions.windows import WindowState
from domain.kinds import kind_named
from operations.runs.follow import Run, report_of


async def as_the_server_knows(client: Client, run: Run, state: ExecutionState) -> ExecutionState:
    """Correct a closed run's state by what server and lock know."""
    end = await RunDirectory(client).end_of(run.id, run.run_id or "")
    if end is None:
        return state
    lock = await lock_of_run(client, run.id, run.run_id)
    state = ended(state, end)
    if lock is None:
        return state
    still_open = (await lock.describe()).status is WorkflowExecutionStatus.RUNNING
    report, _ = (None, "") if still_open else await report_of(lock)
    if report is not None:
        return switched_off(state) if report.recovery_verified else _with_recovery(state, Recovery.UNVERIFIED)
    return _with_recovery(state, None) if still_open else state


def _with_recovery(state: ExecutionState, recovery: Recovery | None) -> ExecutionState:
    return state.model_copy(update={"recovery": recovery})


def switched_off(state: ExecutionState) -> ExecutionState:
    """Return the state with everything off, as the lock has seen it.

    A run that was ended early does not know that.
    """
    windows = [row.model_copy(update={"state": WindowState.CLOSED}) for row in state.windows]
    facts = {"recovery": Recovery.VERIFIED, "windows": windows}
    kind = kind_named(state.kind)
    return state.model_copy(update=facts | (kind.off(state) if kind else {}))


def ended(state: ExecutionState, end: RunEnd) -> ExecutionState:
    """Return a closed run's state, corrected by how the server ended it.

    A run that was terminated cannot know its own end.
    """
    if state.status not in (RunStatus.PENDING, RunStatus.RUNNING):
        return state
    facts = {
        "status": end.status,
        "step": final_step(end.status),
        "error_code": _error_code(end),
        "error_message": end.message,
        "finished_at": end.finished_at,
        "updated_at": end.finished_at or state.updated_at,
    }
    kind = kind_named(state.kind)
    return state.model_copy(update=(kind.over(state, end.status, end.message) if kind else {}) | facts)


def _error_code(end: RunEnd) -> ErrorCode | None:
    if end.failure is not None:
        return end.failure.code
    if end.status is RunStatus.TIMED_OUT:
        return ErrorCode.DEADLINE_EXCEEDED
    return ErrorCode.TERMINATED if end.terminated else None
