"""The sweeper's only activity, which closes what no workflow closes any more."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from temporalio import activity

from activities.clocks import Deadline, server_now
from activities.permit import closes
from activities.recovery.orphans import close_orphan, is_abandoned, write_missing_end
from activities.toolbox import Toolbox
from clients.store.decoding import Rows
from clients.temporal.runs import RunDirectory
from domain.errors import HoldfastError
from domain.executions.sweeping import SweepOrder, SweepReport

CLOSE_ATTEMPT = timedelta(seconds=30)
"""Time for one row in one sweep. The next sweep tries again."""


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
        closed: list[str] = []
        cancelled: list[str] = []
        failed: list[str] = []
        rows = await self._tools.store.ledger.unsettled()
        failed += _log_damaged(rows)
        for row in rows:
            try:
                if await is_abandoned(self._tools, self._runs, row, server_now):
                    end = Deadline.after(CLOSE_ATTEMPT)
                    closing = await close_orphan(self._tools, self._runs, row, end, "sweeper", clock=server_now)
                    (closed if closing.verified else failed).append(row.window_id)
                elif not await self._runs.is_running(row.parent_workflow_id, row.parent_run_id):
                    # Its run is gone, but the server did not ask it to close, as after a reset (docs/architecture.md).
                    await self._runs.cancel(row.window_id, row.run_id)
                    cancelled.append(row.window_id)
            except Exception as error:
                activity.logger.warning("could not sweep %s: %s", row.window_id, _describe(error))
                failed.append(row.window_id)
        return SweepReport(closed=closed, cancelled=cancelled, failed=failed, ended=await self._write_missing_ends())

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


def _log_damaged(rows: Rows[Any]) -> list[str]:
    """Log unreadable rows, and return the names of those in the ledger."""
    for damaged in rows.damaged:
        activity.logger.error("%s", damaged)
    return [f"{damaged.table}, {damaged.row}" for damaged in rows.damaged if damaged.table == "ledger"]


def _describe(error: Exception) -> str:
    # The text of a defect may quote anything, so only its name is logged.
    return str(error) if isinstance(error, HoldfastError) else f"unexpected {type(error).__name__}"
