"""`holdfast run`, `watch`, `cancel`, `status`, `faults`, `validate`: what a person or a pipeline does with runs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import click
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from cli.console import clear_errors, complain, say
from cli.exit_codes import ExitCode, RunOutcome
from cli.following import Detached, Follower, Run, end_of, look, mention_missing_worker, start
from cli.plans import PlanFile, confirm, valid_plan
from cli.results import results_of, show_outcome
from clients.settings import Settings
from clients.store.read_models import ExecutionRow
from clients.store.store import Store
from clients.temporal import connect
from workflows.contracts.errors import ErrorCode, HoldfastError
from workflows.contracts.execution import IfBusy, RunSummary
from workflows.contracts.status import RunState
from workflows.names import run_workflow_id

PLAN = click.argument("plan", type=click.Path(path_type=Path, allow_dash=True))
RUN_ID = click.argument("run_id", metavar="ID")


@click.command()
@PLAN
@clear_errors
def validate(plan: Path) -> None:
    """Check a plan without touching anything: every problem with its path and a hint, exit code 2."""
    say(f"ok: {valid_plan(plan).summary()}")


@click.command()
@PLAN
@click.option("--detach", is_flag=True, help="Start the run and return; it goes on in the worker.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the outcome to this file, as JSON.")
@click.option("--yes", is_flag=True, help="Do not ask before touching a system that is not on this machine.")
@click.option(
    "--if-busy",
    type=click.Choice([choice.value for choice in IfBusy]),
    default=IfBusy.REFUSE.value,
    show_default=True,
    help="When another run holds the namespace: refuse, wait for it, or have it cancelled and cleaned up.",
)
@clear_errors
def run(plan: Path, json_file: Path | None, if_busy: str, *, detach: bool, yes: bool) -> None:
    """Run a plan and wait for its verdict.

    Exit codes: 0 passed, 1 failed, 2 invalid plan, 3 run failed, 4 stopped, 5 recovery unverified, 6 inconclusive,
    7 refused with nothing touched, 130 cancelled.
    """
    file = valid_plan(plan)
    confirm(file, yes=yes)
    raise SystemExit(asyncio.run(_run(file, IfBusy(if_busy), json_file, detach=detach)))


async def _run(file: PlanFile, if_busy: IfBusy, json_file: Path | None, *, detach: bool) -> int:
    client = await connect()
    say(file.summary())
    handle = await start(client, file.plan, file.document, if_busy)
    say(f"started {handle.id}, run {handle.first_execution_run_id}")
    if detach:
        await mention_missing_worker(client, say)
        say(f"watch it with `holdfast watch {file.plan.name}`")
        return ExitCode.PASSED
    outcome = await follow(client, handle)
    if outcome is None:
        return ExitCode.CANCELLED
    await show_outcome(outcome, Settings.from_environment(os.environ).database_url)
    if json_file:
        json_file.write_text(outcome.model_dump_json(indent=2) + "\n")  # noqa: ASYNC240 - the run is over
    return outcome.exit_code


async def follow(client: Client, handle: Run) -> RunOutcome | None:
    """Follow to the end; None when the operator let go."""
    reminding = asyncio.create_task(mention_missing_worker(client, say))
    try:
        return await Follower(client, handle, say).follow()
    except Detached:
        say("let go: recovery goes on in the worker. See it with `holdfast status` and `holdfast faults`")
        return None
    finally:
        reminding.cancel()
        await asyncio.gather(reminding, return_exceptions=True)


def workflow_id_of(run_id: str) -> str:
    """A workflow id as it is, or the id of a plan's runs by the plan's name."""
    return run_id if "/" in run_id else run_workflow_id(run_id)


async def known(client: Client, run_id: str) -> Run:
    """The newest run under an id.

    Raises:
        HoldfastError: NOT_FOUND.
    """
    handle = client.get_workflow_handle(workflow_id_of(run_id), result_type=RunSummary)
    try:
        await handle.describe()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise HoldfastError(ErrorCode.NOT_FOUND, f"there is no run {handle.id} on this server") from error
        raise HoldfastError(ErrorCode.PEER_UNREACHABLE, f"the Temporal server says {error.status.name}") from error
    return handle


@click.command()
@RUN_ID
@clear_errors
def watch(run_id: str) -> None:
    """Show a run's progress until its end. ID is a plan's name or a workflow id. Ctrl-C cancels the run."""
    raise SystemExit(asyncio.run(_watch(run_id)))


async def _watch(run_id: str) -> int:
    client = await connect()
    outcome = await follow(client, await known(client, run_id))
    if outcome is None:
        return ExitCode.CANCELLED
    await show_outcome(outcome, Settings.from_environment(os.environ).database_url)
    return outcome.exit_code


@click.command()
@RUN_ID
@click.option("--no-wait", is_flag=True, help="Do not wait until everything is off.")
@clear_errors
def cancel(run_id: str, *, no_wait: bool) -> None:
    """Cancel a run and wait until everything is off. ID is a plan's name or a workflow id."""
    raise SystemExit(asyncio.run(_cancel(run_id, wait=not no_wait)))


