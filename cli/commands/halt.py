"""`holdfast halt` and `unhalt`: end every run, and refuse new ones."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import suppress

import click
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from cli.console import AS_JSON, acts, clear_errors, complain, say, say_json, understood
from cli.damage import damage_facts, note, with_damage
from cli.results import ask_store
from cli.ui.next_steps import after_halt
from clients.store.decoding import DamagedRow
from clients.store.read_models import Halt
from clients.temporal.connection import server_error
from clients.temporal.runs import RunDirectory
from domain.errors import ErrorCode, HoldfastError
from domain.executions.execution import Recovery, RunSummary
from domain.executions.outcome import ExitCode, RunOutcome
from operations.connection import connected
from operations.processes.interrupts import Interrupts
from operations.recovery.worker_presence import Attendance
from operations.runs.follow import Run, Say, ask_to_end, end_of
from operations.runs.start import task_queue, who

MENTION_PATIENCE = 2.0
"""Seconds for reading the halt flag, in commands that only mention it."""


async def mention_halt() -> Halt | None:
    """Report an active halt on standard error, and return it.

    Does nothing if the store cannot be read.
    """
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
@acts
def halt(reason: str, *, no_wait: bool, as_json: bool) -> None:
    """Cancel all runs and refuse new ones until `holdfast unhalt`.

    First, a flag is set in the store (HOLDFAST_DATABASE_URL must be the worker's). A run that begins later ends with
    HALTED, exit code 7, before it touches anything. Then all runs are cancelled, and the command waits until everything
    is off.

    Exit codes: 0 nothing is left switched on, 5 that could not be verified.
    """
    raise SystemExit(asyncio.run(_halt(reason, wait=not no_wait, as_json=as_json)))


async def _halt(reason: str, *, wait: bool, as_json: bool) -> ExitCode:
    remark = complain if as_json else say
    with Interrupts() as interrupts:
        # Set it before listing the runs: a run that began too early to see the flag is then in the list.
        flag = await ask_store(lambda store: store.halt(reason, who()))
        remark(f"{flag}. New runs are refused until `holdfast unhalt`")
        client = await interrupts.during(connected())
        runs, troubles = await interrupts.during(_asked_to_end(client, remark))
        ends, missed = await interrupts.during(_ends(client, runs, remark)) if wait else ([], [])
    troubles += missed
    for trouble in troubles:
        complain(f"error: {trouble}")
    verified = not troubles and all(end.recovery is not Recovery.UNVERIFIED for end in ends)
    code = with_damage(ExitCode.PASSED if verified else ExitCode.RECOVERY_UNVERIFIED)
    if as_json:
        told = [end.model_dump(mode="json") for end in ends]
        asked = [{"workflow_id": run.id, "run_id": run.run_id} for run in runs]
        facts = {"halt": flag.model_dump(mode="json"), "asked_to_end": asked, "ended": told, "troubles": troubles}
        say_json(facts | {"damaged": damage_facts(), "exit_code": code})
        return code
    for end in ends:
        say(f"{end.workflow_id}: {end.status}, recovery {end.recovery}")
    say(f"next: {after_halt(verified=verified, waited=wait)}")
    return code


async def _asked_to_end(client: Client, remark: Say) -> tuple[list[Run], list[str]]:
    """Ask every run to end that the server or the store knows.

    These are the runs that the server lists, and those without an end in the store. The server's runs come first, and
    each run is asked by itself. So trouble with one run, or with the store, keeps no other run from being asked. Also
    returns a sentence for each trouble.

    Raises:
        HoldfastError: no run could be asked, because the server does not answer.
    """
    troubles: list[HoldfastError] = []
    asked: dict[tuple[str, str], Run] = {}
    for source in (_listed(client), _stored(client)):
        try:
            runs = await source
        except HoldfastError as error:
            troubles.append(error)
            continue
        for run in runs:
            key = (run.id, run.run_id or "")
            if key in asked:
                continue
            try:
                await ask_to_end(run)
            except Exception as error:
                troubles.append(_not_asked(run, error))
                continue
            asked[key] = run
            remark(f"asked {run.id} to end")
    if troubles and not asked and all(one.code is ErrorCode.PEER_UNREACHABLE for one in troubles):
        raise troubles[0]
    return list(asked.values()), [str(one) for one in troubles]


async def _listed(client: Client) -> list[Run]:
    return [_handle(client, *key) for key in await RunDirectory(client).open_runs(task_queue())]


async def _stored(client: Client) -> list[Run]:
    """Return the runs without an end in the store.

    Only those that the server knows. A run that the server has forgotten ended long ago.
    """
    found = []
    for row in await ask_store(lambda store: store.unfinished_executions()):
        run_id: str | None = row.run_id
        if not _is_uuid(row.run_id):
            trouble = f"run_id is {row.run_id[:60]!r}, which is no run's: the newest run of {row.workflow_id} is meant"
            note(DamagedRow(table="task_execution", row=f"id={row.execution_id}", trouble=trouble, may_be_on=True))
            run_id = None
        run = _handle(client, row.workflow_id, run_id)
        try:
            described = await run.describe()
        except RPCError as error:
            if error.status in (RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT):
                continue
            # It is asked to end even so. If that fails too, the trouble is reported.
            found.append(run)
        else:
            found.append(_handle(client, row.workflow_id, described.run_id))
    return found


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False


def _handle(client: Client, workflow_id: str, run_id: str | None) -> Run:
    return client.get_workflow_handle(workflow_id, run_id=run_id, result_type=RunSummary)


def _not_asked(run: Run, error: Exception) -> HoldfastError:
    known = server_error(error) if isinstance(error, RPCError) else None
    code = known.code if known else ErrorCode.UNEXPECTED
    why = known.message if known else f"unexpected {type(error).__name__}"
    hint = "`holdfast recover` closes what is on"
    return HoldfastError(code, f"{run.id} could not be asked to end: {why}", hint=hint)


async def _ends(client: Client, runs: list[Run], remark: Say) -> tuple[list[RunOutcome], list[str]]:
    """Wait for the runs and their locks. Returns how they ended.

    Also returns a sentence for each run whose end is not known.
    """
    reminding = asyncio.create_task(_mention_absence(client, runs, remark))
    ends: list[RunOutcome] = []
    missed = []
    try:
        found = await asyncio.gather(*(end_of(client, run, remark) for run in runs), return_exceptions=True)
        for run, end in zip(runs, found, strict=True):
            if isinstance(end, RunOutcome):
                ends.append(end)
            elif isinstance(end, Exception):
                missed.append(f"how {run.id} ended is not known: {understood(end)}")
            else:
                raise end
        return ends, missed
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
@acts
def unhalt(*, as_json: bool) -> None:
    """Let runs begin again after `holdfast halt`."""
    was = asyncio.run(ask_store(lambda store: store.unhalt()))
    if as_json:
        say_json({"was": was.model_dump(mode="json") if was else None})
        return
    say(f"no longer {was}" if was else "nothing was halted")
    say("next: `holdfast run PLAN`")
