"""`holdfast status`, `watch`, `cancel`: what can be done with a run that somebody has started."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from functools import partial

import click
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from cli.connection import connected
from cli.console import clear_errors, complain, say
from cli.exit_codes import ExitCode, RunOutcome
from cli.following import Detached, Follower, Run, ask_to_end, end_of, look, report_of
from cli.interrupts import Interrupts
from cli.results import ask_store, show_outcome
from clients.runs import RunDirectory, RunEnd
from clients.store.read_models import ExecutionRow
from clients.store.store import Store
from clients.temporal import lock_of_run, server_error
from workflows.contracts.errors import ErrorCode, HoldfastError
from workflows.contracts.execution import Phase, Recovery, RunStatus, RunSummary
from workflows.contracts.status import RunState
from workflows.names import run_workflow_id

RUN_ID = click.argument("run_id", metavar="ID")


def possible_ids(given: str) -> list[str]:
    """The workflow ids that an ID may mean: a plan's name first, then a workflow id as it is."""
    return [given] if "/" in given else [run_workflow_id(given), given]


async def known(client: Client, given: str) -> Run:
    """The newest run under an ID.

    Raises:
        HoldfastError: NOT_FOUND.
    """
    for workflow_id in possible_ids(given):
        try:
            described = await client.get_workflow_handle(workflow_id).describe()
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND or "amespace" in error.message:
                raise server_error(error) from error
        else:
            return client.get_workflow_handle(workflow_id, run_id=described.run_id, result_type=RunSummary)
    raise HoldfastError(ErrorCode.NOT_FOUND, f"the Temporal server has no run {' or '.join(possible_ids(given))}")


@click.command()
@RUN_ID
@clear_errors
def watch(run_id: str) -> None:
    """Show a run's progress until its end. ID is a plan's name or a workflow id.

    Ctrl-C stops watching; the run goes on. Exit codes are those of `holdfast run`.
    """
    raise SystemExit(asyncio.run(_watch(run_id)))


async def _watch(run_id: str) -> int:
    with Interrupts() as interrupts:
        client = await interrupts.during(connected())
        handle = await interrupts.during(known(client, run_id))
        say(f"{handle.id}, run {handle.run_id}")
        try:
            outcome = await Follower(client, handle, say).follow(interrupts, cancel_first=False)
        except Detached as why:
            say(f"{why}. To end it: `holdfast cancel {run_id}`")
            return ExitCode.CANCELLED
    await show_outcome(outcome)
    return outcome.exit_code


@click.command()
@RUN_ID
@click.option("--no-wait", is_flag=True, help="Do not wait until everything is off.")
@clear_errors
def cancel(run_id: str, *, no_wait: bool) -> None:
    """Cancel a run and wait until everything is off. ID is a plan's name or a workflow id.

    Exit code 0 when nothing is left on, 5 when that could not be verified.
    """
    raise SystemExit(asyncio.run(_cancel(run_id, wait=not no_wait)))


async def _cancel(run_id: str, *, wait: bool) -> int:
    with Interrupts() as interrupts:
        client = await interrupts.during(connected())
        handle = await interrupts.during(known(client, run_id))
        await ask_to_end(handle)
        say(f"asked {handle.id} to end")
        if not wait:
            return ExitCode.PASSED
        outcome: RunOutcome = await interrupts.during(end_of(client, handle, say))
    await show_outcome(outcome)
    unverified = outcome.exit_code is ExitCode.RECOVERY_UNVERIFIED
    return ExitCode.RECOVERY_UNVERIFIED if unverified else ExitCode.PASSED


@click.command()
@RUN_ID
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@clear_errors
def status(run_id: str, *, as_json: bool) -> None:
    """How a run stands now: from the run itself, or, when no worker answers, from the store.

    ID is a plan's name or a workflow id.
    """
    asyncio.run(_status(run_id, as_json=as_json))


async def _status(run_id: str, *, as_json: bool) -> None:
    try:
        client = await connected()
        handle = await known(client, run_id)
        state = await look(handle)
        trouble = "no worker answers"
        state = await _as_the_server_knows(client, handle, state) if state else None
    except HoldfastError as error:
        state, trouble = None, str(error)
    if state is not None:
        say(state.model_dump_json(indent=2) if as_json else "\n".join(_state_lines(state)))
        complain(f"(from the run itself; last change {_age(state.updated_at)})")
        return
    row = await _stored(run_id, trouble)
    say(row.model_dump_json(indent=2) if as_json else "\n".join(_row_lines(row)))
    complain(f"(from the store; last change {_age(row.updated_at)}. The run itself cannot be asked: {trouble})")


async def _as_the_server_knows(client: Client, run: Run, state: RunState) -> RunState:
    """Of a closed run, the server and the run's lock have the last word."""
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
        recovery = Recovery.VERIFIED if report.recovery_verified else Recovery.UNVERIFIED
        return state.model_copy(update={"recovery": recovery})
    return state.model_copy(update={"recovery": None}) if open_still else state


def ended(state: RunState, end: RunEnd) -> RunState:
    """What a closed run says of itself, with the server's word on how it ended: a terminated one cannot know."""
    if state.status is not RunStatus.RUNNING:
        return state
    phase = {RunStatus.COMPLETED: Phase.DONE, RunStatus.CANCELLED: Phase.CANCELLED}.get(end.status, Phase.FAILED)
    code = ErrorCode.TERMINATED if end.terminated else None
    return state.model_copy(
        update={"status": end.status, "phase": phase, "error_code": code, "error_message": end.message}
    )


async def _stored(run_id: str, trouble: str) -> ExecutionRow:
    """The store's row.

    Raises:
        HoldfastError: NOT_FOUND, with why the run itself could not be asked.
    """
    for workflow_id in possible_ids(run_id):
        row = await ask_store(partial(Store.latest_execution_of, workflow_id=workflow_id))
        if row is not None:
            return row
    raise HoldfastError(ErrorCode.NOT_FOUND, f"nothing is known of {run_id}: {trouble}, and the store does not have it")


def _age(moment: datetime | None) -> str:
    if moment is None:
        return "unknown"
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return f"{max(0, (datetime.now(UTC) - moment).total_seconds()):.0f} s ago"


def _state_lines(state: RunState) -> list[str]:
    paused = ", paused" if state.paused else ""
    lines = [
        f"plan {state.plan}, execution {state.execution_id}, namespace {state.namespace}",
        f"status {state.status}, phase {state.phase}, verdict {state.verdict or 'none yet'}{paused}",
        f"recovery {state.recovery or 'not yet: something is on, or not yet seen to be off'}",
    ]
    if state.waiting_for:
        lines.append(f"waiting for {state.waiting_for}")
    if state.error_code:
        lines.append(f"{state.error_code}: {state.error_message}")
    lines += [f"  {row.service:<20} {row.state:<10} {row.error}".rstrip() for row in state.injections]
    lines.append(f"rules {state.rules.rules}, {'ready' if state.rules.ready else 'not ready'}")
    lines.append(f"cases {state.load.cases_done} of {state.load.cases_total} measured")
    return lines


def _row_lines(row: ExecutionRow) -> list[str]:
    lines = [
        f"plan {row.plan}, execution {row.execution_id}, namespace {row.namespace}",
        f"status {row.run_status}, phase {row.status}, verdict {row.verdict or 'none'}",
        f"recovery {row.recovery or 'open: something is on'}",
    ]
    return [*lines, f"{row.error_code}: {row.error_message}"] if row.error_code else lines