async def _cancel(run_id: str, *, wait: bool) -> int:
    client = await connect()
    handle = await known(client, run_id)
    await handle.cancel()
    say(f"asked {handle.id} to end")
    if not wait:
        return ExitCode.PASSED
    outcome = await end_of(client, handle)
    await show_outcome(outcome, None)
    return ExitCode.PASSED if outcome.exit_code is ExitCode.CANCELLED else outcome.exit_code


@click.command()
@RUN_ID
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@clear_errors
def status(run_id: str, *, as_json: bool) -> None:
    """How a run stands now: from the run itself, or, when no worker answers, from the store."""
    asyncio.run(_status(run_id, as_json=as_json))


async def _status(run_id: str, *, as_json: bool) -> None:
    try:
        client = await connect()
        state = await look(await known(client, run_id))
    except HoldfastError as error:
        complain(str(error))
        state = None
    if state is not None:
        say(state.model_dump_json(indent=2) if as_json else "\n".join(_state_lines(state)))
        return
    row = await _stored(workflow_id_of(run_id))
    age = datetime.now(UTC) - row.updated_at
    say(row.model_dump_json(indent=2) if as_json else "\n".join(_row_lines(row)))
    complain(f"from the store, as it was {age.total_seconds():.0f} s ago: the run itself does not answer")


async def _stored(workflow_id: str) -> ExecutionRow:
    store = await Store.open(Settings.from_environment(os.environ).database_url)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(store.close)
        row = await store.latest_execution_of(workflow_id)
    if row is None:
        raise HoldfastError(ErrorCode.NOT_FOUND, f"the store has no run {workflow_id}")
    return row


def _state_lines(state: RunState) -> list[str]:
    paused = ", paused" if state.paused else ""
    lines = [
        f"plan {state.plan}, execution {state.execution_id}, namespace {state.namespace}",
        f"status {state.status}, phase {state.phase}, verdict {state.verdict or 'none yet'}{paused}",
        f"recovery {state.recovery or 'open: something is on'}",
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


@click.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@clear_errors
def faults(*, as_json: bool) -> None:
    """What is on, or may be, according to the ledger. Exit code 5 when anything is."""
    rows = asyncio.run(results_of(Settings.from_environment(os.environ).database_url, Store.ledger_unsettled))
    if as_json:
        say(json.dumps([row.model_dump(mode="json") for row in rows], indent=2))
    for row in rows if not as_json else []:
        what = row.peer_name or row.service or row.window_id
        say(
            f"{row.state:<11} {row.kind:<10} {what}  window {row.window_id}  close by {row.close_by:%Y-%m-%d %H:%M:%S}Z"
        )
    if not rows and not as_json:
        say("nothing is on")
    raise SystemExit(ExitCode.RECOVERY_UNVERIFIED if rows else ExitCode.PASSED)
