"""Other runs' unsettled windows on the same places, by the ledger alone.

This is the second net, behind the lock. Two runs on one system can hold two different locks, if one was started by an
older version that named locks differently, or by a worker with other names for environments. Both write a ledger row
before either looks here. So at least one of them sees the other, whatever their locks are called.
"""

from __future__ import annotations

from activities.clocks import Deadline, server_now
from activities.recovery.orphans import close_orphan, is_abandoned
from activities.toolbox import Subject, Toolbox
from clients.temporal.runs import RunDirectory
from domain.errors import ErrorCode, HoldfastError
from domain.executions.windows import LedgerEntry
from domain.plans.environments import Named, touched

_SHOWN = 5


class OtherRuns:
    """The other runs on a run's namespace and peers."""

    def __init__(self, tools: Toolbox, runs: RunDirectory, subject: Subject, named: Named) -> None:
        self._tools = tools
        self._runs = runs
        self._subject = subject
        self._named = named

    async def unsettled(self) -> list[LedgerEntry]:
        """Return unsettled ledger rows of other runs on the same places.

        These are, or may be, active. The oldest come first.
        """
        ours = self._subject.execution.execution_id
        rows = [row for row in await self._tools.store.ledger.unsettled() if row.execution_id != ours]
        same = {number: await self._shares_a_place(number) for number in {row.execution_id for row in rows}}
        return [row for row in rows if same[row.execution_id]]

    async def still_running(self) -> list[LedgerEntry]:
        """Return the unsettled rows whose window or run is still running."""
        return [row for row in await self.unsettled() if await self._is_living(row)]

    async def raise_if_any(self) -> None:
        """Raise if any other run is, or may be, active on the same places.

        Raises:
            HoldfastError: EXECUTION_ALREADY_RUNNING, naming runs that are still running. ENVIRONMENT_NOT_CLEAN, naming
                windows of runs that are gone, whose end nobody has verified.
        """
        rows = await self.unsettled()
        living = [row for row in rows if await self._is_living(row)]
        namespace = self._subject.namespace
        if living:
            holders = sorted({f"{row.parent_workflow_id} (execution {row.execution_id})" for row in living})
            raise HoldfastError(
                ErrorCode.EXECUTION_ALREADY_RUNNING,
                f"namespace {namespace} is in use by {_listed(holders)}, under another lock",
                hint="wait for it, or start with if_busy wait or replace; nothing was touched",
            )
        if rows:
            windows = [f"{row.window_id} of execution {row.execution_id} ({row.state})" for row in rows]
            raise HoldfastError(
                ErrorCode.ENVIRONMENT_NOT_CLEAN,
                f"the ledger has windows on {namespace} that were not seen to be closed: {_listed(windows)}",
                hint="the sweeper closes them, or `holdfast recover` does now; nothing was touched",
            )

    async def close_abandoned(self, end: Deadline, by: str) -> None:
        """Close abandoned rows of other runs, as the sweeper does.

        A row that cannot be verified stays unsettled.
        """
        for row in await self.unsettled():
            if await is_abandoned(self._tools, self._runs, row, server_now):
                holder = self._subject.execution.execution_id
                await close_orphan(self._tools, self._runs, row, end, by, clock=server_now, holder=holder)

    async def _is_living(self, row: LedgerEntry) -> bool:
        return await self._runs.is_running(row.window_id, row.run_id) or await self._runs.is_running(
            row.parent_workflow_id, row.parent_run_id
        )

    async def _shares_a_place(self, execution_id: int) -> bool:
        """Return whether another run acts on any place that ours acts on.

        A run in the same namespace whose plan cannot be read counts as doing that.
        """
        record = await self._tools.store.executions.row(execution_id)
        if record.namespace != self._subject.namespace:
            return False
        if record.environment == self._subject.execution.environment:
            return True
        try:
            plan = await self._tools.store.executions.plan(execution_id)
            return not touched(plan, self._named).isdisjoint(touched(self._subject.plan, self._named))
        except ValueError:
            return True


def _listed(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
