"""What no workflow closes any more: found, and closed by its ledger row alone.

For the sweeper, and for an operator with `holdfast recover`: both mean the same by «abandoned» and by «closed».
"""

from __future__ import annotations

from datetime import UTC, datetime

from activities.closing import close_fault, close_recordings, close_rules
from activities.lock import run_of, write_ending
from activities.toolbox import Subject, Toolbox
from clients.runs import RunDirectory
from clients.store.read_models import LogLevel
from workflows.contracts.windows import Closing, LedgerEntry, LedgerState, LedgerUpdate, WindowKind
from workflows.names import lock_workflow_id


async def is_abandoned(tools: Toolbox, runs: RunDirectory, row: LedgerEntry) -> bool:
    """Whether a row's window is not running any more, or is overdue."""
    if row.kind is WindowKind.LOCK and await runs.is_running(row.parent_workflow_id, row.parent_run_id):
        return False
    if not await runs.is_running(row.window_id, row.run_id):
        return True
    if row.kind is WindowKind.LOCK:
        # A lock holds nothing at the peers, and waits for windows as long as they take.
        return False
    return await is_overdue(tools, row)


async def is_overdue(tools: Toolbox, row: LedgerEntry) -> bool:
    """Whether a window had all its time and the grace besides."""
    execution = await tools.store.execution(row.execution_id)
    return datetime.now(UTC) > row.close_by + execution.timing.close_grace


async def close_abandoned(tools: Toolbox, runs: RunDirectory, row: LedgerEntry, end: datetime, by: str) -> Closing:
    """Close what an abandoned row stands for, until `end`, and write what came of it; `by` is who does it."""
    subject = await tools.subject(row.execution_id)
    if row.kind is WindowKind.RECORDING and await _held_by_another(runs, subject):
        # Recordings have no names of ours: those that are on now belong to the run that holds the namespace.
        return Closing(verified=False, detail="another run holds the namespace; looked at again later")
    if row.kind is WindowKind.LOCK:
        await write_ending(tools, runs, await run_of(tools, row))
    closing = await _close(tools, subject, row, end)
    await settle(tools, row, closing, by)
    return closing


async def settle(tools: Toolbox, row: LedgerEntry, closing: Closing, by: str) -> None:
    """Write to ledger and log what became of an abandoned row."""
    state = LedgerState.CLOSED if closing.verified else LedgerState.UNVERIFIED
    detail = f"{by}: {closing.detail}" if closing.detail else by
    update = LedgerUpdate(window_id=row.window_id, run_id=row.run_id, state=state, detail=detail)
    await tools.store.ledger_update(update)
    message = f"{by}: {row.window_id} was left {row.state}, now {state}. {closing.detail}".strip()
    await tools.store.log(row.execution_id, f"{by}:{row.window_id}:{state}", LogLevel.WARN, message)


async def _held_by_another(runs: RunDirectory, subject: Subject) -> bool:
    execution = subject.execution
    holder = await runs.holder(lock_workflow_id(execution.environment, execution.namespace))
    return holder is not None and holder.execution_id != execution.execution_id


async def _close(tools: Toolbox, subject: Subject, row: LedgerEntry, end: datetime) -> Closing:
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
