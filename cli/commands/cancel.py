"""`holdfast cancel`: end a run, and wait until everything is off."""

from __future__ import annotations

import asyncio

import click

from cli.console import clear_errors, complain, say, say_json, survives_lost_output
from cli.options import AS_JSON, RUN_ID
from cli.results import show_outcome
from cli.ui.next_steps import after_run
from domain.executions.outcome import ExitCode, RunOutcome
from operations.connection import connect_quietly
from operations.processes.interrupts import Interrupts
from operations.runs.find import find_run
from operations.runs.follow import ask_to_end, end_of


@click.command()
@RUN_ID
@click.option("--no-wait", is_flag=True, help="Do not wait until everything is off.")
@AS_JSON
@clear_errors
@survives_lost_output
def cancel(run_id: str, *, no_wait: bool, as_json: bool) -> None:
    """Cancel a run and wait until everything is off.

    ID is a plan's name or a workflow id.

    Exit codes: 0 nothing is left switched on (with --no-wait: the run was asked to end, and nothing is verified), 5
    that could not be verified.
    """
    raise SystemExit(asyncio.run(_cancel(run_id, wait=not no_wait, as_json=as_json)))


async def _cancel(run_id: str, *, wait: bool, as_json: bool) -> int:
    remark = complain if as_json else say
    with Interrupts() as interrupts:
        client = await interrupts.during(connect_quietly())
        handle = await interrupts.during(find_run(client, run_id))
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
