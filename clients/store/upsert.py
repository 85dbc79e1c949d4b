"""Writing so that a repetition leaves one row: insert what is missing, or replace what is there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel

CHUNK = 500
"""Rows per statement: SQLite takes a bounded number of parameters."""


def _insert(work: AsyncSession, table: type[SQLModel]) -> Any:
    name = work.get_bind().dialect.name
    return (postgresql if name == "postgresql" else sqlite).insert(table)


async def insert_missing(work: AsyncSession, table: type[SQLModel], rows: Sequence[dict[str, Any]], *key: str) -> None:
    """Insert the rows whose natural key is not there yet; leave the others as they are."""
    for start in range(0, len(rows), CHUNK):
        statement = _insert(work, table).values(list(rows[start : start + CHUNK]))
        await work.execute(statement.on_conflict_do_nothing(index_elements=list(key)))


async def insert_or_replace(
    work: AsyncSession, table: type[SQLModel], rows: Sequence[dict[str, Any]], *key: str, where: Any = None
) -> None:
    """Insert rows, or overwrite every given column of those that are there and match `where`."""
    for start in range(0, len(rows), CHUNK):
        chunk = list(rows[start : start + CHUNK])
        statement = _insert(work, table).values(chunk)
        new = {name: statement.excluded[name] for name in chunk[0] if name not in key}
        await work.execute(statement.on_conflict_do_update(index_elements=list(key), set_=new, where=where))
