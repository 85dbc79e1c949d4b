"""`holdfast status`: how a run stands, by the run or the store."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from functools import partial

import click
from temporalio.client import Client, WorkflowExecutionStatus

from cli.commands.cancel import RUN_ID
from cli.commands.halt import mention_halt
from cli.console import AS_JSON, clear_errors, complain, say
from cli.results import ask_store
from cli.ui.next_steps import after_end, after_error
from cli.ui.panels import panel_lines
from clients.store.read_models import ExecutionRow
from clients.store.store import Store
from clients.temporal.connection import lock_of_run
from clients.temporal.runs import RunDirectory, RunEnd
from domain.errors import ErrorCode, HoldfastError
from domain.executions.ended_state import counted, over
from domain.executions.execution import Phase, Recovery, RunStatus
from domain.executions.status import RunState
from domain.executions.windows import WindowState
from domain.faults.model import InjectionState
from operations.connection import connected
from operations.runs.find import known, possible_ids
from operations.runs.follow import Run, look, report_of
from reports.build.stored_state import MOST_CASES, stored_state


@click.command()
@RUN_ID
@AS_JSON
@clear_errors
def status(run_id: str, *, as_json: bool) -> None:
    """Show how a run stands now.

    The run itself is asked. If it cannot be, because no worker or no server answers, the store is asked.

    ID is a plan's name or a workflow id.
    """
    asyncio.run(_status(run_id, as_json=as_json))


async def _status(run_id: str, *, as_json: bool) -> None:
    await mention_halt()
    try:
        client = await connected()
        handle = await known(client, run_id)
        state = await look(handle)
        trouble = "no worker answers"
        state = await _as_the_server_knows(client, handle, state) if state else None
    except HoldfastError as error:
        state, trouble = None, str(error)
    if state is not None:
        say(state.model_dump_json(indent=2) if as_json else "\n".join(panel_lines(state)))
        complain(f"(from the run itself; last change {_age(state.updated_at)})")
        going_on = state.status in (RunStatus.PENDING, RunStatus.RUNNING)
        follow = f"next: `holdfast watch {run_id}` follows it"
        complain(follow if going_on else f"next: {after_end(run_id)}")
        return
    row, stored = await _stored(run_id, trouble)
    say(row.model_dump_json(indent=2) if as_json else "\n".join(panel_lines(stored)))
    complain(f"(from the store; last change {_age(row.updated_at)}. The run itself cannot be asked: {trouble})")
    if stored.generated.total > MOST_CASES:
        complain(f"(of more than {MOST_CASES:,} cases the results are not read here; the store has them)")
    complain("next: `holdfast worker` answers for it, if it runs; `holdfast faults` lists what may be on")


async def _as_the_server_knows(client: Client, run: Run, state: RunState) -> RunState:
    """Correct a closed run's state by what server and lock know."""
    end = await RunDirectory(client).end_of(run.id, run.run_id or "")
    if end is None:
        return state
    lock = await lock_of_run(client, run.id, run.run_id)
    state = ended(state, end)
    if lock is None:
        return state
    open_still = (await lock.describe()).status is WorkflowExecutionStatus.RUNNING
    report, _ = (None, "") if open_still else await report_of(lock)
    if report is not None:
        return switched_off(state) if report.recovery_verified else _recovered(state, Recovery.UNVERIFIED)
    return _recovered(state, None) if open_still else state


def _recovered(state: RunState, recovery: Recovery | None) -> RunState:
    return state.model_copy(update={"recovery": recovery})


def switched_off(state: RunState) -> RunState:
    """Return the state with everything off, as the lock has seen it.

    A run that was ended early does not know that.
    """
    off = {InjectionState.RUNNING: InjectionState.RECOVERED}
    rows = [row.model_copy(update={"state": off.get(row.state, row.state)}) for row in state.injections]
    rules = state.rules.model_copy(update={"ready": False})
    windows = [row.model_copy(update={"state": WindowState.CLOSED}) for row in state.windows]
    facts = {"recovery": Recovery.VERIFIED, "rules": rules, "windows": windows, **counted(rows)}
    return state.model_copy(update=facts)


def ended(state: RunState, end: RunEnd) -> RunState:
    """Return a closed run's state, corrected by how the server ended it.

    A run that was terminated cannot know its own end.
    """
    if state.status not in (RunStatus.PENDING, RunStatus.RUNNING):
        return state
    facts = {
        "status": end.status,
        "phase": {RunStatus.COMPLETED: Phase.DONE, RunStatus.CANCELLED: Phase.CANCELLED}.get(end.status, Phase.FAILED),
        "error_code": _code(end),
        "error_message": end.message,
        "finished_at": end.finished_at,
        "updated_at": end.finished_at or state.updated_at,
        "eta_seconds": None,
    }
    return state.model_copy(update=over(state, end.status, end.message) | facts)


def _code(end: RunEnd) -> ErrorCode | None:
    if end.failure is not None:
        return end.failure.code
    if end.status is RunStatus.TIMED_OUT:
        return ErrorCode.DEADLINE_EXCEEDED
    return ErrorCode.TERMINATED if end.terminated else None


async def _stored(run_id: str, trouble: str) -> tuple[ExecutionRow, RunState]:
    """Return the newest run under an ID from the store.

    Raises:
        HoldfastError: NOT_FOUND, or the store's own code, with the reason why the run itself could not be asked.
    """
    for workflow_id in possible_ids(run_id):
        try:
            found = await ask_store(partial(_newest, workflow_id=workflow_id))
        except HoldfastError as error:
            raise HoldfastError(error.code, f"the run cannot be asked ({trouble}), nor the store: {error}") from error
        if found is not None:
            return found
    message = f"nothing is known of {run_id}: {trouble.rstrip('.')}, and the store does not have it"
    raise HoldfastError(ErrorCode.NOT_FOUND, message, hint=after_error(ErrorCode.NOT_FOUND))


async def _newest(store: Store, workflow_id: str) -> tuple[ExecutionRow, RunState] | None:
    row = await store.latest_execution_of(workflow_id)
    return None if row is None else (row, await stored_state(store, row))


def _age(moment: datetime | None) -> str:
    if moment is None:
        return "unknown"
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return f"{max(0, (datetime.now(UTC) - moment).total_seconds()):.0f} s ago"
