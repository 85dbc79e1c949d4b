"""Writing so that a repetition leaves one row: insert what is missing, or replace what is there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from sqlalchemy import Select, inspect
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel

from domain.errors import ErrorCode, HoldfastError

Table = TypeVar("Table", bound=SQLModel)

_ID_ATTEMPTS = 5


def _insert(work: AsyncSession, table: type[SQLModel]) -> Any:
    name = work.get_bind().dialect.name
    return (postgresql if name == "postgresql" else sqlite).insert(inspect(table).local_table)


async def insert_missing(work: AsyncSession, table: type[SQLModel], rows: Sequence[dict[str, Any]], *key: str) -> None:
    """Insert the rows whose natural key is not there yet; leave the others as they are."""
    if rows:
        await work.execute(_insert(work, table).on_conflict_do_nothing(index_elements=list(key)), rows)


async def insert_or_replace(
    work: AsyncSession, table: type[SQLModel], rows: Sequence[dict[str, Any]], *key: str, where: Any = None
) -> None:
    """Insert rows, or overwrite every given column of those that are there and match `where`. The last of equals wins.

    `created_at` keeps the time of the first writing.
    """
    if rows:
        statement = _insert(work, table)
        new = {name: statement.excluded[name] for name in rows[0] if name not in (*key, "created_at")}
        await work.execute(statement.on_conflict_do_update(index_elements=list(key), set_=new, where=where), rows)


async def insert_under_own_id(
    work: AsyncSession, table: type[Table], row: Callable[[], dict[str, Any]], found: Select[Table]
) -> Table:
    """The row that `found` selects, inserted if need be; `row` makes it anew when chance has picked a taken id.

    Raises:
        HoldfastError: STORE_CONFLICT when no free id was met.
    """
    for _ in range(_ID_ATTEMPTS):
        there = (await work.execute(found)).scalar_one_or_none()
        if there is not None:
            return there
        await work.execute(_insert(work, table).on_conflict_do_nothing(), row())
    there = (await work.execute(found)).scalar_one_or_none()
    if there is None:
        raise HoldfastError(ErrorCode.STORE_CONFLICT, f"no free id was found for a row of {table.__tablename__}")
    return there
