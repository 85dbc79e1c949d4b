"""Migration of a database to the newest schema.

It runs at every start. Two processes that start at the same time take turns.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import AsyncEngine

from clients.store.engine import for_writing
from clients.store.translation import translated
from clients.store.uncancellable import uncancellable

MIGRATIONS = Path(__file__).parent / "migrations"
_VERSION_TABLE = "alembic_version"

_ADVISORY_LOCK = 7_401_229_911
"""Lock id by which processes on PostgreSQL take turns.

Any number works, but it must never change.
"""
_within_process = threading.Lock()
"""Lock that allows one migration at a time in this process.

Alembic keeps the running migration in module globals, whatever its database.
"""
_TURN_POLL_SECONDS = 0.01


@uncancellable
async def migrate(engine: AsyncEngine) -> None:
    """Bring the schema to the newest version, completely or not at all.

    A process killed on the way leaves the schema as it was.

    Raises:
        HoldfastError: STORE_CONFLICT when the schema is newer than this code, else as `translated` does.
    """
    with translated(opening=True):
        async with engine.connect() as connection:
            current = await connection.run_sync(_is_current)
        if current:
            return
        async with _turn(), for_writing(engine).begin() as connection:
            await connection.run_sync(_upgrade)


@asynccontextmanager
async def _turn() -> AsyncIterator[None]:
    while not _within_process.acquire(blocking=False):  # noqa: ASYNC110 - shared by all event loops of the process
        await asyncio.sleep(_TURN_POLL_SECONDS)
    try:
        yield
    finally:
        _within_process.release()


def newest_version() -> str:
    """Return the newest schema's version: the number with which its migration's file name begins."""
    return max(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def _is_current(connection: Connection) -> bool:
    # Not with Alembic: importing it is slow, and nearly every start finds the schema as it should be.
    if not inspect(connection).has_table(_VERSION_TABLE):
        return False
    versions = connection.execute(text(f"SELECT version_num FROM {_VERSION_TABLE}"))  # noqa: S608 - our own name
    return list(versions.scalars()) == [newest_version()]


def _upgrade(connection: Connection) -> None:
    from clients.store.upgrading import upgrade  # noqa: PLC0415 - see there

    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})")
    upgrade(connection, str(MIGRATIONS))
