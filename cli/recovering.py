"""Closing what is on by the ledger, together with whoever else closes it: never behind a window's back.

A run that is under way is asked to end, a window whose run is gone is asked to close, and both are waited for. What
then is still open is closed from here, as the sweeper does it: its window is gone or overdue, or no worker carries it
out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from activities.clocks import Deadline
from activities.recovery.active_at_peers import left_over
from activities.recovery.orphans import close_abandoned, is_overdue, quiet_from, settle
from activities.toolbox import Toolbox
from cli.attendance import Attendance
from cli.following import Say
from clients.temporal.runs import RunDirectory
from domain.base import Contract
from domain.errors import HoldfastError
from domain.executions.windows import SETTLED, Closing, LedgerEntry, LedgerState, WindowKind
from domain.names import FAULT_PREFIX, base36

BY = "recover"
LOOK_EVERY = 0.5
"""Seconds between two looks at a window."""


class Recovered(Contract):
    """What became of one row of the ledger."""

    window_id: str
    run_id: str
    execution_id: int
    kind: WindowKind
    service: str
    peer_name: str
    was: LedgerState
    state: LedgerState
    done: str
    """What was done about it, and what could not be verified."""

    @property
    def verified(self) -> bool:
        """Whether it is known to be off."""
        return self.state in SETTLED


class Recoverer:
    """Closes executions; one at a time, because windows of one know of each other."""

    def __init__(self, tools: Toolbox, runs: RunDirectory, say: Say, within: timedelta) -> None:
        """`within` bounds the closing of one row from here; windows have their own time."""
        self._tools = tools
        self._runs = runs
        self._say = say
        self._within = within

    async def recover(self, rows: Sequence[LedgerEntry]) -> list[Recovered]:
        """Close the unsettled rows of one execution; what became of each, the lock last.

        Raises:
            HoldfastError: server or store cannot be asked. Trouble at a peer is in the result.
        """
        try:
            await self._ask_to_end(rows)
        except HoldfastError:
            raise
        except Exception as error:
            self._say(f"{rows[0].parent_workflow_id} could not be asked to end: unexpected {type(error).__name__}")
        windows = [row for row in rows if row.kind is not WindowKind.LOCK]
        locks = [row for row in rows if row.kind is WindowKind.LOCK]
        found = list(await asyncio.gather(*(self._window(row) for row in windows)))
        for lock in locks:
            found.append(await self._lock(lock, verified=all(one.verified for one in found)))
        return found

    async def _ask_to_end(self, rows: Sequence[LedgerEntry]) -> None:
        for workflow_id, run_id in dict.fromkeys((row.parent_workflow_id, row.parent_run_id) for row in rows):
            if await self._runs.is_running(workflow_id, run_id):
                self._say(f"{workflow_id} is under way: asking it to end, and waiting for its windows")
                await self._runs.cancel(workflow_id, run_id)
                continue
            for row in rows:
                # The lock ends by itself when its run has; a cancel would tell it nothing new.
                if row.kind is not WindowKind.LOCK and await self._runs.is_running(row.window_id, row.run_id):
                    self._say(f"{row.window_id} still runs, its run does not: asking it to close, and waiting for it")
                    await self._runs.cancel(row.window_id, row.run_id)

    async def _window(self, row: LedgerEntry) -> Recovered:
        try:
            return await self._window_closed(row)
        except HoldfastError:
            raise
        except Exception as error:
            return _closed(row, _unexpected(error), "")

    async def _window_closed(self, row: LedgerEntry) -> Recovered:
        why = await self._until_ours(row)
        now = await self._now(row)
        if now.state in SETTLED:
            return _told(row, now.state, "its window has closed it")
        try:
            closing = await self._close(now, Deadline.after(self._within))
        except HoldfastError as error:
            closing = Closing(verified=False, detail=str(error))
        return _closed(row, closing, why)

    async def _close(self, row: LedgerEntry, end: Deadline) -> Closing:
        """Close, and once more when nothing of it can come on any more, if that is before `end`."""
        quiet = await quiet_from(self._runs, await self._tools.subject_for_closing(row.execution_id), row)
        # By this machine's clock, which may be wrong: only workers get the server's time.
        until_quiet = Deadline.after(max(quiet - _now(), timedelta(0)))
        early = not until_quiet.over
        closing = await close_abandoned(self._tools, self._runs, row, end, BY, clock=_now)
        if closing.verified or not early or until_quiet >= end:
            return closing
        self._say(f"{row.window_id}: {closing.detail}")
        await asyncio.sleep(until_quiet.left.total_seconds())
        return await close_abandoned(self._tools, self._runs, row, end, BY, clock=_now)

    async def _lock(self, row: LedgerEntry, *, verified: bool) -> Recovered:
        """A lock holds nothing at a peer: it ends when its run has, after everything else of the run."""
        if not verified:
            # It looks at the peers itself until its own time is over, which nobody should have to wait for.
            now = await self._now(row)
            return _told(row, now.state, "kept: something of its run is not verified to be off")
        why = await self._until_ours(row)
        now = await self._now(row)
        if now.state in SETTLED:
            return _told(row, now.state, "it has let go of the namespace")
        try:
            closing = await self._peers_clean(row)
            if closing.verified and not await self._runs.is_running(row.parent_workflow_id, row.parent_run_id):
                closing = await close_abandoned(
                    self._tools, self._runs, now, Deadline.after(self._within), BY, clock=_now
                )
            elif closing.verified:
                await settle(self._tools, now, closing, BY)
        except HoldfastError as error:
            closing = Closing(verified=False, detail=str(error))
        except Exception as error:
            closing = _unexpected(error)
        return _closed(row, closing, why)

    async def _peers_clean(self, row: LedgerEntry) -> Closing:
        subject = await self._tools.subject_for_closing(row.execution_id)
        left = await left_over(self._tools, subject, f"{FAULT_PREFIX}{base36(row.execution_id)}-")
        return Closing(verified=not left, detail="; ".join(left))

    async def _until_ours(self, row: LedgerEntry) -> str:
        """Wait while its window, or the run that was asked to end, may still close it; why nobody does any more."""
        attendance = Attendance(self._runs)
        while await self._runs.is_running(row.window_id, row.run_id):
            watched = [(row.window_id, row.run_id), (row.parent_workflow_id, row.parent_run_id)]
            if await attendance.is_missing(watched):
                return "no worker carries it out; one that comes back closes it once more, which does no harm"
            if row.kind is not WindowKind.LOCK and await is_overdue(self._tools, row, _now):
                return "its window is overdue"
            await asyncio.sleep(LOOK_EVERY)
        return "its window is gone"

    async def _now(self, row: LedgerEntry) -> LedgerEntry:
        rows = await self._tools.store.ledger_of(row.execution_id)
        return next((one for one in rows if (one.window_id, one.run_id) == (row.window_id, row.run_id)), row)


def _unexpected(error: Exception) -> Closing:
    # The text of a defect may quote anything, so only its name is shown.
    detail = f"unexpected {type(error).__name__}; `holdfast recover --direct PLAN` closes by name"
    return Closing(verified=False, detail=detail)


def _now() -> datetime:
    return datetime.now(UTC)


def _closed(row: LedgerEntry, closing: Closing, why: str) -> Recovered:
    if closing.verified:
        return _told(row, LedgerState.CLOSED, f"closed from here and seen to be off: {why}")
    return _told(row, LedgerState.UNVERIFIED, f"not verified: {closing.detail}")


def unverified(row: LedgerEntry, why: str) -> Recovered:
    """A row that could not be dealt with."""
    return _told(row, LedgerState.UNVERIFIED, f"not verified: {why}")


def _told(row: LedgerEntry, state: LedgerState, done: str) -> Recovered:
    return Recovered.model_validate(row.model_dump() | {"was": row.state, "state": state, "done": done})
