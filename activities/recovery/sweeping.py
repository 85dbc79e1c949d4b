"""The sweeper's only activity, which closes what no workflow closes any more."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta
from enum import StrEnum
from typing import Any

from temporalio import activity

from activities.clocks import Deadline, server_now
from activities.permit import closes
from activities.recovery.orphans import close_orphan, is_abandoned, write_missing_end
from activities.toolbox import Toolbox
from clients.store.decoding import Rows
from clients.temporal.runs import RunDirectory
from domain.errors import HoldfastError
from domain.executions.sweeping import LONGEST_SWEEP, SweepOrder, SweepReport
from domain.executions.windows import LedgerEntry, WindowKind

CLOSE_ATTEMPT = timedelta(seconds=30)
"""Time to close one row in one sweep. The next sweep tries again."""

AT_ONCE = 8
"""Rows that are swept at once. One after the other, a few rows of a dead peer would use up the time of every sweep."""

ROW_LIMIT = timedelta(minutes=2)
"""Most time for one row. CLOSE_ATTEMPT bounds the looks at a peer, but not the calls of a look that has begun."""

WINDOWS_UNTIL = LONGEST_SWEEP / 2
"""No window is begun later than this, so that time is left for the locks."""

LOCKS_UNTIL = LONGEST_SWEEP - ROW_LIMIT
"""No lock is begun later than this, so that the sweep ends in time."""


class _Fate(StrEnum):
    """What a sweep did about a row."""

    LEFT = "left"
    POSTPONED = "postponed"
    """There was no time for it. The next sweep tries again."""
    CLOSED = "closed"
    CANCELLED = "cancelled"
    FAILED = "failed"


class SweepActivities:
    """Walks the ledger: the third net, behind windows and peers' TTLs."""

    def __init__(self, tools: Toolbox, runs: RunDirectory) -> None:
        self._tools = tools
        self._runs = runs

    @activity.defn(name="sweep")
    @closes
    async def sweep(self, _order: SweepOrder) -> SweepReport:
        """Close abandoned rows, and cancel windows whose run is closed.

        A row is abandoned if its window is overdue or not running. The sweep also records the end of runs that ended
        before they held a lock, because nobody else does.
        """
        windows_until = Deadline.after(WINDOWS_UNTIL)
        locks_until = Deadline.after(LOCKS_UNTIL)
        rows = await self._tools.store.ledger.unsettled()
        _log_damaged(rows)
        locks = [row for row in rows if row.kind is WindowKind.LOCK]
        swept = await self._sweep_rows([row for row in rows if row.kind is not WindowKind.LOCK], windows_until)
        # Last, because closing a lock records the run's recovery: whether its windows are seen to be closed.
        swept += await self._sweep_rows(locks, locks_until)

        def ids(fate: _Fate) -> list[str]:
            return [row.window_id for row, met in swept if met is fate]

        if postponed := ids(_Fate.POSTPONED):
            activity.logger.warning("no time for %d rows, which are left to the next sweep", len(postponed))
        report = SweepReport(
            closed=ids(_Fate.CLOSED),
            cancelled=ids(_Fate.CANCELLED),
            failed=_damaged_of_ledger(rows) + ids(_Fate.FAILED),
            ended=await self._write_missing_ends(),
        )
        self._tools.metrics.swept()
        return report

    async def _sweep_rows(self, rows: list[LedgerEntry], until: Deadline) -> list[tuple[LedgerEntry, _Fate]]:
        """Sweep these rows, some at once. Rows that could not begin by `until` are postponed."""
        gate = asyncio.Semaphore(AT_ONCE)

        async def sweep_in_turn(row: LedgerEntry) -> tuple[LedgerEntry, _Fate]:
            async with gate:
                return row, _Fate.POSTPONED if until.over else await self._sweep_row(row)

        # In random order: when time is short, it is not always the same rows that are left for the next sweep.
        order = random.sample(rows, len(rows))
        return await asyncio.gather(*(sweep_in_turn(row) for row in order))

    async def _sweep_row(self, row: LedgerEntry) -> _Fate:
        limit = asyncio.timeout(ROW_LIMIT.total_seconds())
        try:
            async with limit:
                return await self._close_or_cancel(row)
        except Exception as error:
            why = f"not done within {ROW_LIMIT}" if limit.expired() else _describe(error)
            activity.logger.warning("could not sweep %s: %s", row.window_id, why)
            return _Fate.FAILED

    async def _close_or_cancel(self, row: LedgerEntry) -> _Fate:
        if await is_abandoned(self._tools, self._runs, row, server_now):
            end = Deadline.after(CLOSE_ATTEMPT)
            closing = await close_orphan(self._tools, self._runs, row, end, "sweeper", clock=server_now)
            return _Fate.CLOSED if closing.verified else _Fate.FAILED
        if await self._runs.is_running(row.parent_workflow_id, row.parent_run_id):
            return _Fate.LEFT
        # Its run is gone, but the server did not ask it to close, as after a reset (docs/architecture.md).
        await self._runs.cancel(row.window_id, row.run_id)
        return _Fate.CANCELLED

    async def _write_missing_ends(self) -> list[str]:
        ended = []
        records = await self._tools.store.executions.unfinished()
        _log_damaged(records)
        for record in records:
            try:
                if await write_missing_end(self._tools, self._runs, record):
                    ended.append(record.workflow_id)
            except Exception as error:
                activity.logger.warning("could not write how %s ended: %s", record.workflow_id, _describe(error))
        return ended


def _log_damaged(rows: Rows[Any]) -> None:
    for damaged in rows.damaged:
        activity.logger.error("%s", damaged)


def _damaged_of_ledger(rows: Rows[Any]) -> list[str]:
    return [f"{damaged.table}, {damaged.row}" for damaged in rows.damaged if damaged.table == "ledger"]


def _describe(error: Exception) -> str:
    # The text of a defect may quote anything, so only its name is logged.
    return str(error) if isinstance(error, HoldfastError) else f"unexpected {type(error).__name__}"
