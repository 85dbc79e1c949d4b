"""The ledger of windows: intent is written before the act.

Only a verified end settles a row. Permits rest on these rows (`activities/permit.py`), so a window writes only its own.
"""

from __future__ import annotations

from temporalio import activity

from activities.clocks import server_now
from activities.permit import caller, no_permit, writes_itself
from activities.run.window_rows import latest_close, why_foreign_row
from activities.toolbox import Subject, Toolbox
from clients.temporal.runs import RunDirectory
from domain.executions.permit_facts import Caller, Standing
from domain.executions.windows import LedgerEntry, LedgerState, LedgerUpdate, WindowKind
from domain.names import WorkflowType

_TYPE_OF = {
    WindowKind.LOCK: WorkflowType.ENVIRONMENT_LOCK,
    WindowKind.RECORDING: WorkflowType.RECORDING_WINDOW,
    WindowKind.CALLS: WorkflowType.CALLS_WINDOW,
    WindowKind.FAULT: WorkflowType.FAULT_WINDOW,
    WindowKind.PAIR_FAULT: WorkflowType.FAULT_WINDOW,
    WindowKind.RULES: WorkflowType.RULES_WINDOW,
    WindowKind.PAIRS: WorkflowType.PAIRS_WINDOW,
}


class LedgerActivities:
    """Activities that write to the ledger."""

    def __init__(self, tools: Toolbox, runs: RunDirectory) -> None:
        self._tools = tools
        self._runs = runs

    @activity.defn(name="record_intent")
    @writes_itself
    async def record_intent(self, entry: LedgerEntry) -> None:
        """Write that a window is about to open something.

        Idempotent: a repetition leaves one row. Only a window may call it, about itself, and the server must confirm
        that the execution's run started that window.

        Raises:
            HoldfastError: NO_PERMIT. STORE_CONFLICT for an execution that has ended.
        """
        asking = caller()
        if (entry.window_id, entry.run_id) != (asking.workflow_id, asking.run_id):
            raise no_permit(f"a window may write only its own intent, not that of {entry.window_id[:200]}")
        if asking.workflow_type != _TYPE_OF[entry.kind]:
            raise no_permit(f"a {asking.workflow_type[:100]} is not a {entry.kind} window")
        subject = await self._tools.subject(entry.execution_id)
        standing = await self._tools.store.standings.of(entry.execution_id)
        if why := why_foreign_row(entry, subject.execution, subject.plan):
            raise no_permit(why)
        if (entry.parent_workflow_id, entry.parent_run_id) != (standing.workflow_id, standing.run_id):
            raise no_permit(f"{entry.parent_workflow_id[:200]} is not the run of execution {entry.execution_id}")
        await self._refuse_foreign(entry.kind, asking, standing)
        await self._tools.store.ledger.intent(_bounded(entry, subject))

    async def _refuse_foreign(self, kind: WindowKind, asking: Caller, standing: Standing) -> None:
        # Anyone can start a workflow under a window's name, but only the run can be its parent. The fault of a pair has
        # the pairs window as its parent.
        parent = await self._runs.parent_of(asking.workflow_id, asking.run_id)
        if kind is WindowKind.PAIR_FAULT:
            allowed = [(row.window_id, row.run_id) for row in standing.rows if row.kind is WindowKind.PAIRS]
        else:
            allowed = [(standing.workflow_id, standing.run_id)]
        if parent not in allowed:
            raise no_permit(f"{asking.workflow_id[:200]} was not started by execution {standing.execution_id}")

    @activity.defn(name="update_ledger")
    @writes_itself
    async def update_ledger(self, update: LedgerUpdate) -> None:
        """Move a row forward; a settled row stays settled.

        A window may only move its own row.

        Raises:
            HoldfastError: NO_PERMIT.
        """
        asking = caller()
        if (update.window_id, update.run_id) != (asking.workflow_id, asking.run_id):
            raise no_permit(f"a window may change only its own row, not that of {update.window_id[:200]}")
        await self._tools.store.ledger.update(update)


def _bounded(entry: LedgerEntry, subject: Subject) -> LedgerEntry:
    """Return the row to write: an intent that has begun by now."""
    now = server_now()
    # The plan decides when the window must have closed. The order can make that earlier, never later.
    latest = latest_close(entry.kind, subject.execution, subject.plan, now)
    began = min(entry.created_at, now) if entry.created_at is not None else None
    changes = {"state": LedgerState.INTENT, "close_by": min(entry.close_by, latest), "created_at": began}
    return entry.model_copy(update=changes)
