"""What has ended stays as it ended: its results are checked for that in the transaction that would change them."""

from __future__ import annotations

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from clients.store.schema.tables import TaskExecution
from domain.errors import ErrorCode, HoldfastError


def under_way() -> ColumnElement[bool]:
    """Of `TaskExecution`: its end is not written."""
    return col(TaskExecution.finished_at).is_(None)


def unknown_execution(execution_id: int) -> HoldfastError:
    """The error for a run that the store does not have."""
    return HoldfastError(ErrorCode.NOT_FOUND, f"the store has no execution {execution_id}")


async def has_ended(work: AsyncSession, execution_id: int) -> bool:
    """Whether a run's end is written. It cannot be written before this transaction has ended.

    Raises:
        HoldfastError: NOT_FOUND for an unknown run.
    """
    # On PostgreSQL the row is locked against the end; on SQLite every transaction that writes is alone anyway.
    wanted = select(under_way()).where(col(TaskExecution.id) == execution_id).with_for_update(read=True)
    found = (await work.execute(wanted)).scalar_one_or_none()
    if found is None:
        raise unknown_execution(execution_id)
    return not found


async def refuse_ended(work: AsyncSession, execution_id: int) -> None:
    """See that results of a run may still change.

    Raises:
        HoldfastError: STORE_CONFLICT when it has ended, NOT_FOUND for an unknown run.
    """
    if await has_ended(work, execution_id):
        raise HoldfastError(
            ErrorCode.STORE_CONFLICT,
            f"execution {execution_id} has ended, so its results stay as they are",
            hint="start a new run",
        )
