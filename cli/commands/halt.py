"""`holdfast halt` and `unhalt`: end every run, and refuse new ones."""

from __future__ import annotations

import asyncio

import click

from cli.console import as_holdfast_error, clear_errors, complain, say, say_json, survives_lost_output
from cli.damage import damage_facts, note, with_damage
from cli.options import AS_JSON
from cli.ui.next_steps import after_halt
from domain.executions.execution import Recovery
from domain.executions.outcome import ExitCode
from operations.connection import connect_quietly
from operations.environment import operator_name
from operations.processes.interrupts import Interrupts
from operations.runs.end_all import ask_all_to_end, ends_of
from operations.stores import query_store


@click.command()
@click.option("--reason", required=True, metavar="TEXT", help="Reason, shown to every run that is refused.")
@click.option("--no-wait", is_flag=True, help="Do not wait until everything is off.")
@AS_JSON
@clear_errors
@survives_lost_output
def halt(reason: str, *, no_wait: bool, as_json: bool) -> None:
    """Cancel all runs and refuse new ones until `holdfast unhalt`.

    First, a flag is set in the store (HOLDFAST_DATABASE_URL must be the worker's). A run that begins later ends with
    HALTED, exit code 7, before it touches anything. Then all runs are cancelled, and the command waits until everything
    is off.

    Exit codes: 0 nothing is left switched on (with --no-wait: every run was asked to end, and nothing is verified), 5
    that could not be verified, or a run could not be asked.
    """
    raise SystemExit(asyncio.run(_halt(reason, wait=not no_wait, as_json=as_json)))


async def _halt(reason: str, *, wait: bool, as_json: bool) -> ExitCode:
    remark = complain if as_json else say
    with Interrupts() as interrupts:
        # Set it before listing the runs: a run that began too early to see the flag is then in the list.
        flag = await query_store(lambda store: store.halting.halt(reason, operator_name()))
        remark(f"{flag}. New runs are refused until `holdfast unhalt`")
        client = await interrupts.during(connect_quietly())
        asked = await interrupts.during(ask_all_to_end(client, remark))
        for row in asked.damaged:
            note(row)
        ends, missed = await interrupts.during(ends_of(client, asked.runs, remark)) if wait else ([], [])
    troubles = asked.troubles + [
        f"it is not known how {run.id} ended: {as_holdfast_error(error)}" for run, error in missed
    ]
    for trouble in troubles:
        complain(f"error: {trouble}")
    verified = not troubles and all(end.recovery is not Recovery.UNVERIFIED for end in ends)
    code = with_damage(ExitCode.PASSED if verified else ExitCode.RECOVERY_UNVERIFIED)
    if as_json:
        ended = [end.model_dump(mode="json") for end in ends]
        named = [{"workflow_id": run.id, "run_id": run.run_id} for run in asked.runs]
        facts = {"halt": flag.model_dump(mode="json"), "asked_to_end": named, "ended": ended, "troubles": troubles}
        say_json(facts | {"damaged": damage_facts(), "exit_code": code})
        return code
    for end in ends:
        say(f"{end.workflow_id}: {end.status}, recovery {end.recovery}")
    say(f"next: {after_halt(verified=verified, waited=wait)}")
    return code


@click.command()
@AS_JSON
@clear_errors
@survives_lost_output
def unhalt(*, as_json: bool) -> None:
    """Let runs begin again after `holdfast halt`."""
    lifted = asyncio.run(query_store(lambda store: store.halting.unhalt()))
    if as_json:
        say_json({"was": lifted.model_dump(mode="json") if lifted else None})
        return
    say(f"no longer {lifted}" if lifted else "nothing was halted")
    say("next: `holdfast run PLAN`")
