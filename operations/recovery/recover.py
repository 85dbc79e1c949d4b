"""Close what the ledger lists as open, never behind a window's back.

A run that is under way is asked to end, and a window whose run is gone is asked to close. Both are waited for. What is
still open after that is closed from here, as the sweeper does it, because its window is gone or overdue, or no worker
serves it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby

from activities.clocks import Deadline
from activities.recovery.active_at_peers import left_active
from activities.recovery.orphans import close_orphan, is_overdue, quiet_from, settle
from activities.toolbox import Toolbox
from clients.temporal.runs import RunDirectory
from domain.base import Contract
from domain.errors import ErrorCode, HoldfastError
from domain.executions.windows import SETTLED, Closing, LedgerEntry, LedgerState, WindowKind
from domain.names import FAULT_PREFIX, base36
from operations.recovery.worker_presence import WorkerPresence
from operations.runs.follow import Say

BY = "recover"
LOOK_EVERY = 0.5
"""Seconds between two checks of a window."""


GONE = (ErrorCode.PEER_UNREACHABLE, ErrorCode.STORE_UNAVAILABLE, ErrorCode.STORE_CONFLICT)
"""Codes of a missing server or store, without which nothing can be recovered this way."""


class Recovered(Contract):
    """What became of one ledger row."""

    window_id: str
    run_id: str
    execution_id: int
    kind: WindowKind
    service: str
    peer_name: str
    was: LedgerState
    state: LedgerState
    done: str
    """What was done about the row, and what could not be verified."""

    @property
    def verified(self) -> bool:
        """Whether everything the row stands for is known to be off."""
        return self.state in SETTLED


class Recoverer:
    """Closes executions, one per call.

    An execution's lock comes after its other windows.
    """

    def __init__(self, tools: Toolbox, runs: RunDirectory, say: Say, within: timedelta) -> None:
        """Create a recoverer.

        `within` bounds closing one row from here. Windows have their own time.
        """
        self._tools = tools
        self._runs = runs
        self._say = say
        self._within = within

    async def recover(self, rows: Sequence[LedgerEntry]) -> list[Recovered]:
        """Close the unsettled rows of one execution, the lock last.

        Returns what became of each row.

        Raises:
            HoldfastError: the server or the store cannot be asked. Trouble at a peer is part of the result.
        """
        try:
            await self._ask_to_end(rows)
        except HoldfastError:
            raise
        except Exception as error:
            self._say(f"{rows[0].parent_workflow_id} could not be asked to end: unexpected {type(error).__name__}")
        windows = [row for row in rows if row.kind is not WindowKind.LOCK]
        locks = [row for row in rows if row.kind is WindowKind.LOCK]
        found = list(await asyncio.gather(*(self._recover_window(row) for row in windows)))
        for lock in locks:
            found.append(await self._recover_lock(lock, verified=all(result.verified for result in found)))
        return found

    async def _ask_to_end(self, rows: Sequence[LedgerEntry]) -> None:
        for workflow_id, run_id in dict.fromkeys((row.parent_workflow_id, row.parent_run_id) for row in rows):
            if await self._runs.is_running(workflow_id, run_id):
                self._say(f"{workflow_id} is under way: asking it to end, and waiting for its windows")
                await self._runs.cancel(workflow_id, run_id)
                continue
            for row in rows:
                # The lock ends by itself when its run does, so a cancel would add nothing.
                if row.kind is not WindowKind.LOCK and await self._runs.is_running(row.window_id, row.run_id):
                    self._say(f"{row.window_id} still runs, its run does not: asking it to close, and waiting for it")
                    await self._runs.cancel(row.window_id, row.run_id)

    async def _recover_window(self, row: LedgerEntry) -> Recovered:
        try:
            return await self._close_window(row)
        except HoldfastError:
            raise
        except Exception as error:
            return _closing_result(row, _unexpected(error), "")

    async def _close_window(self, row: LedgerEntry) -> Recovered:
        why = await self._wait_until_closable(row)
        now = await self._now(row)
        if now.state in SETTLED:
            return _result(row, now.state, "its window has closed it")
        try:
            closing = await self._close(now, Deadline.after(self._within))
        except HoldfastError as error:
            closing = Closing(verified=False, detail=str(error))
        return _closing_result(row, closing, why)

    async def _close(self, row: LedgerEntry, end: Deadline) -> Closing:
        """Close what a row stands for, a second time if necessary.

        The first time may be too early, because the last call of the row's window may still switch something on. The
        second time comes when no such call can switch anything on any more, if that is before `end`.
        """
        quiet = await quiet_from(self._runs, await self._tools.subject_for_closing(row.execution_id), row)
        # This uses the machine's own clock, which may be wrong: only workers get the server's time.
        until_quiet = Deadline.after(max(quiet - _now(), timedelta(0)))
        early = not until_quiet.over
        closing = await close_orphan(self._tools, self._runs, row, end, BY, clock=_now)
        if closing.verified or not early or until_quiet >= end:
            return closing
        self._say(f"{row.window_id}: {closing.detail}")
        await asyncio.sleep(until_quiet.left.total_seconds())
        return await close_orphan(self._tools, self._runs, row, end, BY, clock=_now)

    async def _recover_lock(self, row: LedgerEntry, *, verified: bool) -> Recovered:
        """Close a lock, after everything else of its run.

        A lock holds nothing at a peer.
        """
        if not verified:
            # The lock itself checks the peers until its time is over. The operator should not have to wait for that.
            now = await self._now(row)
            return _result(row, now.state, "kept: something of its run is not verified to be off")
        why = await self._wait_until_closable(row)
        now = await self._now(row)
        if now.state in SETTLED:
            return _result(row, now.state, "it has released the namespace")
        try:
            closing = await self._check_peers(row)
            if closing.verified and not await self._runs.is_running(row.parent_workflow_id, row.parent_run_id):
                closing = await close_orphan(self._tools, self._runs, now, Deadline.after(self._within), BY, clock=_now)
            elif closing.verified:
                await settle(self._tools, now, closing, BY)
        except HoldfastError as error:
            closing = Closing(verified=False, detail=str(error))
        except Exception as error:
            closing = _unexpected(error)
        return _closing_result(row, closing, why)

    async def _check_peers(self, row: LedgerEntry) -> Closing:
        subject = await self._tools.subject_for_closing(row.execution_id)
        left = await left_active(self._tools, subject, f"{FAULT_PREFIX}{base36(row.execution_id)}-")
        return Closing(verified=not left, detail="; ".join(left))

    async def _wait_until_closable(self, row: LedgerEntry) -> str:
        """Wait while the window or its run may still close the row.

        Returns why neither will close it any more, so that closing is up to us.
        """
        attendance = WorkerPresence(self._runs)
        while await self._runs.is_running(row.window_id, row.run_id):
            watched = [(row.window_id, row.run_id), (row.parent_workflow_id, row.parent_run_id)]
            if await attendance.is_missing(watched):
                return "no worker runs it; a worker that comes back closes it once more, which does no harm"
            if row.kind is not WindowKind.LOCK and await is_overdue(self._tools, row, _now):
                return "its window is overdue"
            await asyncio.sleep(LOOK_EVERY)
        return "its window is gone"

    async def _now(self, row: LedgerEntry) -> LedgerEntry:
        rows = await self._tools.store.ledger.of(row.execution_id)
        return next((entry for entry in rows if (entry.window_id, entry.run_id) == (row.window_id, row.run_id)), row)


def _unexpected(error: Exception) -> Closing:
    # The text of a defect may quote anything, so show only the name of its type.
    detail = f"unexpected {type(error).__name__}; `holdfast recover --direct PLAN` closes by name"
    return Closing(verified=False, detail=detail)


def _now() -> datetime:
    return datetime.now(UTC)


def _closing_result(row: LedgerEntry, closing: Closing, why: str) -> Recovered:
    if closing.verified:
        return _result(row, LedgerState.CLOSED, f"closed from here and seen to be off: {why}")
    return _result(row, LedgerState.UNVERIFIED, f"not verified: {closing.detail}")


def unverified(row: LedgerEntry, why: str) -> Recovered:
    """Return the result for a row that could not be dealt with."""
    return _result(row, LedgerState.UNVERIFIED, f"not verified: {why}")


def _result(row: LedgerEntry, state: LedgerState, done: str) -> Recovered:
    return Recovered.model_validate(row.model_dump() | {"was": row.state, "state": state, "done": done})


async def chosen_rows(tools: Toolbox, execution_id: int | None) -> list[LedgerEntry]:
    """Return the unsettled rows of all executions, or of one.

    Raises:
        HoldfastError: NOT_FOUND for an unknown execution.
    """
    if execution_id is None:
        return await tools.store.ledger.unsettled()
    try:
        await tools.store.executions.row(execution_id)
    except HoldfastError as error:
        if error.code is not ErrorCode.STORE_CONFLICT:
            raise  # A damaged record is reported at the end. Its rows in the ledger suffice for closing.
    return [row for row in await tools.store.ledger.of(execution_id) if row.state not in SETTLED]


async def under_way_rows(runs: RunDirectory, rows: Sequence[LedgerEntry]) -> list[LedgerEntry]:
    """Return the rows of running runs, which close everything by themselves."""
    parents = dict.fromkeys((row.parent_workflow_id, row.parent_run_id) for row in rows)
    running = {parent for parent in parents if await runs.is_running(*parent)}
    return [row for row in rows if (row.parent_workflow_id, row.parent_run_id) in running]


async def recover_each(recoverer: Recoverer, rows: Sequence[LedgerEntry]) -> list[Recovered]:
    """Recover every execution that has one of these rows, all at once.

    Raises:
        HoldfastError: one of `GONE`. Trouble with one execution alone is in its results.
    """
    by_execution = groupby(sorted(rows, key=lambda row: row.execution_id), key=lambda row: row.execution_id)
    groups = [list(group) for _, group in by_execution]
    found: list[Recovered] = []
    ends = await asyncio.gather(*(recoverer.recover(group) for group in groups), return_exceptions=True)
    for group, end in zip(groups, ends, strict=True):
        if isinstance(end, HoldfastError) and end.code not in GONE:
            found += [unverified(row, str(end)) for row in group]
        elif isinstance(end, BaseException):
            raise end
        else:
            found += end
    return found
