"""Idempotent writes: insert missing rows, or replace existing ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, TypeVar, cast

from sqlalchemy import CursorResult, Select, inspect
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel

from domain.errors import ErrorCode, HoldfastError

Table = TypeVar("Table", bound=SQLModel)

_ID_ATTEMPTS = 5


def _insert(work: AsyncSession, table: type[SQLModel]) -> Any:
    # Only the dialect in use: every command would import PostgreSQL's, which few stores need.
    dialect = import_module(f"sqlalchemy.dialects.{work.get_bind().dialect.name}")
    return dialect.insert(inspect(table).local_table)


async def insert_missing(work: AsyncSession, table: type[SQLModel], rows: Sequence[dict[str, Any]], *key: str) -> bool:
    """Insert the rows whose natural key is new; leave existing rows unchanged.

    Returns whether a single row was new. Of several rows that is not known, and the answer may be True.
    """
    if not rows:
        return False
    inserted = await work.execute(_insert(work, table).on_conflict_do_nothing(index_elements=list(key)), rows)
    return bool(cast("CursorResult[Any]", inserted).rowcount)


async def insert_or_replace(
    work: AsyncSession, table: type[SQLModel], rows: Sequence[dict[str, Any]], *key: str, where: Any = None
) -> None:
    """Insert rows, or overwrite existing rows that match `where`.

    Every given column is overwritten, except that `created_at` keeps the time of the first write. Of rows with the same
    key, the last wins.
    """
    if rows:
        statement = _insert(work, table)
        new = {name: statement.excluded[name] for name in rows[0] if name not in (*key, "created_at")}
        await work.execute(statement.on_conflict_do_update(index_elements=list(key), set_=new, where=where), rows)


async def insert_under_own_id(
    work: AsyncSession, table: type[Table], row: Callable[[], dict[str, Any]], found: Select[Table]
) -> tuple[Table, bool]:
    """Return the row that `found` selects, after inserting it if missing, and whether this call inserted it.

    `row` builds the row anew for each attempt, with a new id, in case a random id is already taken.

    Raises:
        HoldfastError: STORE_CONFLICT when no attempt finds a free id.
    """
    tried: set[int] = set()
    while True:
        existing = (await work.execute(found)).scalar_one_or_none()
        if existing is not None:
            return existing, inspect(existing).identity[0] in tried
        if len(tried) == _ID_ATTEMPTS:
            raise HoldfastError(ErrorCode.STORE_CONFLICT, f"no free id was found for a row of {table.__tablename__}")
        new = row()
        tried.add(new["id"])
        await work.execute(_insert(work, table).on_conflict_do_nothing(), new)
