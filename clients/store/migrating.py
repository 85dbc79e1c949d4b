"""Migration of a database to the newest schema.

It runs at every start. Two processes that start at the same time take turns.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from clients.store.engine import for_writing
from clients.store.translation import translated
from clients.store.uncancellable import uncancellable
from domain.errors import ErrorCode, HoldfastError

MIGRATIONS = Path(__file__).parent / "migrations"

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
    with translated():
        async with engine.connect() as connection:
            current = await connection.run_sync(_is_current)
        if current:
            return
        try:
            async with _turn(), for_writing(engine).begin() as connection:
                await connection.run_sync(_upgrade)
        except CommandError as error:
            raise HoldfastError(
                ErrorCode.STORE_CONFLICT,
                f"this version does not know the database's schema: {error}",
                hint="a newer version wrote it: use that version, or another database",
            ) from error


@asynccontextmanager
async def _turn() -> AsyncIterator[None]:
    while not _within_process.acquire(blocking=False):  # noqa: ASYNC110 - shared by all event loops of the process
        await asyncio.sleep(_TURN_POLL_SECONDS)
    try:
        yield
    finally:
        _within_process.release()


def _is_current(connection: Connection) -> bool:
    newest = ScriptDirectory(str(MIGRATIONS)).get_current_head()
    return MigrationContext.configure(connection).get_current_revision() == newest


def _upgrade(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})")
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
