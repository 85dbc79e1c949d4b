"""`holdfast cancel`, and finding a run by its ID."""

from __future__ import annotations

import asyncio

import click
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from cli.connection import connected
from cli.console import AS_JSON, acts, clear_errors, complain, say, say_json
from cli.exit_codes import ExitCode, RunOutcome
from cli.following import Run, ask_to_end, end_of
from cli.interrupts import Interrupts
from cli.results import show_outcome
from cli.ui.next_steps import after_error, after_run
from clients.temporal.connection import server_error
from domain.errors import ErrorCode, HoldfastError
from domain.executions.execution import RunSummary
from domain.names import run_workflow_id

RUN_ID = click.argument("run_id", metavar="ID")


def possible_ids(given: str) -> list[str]:
    """Return the workflow ids that an ID may mean.

    The ID is tried as a plan's name first, then as a workflow id. With a slash in it, it is only a workflow id.
    """
    return [given] if "/" in given else [run_workflow_id(given), given]


async def known(client: Client, given: str) -> Run:
    """Find the newest run under an ID.

    Raises:
        HoldfastError: NOT_FOUND, or what the server's error means.
    """
    for workflow_id in possible_ids(given):
        try:
            described = await client.get_workflow_handle(workflow_id).describe()
        except RPCError as error:
            # NOT_FOUND may also mean that the server does not have our Temporal namespace.
            if error.status is not RPCStatusCode.NOT_FOUND or "amespace" in error.message:
                raise server_error(error) from error
        else:
            return client.get_workflow_handle(workflow_id, run_id=described.run_id, result_type=RunSummary)
    message = f"the Temporal server has no run {' or '.join(possible_ids(given))}"
    raise HoldfastError(ErrorCode.NOT_FOUND, message, hint=after_error(ErrorCode.NOT_FOUND))


@click.command()
@RUN_ID
@click.option("--no-wait", is_flag=True, help="Do not wait until everything is off.")
@AS_JSON
@clear_errors
@acts
def cancel(run_id: str, *, no_wait: bool, as_json: bool) -> None:
    """Cancel a run and wait until everything is off.

    ID is a plan's name or a workflow id.

    Exit codes: 0 nothing is left switched on, 5 that could not be verified.
    """
    raise SystemExit(asyncio.run(_cancel(run_id, wait=not no_wait, as_json=as_json)))


async def _cancel(run_id: str, *, wait: bool, as_json: bool) -> int:
    remark = complain if as_json else say
    with Interrupts() as interrupts:
        client = await interrupts.during(connected())
        handle = await interrupts.during(known(client, run_id))
        await ask_to_end(handle)
        remark(f"asked {handle.id} to end")
        if not wait:
            remark(f"next: `holdfast watch {run_id}` shows how it ends")
            if as_json:
                say_json({"workflow_id": handle.id, "run_id": handle.run_id})
            return ExitCode.PASSED
        outcome: RunOutcome = await interrupts.during(end_of(client, handle, remark))
    if as_json:
        say_json(outcome.model_dump(mode="json"))
    else:
        await show_outcome(outcome)
        say(f"next: {after_run(outcome, run_id)}")
    unverified = outcome.exit_code is ExitCode.RECOVERY_UNVERIFIED
    return ExitCode.RECOVERY_UNVERIFIED if unverified else ExitCode.PASSED
