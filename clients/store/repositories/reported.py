"""What to report of a change (`clients.store.changes`), read from the rows.

Nothing here may fail a write: a row that cannot be read is not counted.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from clients.store.changes import Change, ExecutionEnded, PhaseLeft, WindowEnded
from clients.store.schema.progress_tables import PhaseRow
from clients.store.schema.tables import Ledger, TaskExecution, TestResult
from domain.errors import HoldfastError
from domain.executions.windows import LedgerState, LedgerUpdate

logger = logging.getLogger("holdfast.store")


@contextmanager
def never_failing() -> Iterator[None]:
    """Log what goes wrong in the block, and go on."""
    try:
        yield
    except (HoldfastError, SQLAlchemyError, ValueError, TypeError, AttributeError) as error:
        logger.warning("a change of the store is not counted: %s", type(error).__name__)


async def phase_left(work: AsyncSession, execution_id: int) -> list[Change]:
    """Return the phase before the newest one."""
    newest = await _newest_phases(work, execution_id, 2)
    return [PhaseLeft(newest[1].phase, newest[0].entered_at - newest[1].entered_at)] if len(newest) > 1 else []


async def execution_ended(work: AsyncSession, execution_id: int) -> list[Change]:
    """Return how a run ended, and the phase that it was in."""
    row = await work.get_one(TaskExecution, execution_id)
    now = row.finished_at or row.updated_at
    by = col(TestResult.outcome), col(TestResult.verdict)
    counted = select(*by, func.count()).where(col(TestResult.execution_id) == execution_id).group_by(*by)
    groups = (await work.execute(counted)).all()
    cases = {(str(outcome), str(verdict or "")): int(number) for outcome, verdict, number in groups}
    ended = ExecutionEnded(row.kind, row.run_status, row.verdict, row.recovery or "", now - row.started_at, cases)
    last = await _newest_phases(work, execution_id, 1)
    return [*(PhaseLeft(phase.phase, now - phase.entered_at) for phase in last), ended]


async def _newest_phases(work: AsyncSession, execution_id: int, most: int) -> list[PhaseRow]:
    newest_first = col(PhaseRow.entered_at).desc(), col(PhaseRow.id).desc()
    wanted = select(PhaseRow).where(col(PhaseRow.execution_id) == execution_id).order_by(*newest_first).limit(most)
    return list((await work.execute(wanted)).scalars())


async def window_ended(work: AsyncSession, change: LedgerUpdate) -> list[Change]:
    """Return the end of a window that this update is about to be, before it is made."""
    if change.state not in (LedgerState.CLOSED, LedgerState.UNVERIFIED):
        return []
    wanted = (
        select(col(Ledger.kind), col(Ledger.state))
        .where(col(Ledger.window_id) == change.window_id, col(Ledger.run_id) == change.run_id)
        # On PostgreSQL, the second of two updates at once then sees what the first has made of the row.
        .with_for_update()
    )
    found = (await work.execute(wanted)).first()
    if found is None or found[1] in (LedgerState.CLOSED, change.state):
        return []
    return [WindowEnded(found[0], change.state.value)]
