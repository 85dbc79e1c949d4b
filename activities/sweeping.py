"""The sweeper's one activity: closes what no workflow closes any more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from temporalio import activity

from activities.base import step
from activities.closing import close_fault, close_recordings, close_rules
from activities.lock import run_of, write_ending
from activities.toolbox import Subject, Toolbox
from clients.runs import RunDirectory
from clients.store.read_models import LogLevel
from workflows.contracts.errors import HoldfastError
from workflows.contracts.sweeping import SweepOrder, SweepReport
from workflows.contracts.windows import Closing, LedgerEntry, LedgerState, LedgerUpdate, WindowKind
from workflows.names import lock_workflow_id

CLOSE_ATTEMPT = timedelta(seconds=30)
"""For one row, per sweep; what is not closed then is tried again by the next one."""


class SweepActivities:
    """Walks the ledger. The third net, behind the windows and the peers' TTLs."""

    def __init__(self, tools: Toolbox, runs: RunDirectory) -> None:
        self._tools = tools
        self._runs = runs

    @activity.defn(name="sweep")
    @step
    async def sweep(self, _order: SweepOrder) -> SweepReport:
        """Cancel windows whose run is closed; close rows whose window is not running, or is overdue."""
        closed: list[str] = []
        cancelled: list[str] = []
        failed: list[str] = []
        for row in await self._tools.store.ledger_unsettled():
            try:
                if await self._abandoned(row):
                    closing = await self._close(row)
                    (closed if closing.verified else failed).append(row.window_id)
                elif not await self._runs.is_running(row.parent_workflow_id, row.parent_run_id):
                    # Its run is gone, yet nobody told it: after a reset the server does not (docs/architecture.md).
                    await self._runs.cancel(row.window_id, row.run_id)
                    cancelled.append(row.window_id)
            except HoldfastError as error:
                activity.logger.warning("could not sweep %s: %s", row.window_id, error)
                failed.append(row.window_id)
        return SweepReport(closed=closed, cancelled=cancelled, failed=failed)

    async def _abandoned(self, row: LedgerEntry) -> bool:
        if row.kind is WindowKind.LOCK and await self._runs.is_running(row.parent_workflow_id, row.parent_run_id):
            return False
        if not await self._runs.is_running(row.window_id, row.run_id):
            return True
        if row.kind is WindowKind.LOCK:
            # A lock holds nothing at the peers, and waits for windows as long as they take.
            return False
        execution = await self._tools.store.execution(row.execution_id)
        return datetime.now(UTC) > row.close_by + execution.timing.close_grace

    async def _close(self, row: LedgerEntry) -> Closing:
        subject = await self._tools.subject(row.execution_id)
        if row.kind is WindowKind.RECORDING and await self._held_by_another(subject):
            # Recordings have no names of ours: those that are on now belong to the run that holds the namespace.
            return Closing(verified=False, detail="another run holds the namespace; looked at again later")
        if row.kind is WindowKind.LOCK:
            await write_ending(self._tools, self._runs, await run_of(self._tools, row))
        closing = await close_row(self._tools, subject, row, datetime.now(UTC) + CLOSE_ATTEMPT)
        state = LedgerState.CLOSED if closing.verified else LedgerState.UNVERIFIED
        detail = f"swept: {closing.detail}" if closing.detail else "swept"
        await self._tools.store.ledger_update(
            LedgerUpdate(window_id=row.window_id, run_id=row.run_id, state=state, detail=detail)
        )
        message = f"sweeper: {row.window_id} was left {row.state}, now {state}. {closing.detail}".strip()
        await self._tools.store.log(row.execution_id, f"swept:{row.window_id}:{state}", LogLevel.WARN, message)
        return closing

    async def _held_by_another(self, subject: Subject) -> bool:
        execution = subject.execution
        holder = await self._runs.holder(lock_workflow_id(execution.environment, execution.namespace))
        return holder is not None and holder.execution_id != execution.execution_id


async def close_row(tools: Toolbox, subject: Subject, row: LedgerEntry, end: datetime) -> Closing:
    """Close whatever a ledger row stands for, by the names in it alone."""
    match row.kind:
        case WindowKind.FAULT:
            return await close_fault(tools, subject, row.peer_name, end, subject.execution.timing.settle)
        case WindowKind.RECORDING:
            return await close_recordings(tools, subject, end)
        case WindowKind.RULES:
            return await close_rules(tools, subject, subject.plan.service_names, end, subject.execution.timing.settle)
        case WindowKind.LOCK:
            return Closing(verified=True)
