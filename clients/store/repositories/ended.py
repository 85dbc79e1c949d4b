"""Protection of ended runs: their results no longer change.

The check runs in the same transaction that would change the results.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from clients.store.schema.tables import TaskExecution
from domain.errors import ErrorCode, HoldfastError


def under_way() -> ColumnElement[bool]:
    """Build the SQL condition that a `TaskExecution` has no recorded end."""
    return col(TaskExecution.finished_at).is_(None)


def unknown_execution(execution_id: int) -> HoldfastError:
    """Build the error for a run that is not in the store."""
    return HoldfastError(ErrorCode.NOT_FOUND, f"the store has no execution {execution_id}")


async def has_ended(work: AsyncSession, execution_id: int) -> bool:
    """Return whether a run's end is recorded.

    Nothing can record it until the caller's transaction ends.

    Raises:
        HoldfastError: NOT_FOUND for an unknown run.
    """
    # On PostgreSQL this locks the row until we commit. On SQLite a writing transaction is always alone.
    wanted = select(under_way()).where(col(TaskExecution.id) == execution_id).with_for_update(read=True)
    found = (await work.execute(wanted)).scalar_one_or_none()
    if found is None:
        raise unknown_execution(execution_id)
    return not found


async def refuse_ended(work: AsyncSession, execution_id: int) -> None:
    """Raise unless the results of a run may still change.

    Raises:
        HoldfastError: STORE_CONFLICT when it has ended, NOT_FOUND for an unknown run.
    """
    if await has_ended(work, execution_id):
        raise HoldfastError(
            ErrorCode.STORE_CONFLICT,
            f"execution {execution_id} has ended, so its results stay as they are",
            hint="start a new run",
        )
