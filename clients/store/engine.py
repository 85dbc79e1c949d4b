"""The database: engine, connection settings, migrations, and the one place where its errors are translated."""

from __future__ import annotations

import asyncio
import fcntl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, event, make_url
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from workflows.contracts.errors import ErrorCode, HoldfastError

MIGRATIONS = Path(__file__).parent / "migrations"
BUSY_TIMEOUT_MS = 20_000
"""How long a writer of SQLite waits for another one."""


def create_engine(url: str) -> AsyncEngine:
    """An engine for SQLite or PostgreSQL.

    Raises:
        HoldfastError: VALIDATION_ERROR when the URL cannot be understood.
    """
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite" and parsed.database:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        engine = create_async_engine(parsed)
    except (SQLAlchemyError, ImportError, OSError) as error:
        raise HoldfastError(
            ErrorCode.VALIDATION_ERROR,
            f"HOLDFAST_DATABASE_URL cannot be used: {type(error).__name__}",
            hint="write sqlite+aiosqlite:///path or postgresql+asyncpg://...",
        ) from error
    if parsed.get_backend_name() == "sqlite":
        event.listen(engine.sync_engine, "connect", _configure_sqlite)
    return engine


def _configure_sqlite(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    for pragma in ("foreign_keys=ON", "journal_mode=WAL", "synchronous=NORMAL", f"busy_timeout={BUSY_TIMEOUT_MS}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


async def migrate(engine: AsyncEngine) -> None:
    """Bring the schema to the newest version. Two processes that start at once take turns."""
    with translated():
        if engine.url.get_backend_name() == "sqlite" and engine.url.database:
            with await asyncio.to_thread(_file_lock, Path(f"{engine.url.database}.migrating")):
                await _upgrade(engine)
        else:
            await _upgrade(engine)


async def _upgrade(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.run_sync(_run_alembic)


def _run_alembic(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7401229911)")
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _file_lock(path: Path) -> Any:
    return _Locked(path)


class _Locked:
    """An exclusive lock on a file; SQLite's own does not cover «is the table there, else create it»."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w")
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def __enter__(self) -> None:
        """Taken already."""

    def __exit__(self, *_: object) -> None:
        self._file.close()


@contextmanager
def translated() -> Iterator[None]:
    """Turn the library's errors into ours, once.

    Raises:
        HoldfastError: STORE_CONFLICT for other data under the same key, STORE_UNAVAILABLE for everything that a
            repetition may mend.
    """
    try:
        yield
    except IntegrityError as error:
        raise HoldfastError(ErrorCode.STORE_CONFLICT, f"the database refuses the row: {_first_line(error)}") from error
    except (SQLAlchemyError, OSError) as error:
        raise HoldfastError(
            ErrorCode.STORE_UNAVAILABLE,
            f"the database did not answer: {_first_line(error)}",
            hint="check HOLDFAST_DATABASE_URL and the disk",
        ) from error


def _first_line(error: BaseException) -> str:
    # Only the driver's own words: the rest of the text quotes the statement with its parameters.
    origin = getattr(error, "orig", None) or error
    return f"{type(origin).__name__}: {str(origin).splitlines()[0][:200] if str(origin) else ''}"


@asynccontextmanager
async def session(engine: AsyncEngine) -> AsyncIterator[AsyncSession]:
    """One transaction, committed at the end of the block."""
    with translated():
        async with AsyncSession(engine, expire_on_commit=False) as work, work.begin():
            yield work
