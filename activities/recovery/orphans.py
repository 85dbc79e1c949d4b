"""Finding and closing orphans: windows that no workflow closes any more.

A ledger row is all that is needed for it. The sweeper and `holdfast recover` share this code, so that "abandoned" and
"closed" mean the same for both.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from activities.clocks import Deadline
from activities.recovery.closing import UNKNOWN, analysis_of, close_fault, close_recordings, close_rules
from activities.run.ended_runs import run_of, write_ending
from activities.toolbox import Subject, Toolbox
from clients.store.read_models import LogLevel, UnfinishedRun
from clients.temporal.runs import RunDirectory
from domain.executions.execution import Recovery
from domain.executions.windows import (
    RECORDINGS,
    SETTLED,
    Closing,
    LedgerEntry,
    LedgerState,
    LedgerUpdate,
    RunRef,
    WindowKind,
)
from domain.names import lock_of
from domain.plans.durations import acts_after_end, overdue_after

Clock = Callable[[], datetime]
"""Returns the server's time, as well as it is known.

Windows write their rows, and the server writes their ends, by that time.
"""


async def is_abandoned(tools: Toolbox, runs: RunDirectory, row: LedgerEntry, clock: Clock) -> bool:
    """Return whether a row's window is overdue or no longer running."""
    if row.kind is WindowKind.LOCK and await runs.is_running(row.parent_workflow_id, row.parent_run_id):
        return False
    if not await runs.is_running(row.window_id, row.run_id):
        return True
    if row.kind is WindowKind.LOCK:
        # A lock is never overdue: it holds nothing at the peers, and waits for its windows as long as they take.
        return False
    return await is_overdue(tools, row, clock)


async def is_overdue(tools: Toolbox, row: LedgerEntry, clock: Clock) -> bool:
    """Return whether a window's time and its grace period are over.

    The times in its row are the server's.
    """
    execution = await tools.store.executions.get(row.execution_id)
    return clock() > overdue_after(row.close_by, execution.timing)


async def quiet_from(runs: RunDirectory, subject: Subject, row: LedgerEntry) -> datetime:
    """Return when an abandoned window's calls can no longer switch anything on.

    A slow peer acts after its caller has gone. What is off before this moment may still come on.
    """
    if row.kind is WindowKind.LOCK or row.state is LedgerState.OPEN:
        # A lock makes no such call, and the call of an open window was answered.
        return datetime.min.replace(tzinfo=UTC)
    # For a window that the server does not know, its beginning stands for its end.
    ended = await runs.closed_at(row.window_id, row.run_id) or row.began
    if ended is None:
        return datetime.min.replace(tzinfo=UTC)
    return ended + acts_after_end(row.kind, len(subject.plan.services), subject.execution.timing)


async def close_orphan(
    tools: Toolbox,
    runs: RunDirectory,
    row: LedgerEntry,
    end: Deadline,
    by: str,
    *,
    clock: Clock,
    holder: int | None = None,
) -> Closing:
    """Close an abandoned row's window, until `end`, and write the result.

    `by` names who closes it. `holder` is the execution that closes it while holding the lock, before it has switched
    anything on itself.

    If the window may still switch something on, the row stays as it is, even if everything is off now. The result is
    then unverified, and the row is checked again later.
    """
    subject = await tools.subject_for_closing(row.execution_id)
    if row.kind in RECORDINGS and await _held_by_another(runs, subject, holder):
        # The proxy chooses the names of recordings. Those active now belong to the run that holds the namespace.
        return Closing(verified=False, detail="another run holds the namespace; checked again later")
    if row.kind is WindowKind.LOCK:
        await write_ending(tools, runs, await run_of(tools, row))
    quiet = await quiet_from(runs, subject, row)
    early = quiet > clock()
    closing = await _close(tools, subject, row, end, timedelta(0) if early else subject.execution.timing.settle)
    if early and closing.verified:
        detail = f"nothing is on, but a call under way may switch it on until {quiet:%H:%M:%S}Z; checked again then"
        await tools.notes.add(row.execution_id, f"{by}:{row.window_id}:early", LogLevel.WARN, f"{by}: {detail}")
        return Closing(verified=False, detail=detail)
    await settle(tools, row, closing, by)
    return closing


async def settle(tools: Toolbox, row: LedgerEntry, closing: Closing, by: str) -> None:
    """Write the result of an abandoned row to ledger and log."""
    state = LedgerState.CLOSED if closing.verified else LedgerState.UNVERIFIED
    detail = f"{by}: {closing.detail}" if closing.detail else by
    update = LedgerUpdate(window_id=row.window_id, run_id=row.run_id, state=state, detail=detail)
    await tools.store.ledger.update(update)
    message = f"{by}: {row.window_id} was left {row.state}, now {state}. {closing.detail}".strip()
    await tools.notes.add(row.execution_id, f"{by}:{row.window_id}:{state}", LogLevel.WARN, message)


async def write_missing_end(tools: Toolbox, runs: RunDirectory, record: UnfinishedRun) -> bool:
    """Record the end of a run that never held a lock.

    Otherwise the lock records the end of its run. Return True if this call wrote it.
    """
    if await runs.is_running(record.workflow_id, record.run_id):
        return False
    rows = await tools.store.ledger.of(record.execution_id)
    written = (await tools.store.executions.row(record.execution_id)).finished_at is not None
    # A lock writes the end before it settles its own row. So once every row is settled, nobody else will write it.
    if written or any(row.state not in SETTLED for row in rows):
        return False
    touched = any(row.kind is not WindowKind.LOCK for row in rows)
    run = RunRef(
        execution_id=record.execution_id,
        workflow_id=record.workflow_id,
        run_id=record.run_id,
        recovery=Recovery.VERIFIED if touched else Recovery.NOT_NEEDED,
    )
    await write_ending(tools, runs, run)
    return True


async def _held_by_another(runs: RunDirectory, subject: Subject, closer: int | None) -> bool:
    holder = await runs.holder(lock_of(subject.execution))
    return holder is not None and holder.execution_id not in (subject.execution.execution_id, closer)


async def _close(tools: Toolbox, subject: Subject, row: LedgerEntry, end: Deadline, settled: timedelta) -> Closing:
    """Close what a ledger row stands for, and verify it.

    It must have been off for `settled`. No workflow is needed, only the row and the stored run.
    """
    match row.kind:
        case WindowKind.FAULT | WindowKind.PAIR_FAULT:
            return await close_fault(tools, subject, row.peer_name, end, settled)
        case WindowKind.RECORDING:
            return await close_recordings(tools, subject, end, settled, await analysis_of(tools, subject))
        case WindowKind.CALLS:
            # A recording that a killed worker requested comes on only when its rollout is over.
            return await close_recordings(tools, subject, end, settled, UNKNOWN)
        case WindowKind.RULES:
            return await close_rules(tools, subject, subject.plan.service_names, end, settled)
        case WindowKind.LOCK | WindowKind.PAIRS:
            return Closing(verified=True)
