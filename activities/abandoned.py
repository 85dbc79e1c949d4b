"""What no workflow closes any more: found, and closed by its ledger row alone.

For the sweeper, and for an operator with `holdfast recover`: both mean the same by «abandoned» and by «closed».
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from activities.clocks import Deadline
from activities.closing import UNKNOWN, analysis_of, close_fault, close_recordings, close_rules
from activities.endings import run_of, write_ending
from activities.toolbox import Subject, Toolbox
from clients.runs import RunDirectory
from clients.store.read_models import LogLevel, UnfinishedRun
from workflows.contracts.execution import Recovery
from workflows.contracts.windows import (
    RECORDINGS,
    SETTLED,
    Closing,
    LedgerEntry,
    LedgerState,
    LedgerUpdate,
    RunRef,
    WindowKind,
)
from workflows.logic.durations import acts_after_end, overdue_after
from workflows.names import lock_of

Clock = Callable[[], datetime]
"""The server's time, as well as it is known: windows and the server write their rows and ends by it."""


async def is_abandoned(tools: Toolbox, runs: RunDirectory, row: LedgerEntry, clock: Clock) -> bool:
    """Whether a row's window is not running any more, or is overdue."""
    if row.kind is WindowKind.LOCK and await runs.is_running(row.parent_workflow_id, row.parent_run_id):
        return False
    if not await runs.is_running(row.window_id, row.run_id):
        return True
    if row.kind is WindowKind.LOCK:
        # A lock holds nothing at the peers, and waits for windows as long as they take.
        return False
    return await is_overdue(tools, row, clock)


async def is_overdue(tools: Toolbox, row: LedgerEntry, clock: Clock) -> bool:
    """Whether a window had all its time and the grace besides. Its row's times are the server's."""
    execution = await tools.store.execution(row.execution_id)
    return clock() > overdue_after(row.close_by, execution.timing)


async def quiet_from(runs: RunDirectory, subject: Subject, row: LedgerEntry) -> datetime:
    """From when on no call of an abandoned window can switch anything on any more.

    A peer that is slow acts after its caller has gone: what is off at a look before this moment may be on after it. The
    call of an open window was answered. A window that the server does not know is counted from its beginning.
    """
    if row.kind is WindowKind.LOCK or row.state is LedgerState.OPEN:
        return datetime.min.replace(tzinfo=UTC)
    ended = await runs.closed_at(row.window_id, row.run_id) or row.began
    if ended is None:
        return datetime.min.replace(tzinfo=UTC)
    return ended + acts_after_end(row.kind, len(subject.plan.services), subject.execution.timing)


async def close_abandoned(
    tools: Toolbox,
    runs: RunDirectory,
    row: LedgerEntry,
    end: Deadline,
    by: str,
    *,
    clock: Clock,
    holder: int | None = None,
) -> Closing:
    """Close what an abandoned row stands for, until `end`, and write what came of it; `by` is who does it.

    `holder` is the execution that does it with the lock in hand, and has switched nothing on yet.

    A row whose window may still switch something on stays as it is, however off everything is now: that is not
    verified, and to be looked at again.
    """
    subject = await tools.subject_for_closing(row.execution_id)
    if row.kind in RECORDINGS and await _held_by_another(runs, subject, holder):
        # Recordings have no names of ours: those that are on now belong to the run that holds the namespace.
        return Closing(verified=False, detail="another run holds the namespace; looked at again later")
    if row.kind is WindowKind.LOCK:
        await write_ending(tools, runs, await run_of(tools, row))
    quiet = await quiet_from(runs, subject, row)
    early = quiet > clock()
    closing = await _close(tools, subject, row, end, timedelta(0) if early else subject.execution.timing.settle)
    if early and closing.verified:
        detail = f"nothing is on, but a call under way may switch it on until {quiet:%H:%M:%S}Z; looked at again then"
        await tools.notes.add(row.execution_id, f"{by}:{row.window_id}:early", LogLevel.WARN, f"{by}: {detail}")
        return Closing(verified=False, detail=detail)
    await settle(tools, row, closing, by)
    return closing


async def settle(tools: Toolbox, row: LedgerEntry, closing: Closing, by: str) -> None:
    """Write to ledger and log what became of an abandoned row."""
    state = LedgerState.CLOSED if closing.verified else LedgerState.UNVERIFIED
    detail = f"{by}: {closing.detail}" if closing.detail else by
    update = LedgerUpdate(window_id=row.window_id, run_id=row.run_id, state=state, detail=detail)
    await tools.store.ledger_update(update)
    message = f"{by}: {row.window_id} was left {row.state}, now {state}. {closing.detail}".strip()
    await tools.notes.add(row.execution_id, f"{by}:{row.window_id}:{state}", LogLevel.WARN, message)


async def write_missing_end(tools: Toolbox, runs: RunDirectory, record: UnfinishedRun) -> bool:
    """Write how a run ended that was ended before it had a lock, which else writes it; whether it was this one's turn.

    A lock writes the end before it settles its own row. So once every row is settled nobody else is going to.
    """
    if await runs.is_running(record.workflow_id, record.run_id):
        return False
    rows = await tools.store.ledger_of(record.execution_id)
    written = (await tools.store.execution_row(record.execution_id)).finished_at is not None
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
    """Close whatever a ledger row stands for, by the names in it alone, until it has been off for `settled`."""
    match row.kind:
        case WindowKind.FAULT | WindowKind.PAIR_FAULT:
            return await close_fault(tools, subject, row.peer_name, end, settled)
        case WindowKind.RECORDING:
            return await close_recordings(tools, subject, end, settled, await analysis_of(tools, subject))
        case WindowKind.CALLS:
            # A recording that a killed worker had asked for comes on when its rollout is over.
            return await close_recordings(tools, subject, end, settled, UNKNOWN)
        case WindowKind.RULES:
            return await close_rules(tools, subject, subject.plan.service_names, end, settled)
        case WindowKind.LOCK | WindowKind.PAIRS:
            return Closing(verified=True)
