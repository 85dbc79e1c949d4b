"""The ledger of windows: intent is written before the act, and only a verified end settles a row.

A row is a window's own: it is what a permit rests on (`activities/permit.py`), so nobody writes it for somebody else.
"""

from __future__ import annotations

from temporalio import activity

from activities.clocks import server_now
from activities.permit import caller, no_permit, writes_itself
from activities.toolbox import Subject, Toolbox
from activities.windows_of import identity, latest_close
from clients.runs import RunDirectory
from workflows.contracts.permits import Caller, Standing
from workflows.contracts.windows import LedgerEntry, LedgerState, LedgerUpdate, WindowKind
from workflows.names import WorkflowType

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
    """Writes to the ledger."""

    def __init__(self, tools: Toolbox, runs: RunDirectory) -> None:
        self._tools = tools
        self._runs = runs

    @activity.defn(name="record_intent")
    @writes_itself
    async def record_intent(self, entry: LedgerEntry) -> None:
        """Write that a window is about to open something. A repetition leaves one row.

        Only a window writes it, about itself, and only one that its execution's run has started, by the server's own
        word. When it must have closed is computed from the plan: an order can make that earlier, never later.

        Raises:
            HoldfastError: NO_PERMIT; STORE_CONFLICT for an execution that has ended.
        """
        asking = caller()
        if (entry.window_id, entry.run_id) != (asking.workflow_id, asking.run_id):
            raise no_permit(f"a window writes its own intent only, not that of {entry.window_id[:200]}")
        if asking.workflow_type != _TYPE_OF[entry.kind]:
            raise no_permit(f"a {asking.workflow_type[:100]} is no {entry.kind} window")
        subject = await self._tools.subject(entry.execution_id)
        standing = await self._tools.store.standing(entry.execution_id)
        if why := identity(entry, subject.execution, subject.plan):
            raise no_permit(why)
        if (entry.parent_workflow_id, entry.parent_run_id) != (standing.workflow_id, standing.run_id):
            raise no_permit(f"{entry.parent_workflow_id[:200]} is not the run of execution {entry.execution_id}")
        await self._refuse_foreign(entry.kind, asking, standing)
        await self._tools.store.ledger_intent(_bounded(entry, subject))

    async def _refuse_foreign(self, kind: WindowKind, asking: Caller, standing: Standing) -> None:
        """Anybody can start a workflow under a window's name; only the run can be its parent."""
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
        """Move a row forward; a settled row stays settled. A window moves its own row only.

        Raises:
            HoldfastError: NO_PERMIT.
        """
        asking = caller()
        if (update.window_id, update.run_id) != (asking.workflow_id, asking.run_id):
            raise no_permit(f"a window moves its own row only, not that of {update.window_id[:200]}")
        await self._tools.store.ledger_update(update)


def _bounded(entry: LedgerEntry, subject: Subject) -> LedgerEntry:
    """As it is written: an intent, begun by now, that must have closed when the plan says so at the latest."""
    now = server_now()
    latest = latest_close(entry.kind, subject.execution, subject.plan, now)
    began = min(entry.created_at, now) if entry.created_at is not None else None
    changes = {"state": LedgerState.INTENT, "close_by": min(entry.close_by, latest), "created_at": began}
    return entry.model_copy(update=changes)
