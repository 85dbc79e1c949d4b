"""`holdfast halt` and `unhalt`: end every run and let none begin, until somebody takes it back."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import click
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from cli.attendance import Attendance
from cli.connection import connected
from cli.console import AS_JSON, clear_errors, complain, say, say_json
from cli.exit_codes import ExitCode, RunOutcome
from cli.following import Run, Say, ask_to_end, end_of
from cli.interrupts import Interrupts
from cli.next_steps import after_halt
from cli.results import ask_store
from cli.starting import task_queue, who
from clients.runs import RunDirectory
from clients.store.read_models import Halt
from clients.temporal import server_error
from workflows.contracts.errors import HoldfastError
from workflows.contracts.execution import Recovery, RunSummary

MENTION_PATIENCE = 2.0
"""Seconds for a look at the flag beside what was asked for."""


async def mention_halt() -> Halt | None:
    """Say on standard error that everything is halted, where the store can be read and says so."""
    with suppress(HoldfastError, TimeoutError):
        async with asyncio.timeout(MENTION_PATIENCE):
            halt = await ask_store(lambda store: store.halted())
        if halt is not None:
            complain(f"({halt}. `holdfast unhalt` lets runs begin again)")
        return halt
    return None


@click.command()
@click.option("--reason", required=True, metavar="TEXT", help="Why; whoever is refused is told.")
@click.option("--no-wait", is_flag=True, help="Do not wait until everything is off.")
@AS_JSON
@clear_errors
def halt(reason: str, *, no_wait: bool, as_json: bool) -> None:
    """Cancel all runs, wait until everything is off, and refuse new ones until `holdfast unhalt`.

    The flag is set in the store first, HOLDFAST_DATABASE_URL must be the worker's; a run that begins afterwards ends
    with HALTED, exit code 7, before it touches anything. Exit code 0 when nothing is left on, 5 when that could not be
    verified.
    """
    raise SystemExit(asyncio.run(_halt(reason, wait=not no_wait, as_json=as_json)))


async def _halt(reason: str, *, wait: bool, as_json: bool) -> ExitCode:
    remark = complain if as_json else say
    with Interrupts() as interrupts:
        # Before the runs are listed: a run that does not see the flag any more is in the list then.
        flag = await ask_store(lambda store: store.halt(reason, who()))
        remark(f"{flag}. New runs are refused until `holdfast unhalt`")
        client = await interrupts.during(connected())
        runs = await interrupts.during(_under_way(client))
        for run in runs:
            await ask_to_end(run)
            remark(f"asked {run.id} to end")
        ends = await interrupts.during(_ends(client, runs, remark)) if wait else []
    verified = all(end.recovery is not Recovery.UNVERIFIED for end in ends)
    code = ExitCode.PASSED if verified else ExitCode.RECOVERY_UNVERIFIED
    if as_json:
        told = [end.model_dump(mode="json") for end in ends]
        asked = [{"workflow_id": run.id, "run_id": run.run_id} for run in runs]
        say_json({"halt": flag.model_dump(mode="json"), "asked_to_end": asked, "ended": told, "exit_code": code})
        return code
    for end in ends:
        say(f"{end.workflow_id}: {end.status}, recovery {end.recovery}")
    say(f"next: {after_halt(verified=verified, waited=wait)}")
    return code


async def _under_way(client: Client) -> list[Run]:
    """Every run whose end is not written, by the store, and every one that the server lists; each once."""
    stored = await ask_store(lambda store: store.unfinished_executions())
    listed = await RunDirectory(client).open_runs(task_queue())
    keys = dict.fromkeys([*((row.workflow_id, row.run_id) for row in stored), *listed])
    handles = [client.get_workflow_handle(one, run_id=run_id, result_type=RunSummary) for one, run_id in keys]
    return [handle for handle in handles if await _is_known(handle)]


async def _is_known(run: Run) -> bool:
    """Whether the server still knows a run; one that it has forgotten ended long ago."""
    try:
        await run.describe()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return False
        raise server_error(error) from error
    return True


async def _ends(client: Client, runs: list[Run], remark: Say) -> list[RunOutcome]:
    """How they ended, their locks' last looks included."""
    reminding = asyncio.create_task(_mention_absence(client, runs, remark))
    try:
        return await asyncio.gather(*(end_of(client, run, remark) for run in runs))
    finally:
        reminding.cancel()
        await asyncio.gather(reminding, return_exceptions=True)


async def _mention_absence(client: Client, runs: list[Run], remark: Say) -> None:
    attendance = Attendance(RunDirectory(client))
    windows = [(run.id, run.run_id or "") for run in runs]
    while not await attendance.is_missing(windows):  # noqa: ASYNC110 - the event is on the server
        await asyncio.sleep(1)
    remark(
        "no worker carries out the clean-up. Start one with `holdfast worker`; or Ctrl-C, and `holdfast recover --all`"
    )


@click.command()
@AS_JSON
@clear_errors
def unhalt(*, as_json: bool) -> None:
    """Let runs begin again after `holdfast halt`."""
    was = asyncio.run(ask_store(lambda store: store.unhalt()))
    if as_json:
        say_json({"was": was.model_dump(mode="json") if was else None})
        return
    say(f"no longer {was}" if was else "nothing was halted")
    say("next: `holdfast run PLAN`")
