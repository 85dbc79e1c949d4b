"""Brings a database to the newest schema. Run at every start; two processes that start at once take turns."""

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
from clients.store.repositories.unbroken import unbroken
from clients.store.translation import translated
from domain.errors import ErrorCode, HoldfastError

MIGRATIONS = Path(__file__).parent / "migrations"

_ADVISORY_LOCK = 7_401_229_911
"""Any number will do, as long as it stays: PostgreSQL's processes take turns by it."""
_within_process = threading.Lock()
"""Alembic keeps the migration it is running in module globals, whatever database it is for."""
_TURN_POLL_SECONDS = 0.01


@unbroken
async def migrate(engine: AsyncEngine) -> None:
    """Bring the schema to the newest version: all of it or, when the process is killed, nothing.

    Raises:
        HoldfastError: STORE_CONFLICT when the schema is newer than this code, else as `translated` says.
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
                f"the database's schema is not one that this version knows: {error}",
                hint="it was written by a newer version; use that one, or another database",
            ) from error


@asynccontextmanager
async def _turn() -> AsyncIterator[None]:
    while not _within_process.acquire(blocking=False):  # noqa: ASYNC110 - over all event loops of the process
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
