"""End every run at once, as an operator who halts everything needs it."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from clients.store.decoding import DamagedRow
from clients.temporal.connection import server_error
from clients.temporal.runs import RunDirectory
from domain.errors import ErrorCode, HoldfastError
from domain.executions.outcome import RunOutcome
from operations.environment import task_queue
from operations.recovery.worker_presence import WorkerPresence
from operations.runs.follow import Run, Say, ask_to_end, end_of
from operations.stores import query_store


@dataclass(frozen=True)
class Asked:
    """The runs that were asked to end."""

    runs: list[Run]
    troubles: list[str]
    """A sentence for each run, or source of runs, that could not be asked."""
    damaged: list[DamagedRow]
    """Stored runs whose ids are damaged; the newest run of their workflow was asked."""


async def ask_all_to_end(client: Client, remark: Say) -> Asked:
    """Ask every run to end that the server or the store knows.

    These are the runs that the server lists, and those without an end in the store. The server's runs come first, and
    each run is asked by itself. So trouble with one run, or with the store, keeps no other run from being asked.

    Raises:
        HoldfastError: no run could be asked, because the server does not answer.
    """
    troubles: list[HoldfastError] = []
    asked: dict[tuple[str, str], Run] = {}
    damaged: list[DamagedRow] = []
    for source in (_listed(client), _stored(client, damaged)):
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
    if troubles and not asked and all(trouble.code is ErrorCode.PEER_UNREACHABLE for trouble in troubles):
        raise troubles[0]
    return Asked(list(asked.values()), [str(trouble) for trouble in troubles], damaged)


async def _listed(client: Client) -> list[Run]:
    return [_handle(client, *key) for key in await RunDirectory(client).open_runs(task_queue())]


async def _stored(client: Client, damaged: list[DamagedRow]) -> list[Run]:
    """Return the runs without an end in the store.

    Only those that the server knows. A run that the server has forgotten ended long ago.
    """
    found = []
    for row in await query_store(lambda store: store.executions.unfinished()):
        run_id: str | None = row.run_id
        if not _is_uuid(row.run_id):
            trouble = (
                f"run_id is {row.run_id[:60]!r}, which belongs to no run: using the newest run of {row.workflow_id}"
            )
            damaged.append(
                DamagedRow(table="task_execution", row=f"id={row.execution_id}", trouble=trouble, may_be_on=True)
            )
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
    return client.get_workflow_handle(workflow_id, run_id=run_id)


def _not_asked(run: Run, error: Exception) -> HoldfastError:
    known = server_error(error) if isinstance(error, RPCError) else None
    code = known.code if known else ErrorCode.UNEXPECTED
    why = known.message if known else f"unexpected {type(error).__name__}"
    hint = "`holdfast recover` closes what is on"
    return HoldfastError(code, f"{run.id} could not be asked to end: {why}", hint=hint)


async def ends_of(client: Client, runs: list[Run], remark: Say) -> tuple[list[RunOutcome], list[tuple[Run, Exception]]]:
    """Wait for the runs and their locks. Returns how they ended.

    Also returns each run whose end is not known, and why.
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
                missed.append((run, end))
            else:
                raise end
        return ends, missed
    finally:
        reminding.cancel()
        await asyncio.gather(reminding, return_exceptions=True)


async def _mention_absence(client: Client, runs: list[Run], remark: Say) -> None:
    attendance = WorkerPresence(RunDirectory(client))
    windows = [(run.id, run.run_id or "") for run in runs]
    while not await attendance.is_missing(windows):  # noqa: ASYNC110 - the event is on the server
        await asyncio.sleep(1)
    remark("no worker does the clean-up. Start one with `holdfast worker`; or Ctrl-C, and `holdfast recover --all`")
