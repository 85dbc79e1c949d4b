"""The engine and its transactions. SQLite is told to keep promises that it keeps only when told.

A transaction that writes says so at its beginning and waits its turn there (BEGIN IMMEDIATE): SQLite would otherwise
refuse at once, without waiting, when one that has read begins to write after another has written. The driver's own
transactions are switched off, because they leave out the creation of tables: a process killed in its first migration
would leave a database that no later one could finish.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import URL, Connection, event, make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from clients.local.private import private_database
from clients.store.translation import translated
from domain.errors import ErrorCode, HoldfastError

BUSY_TIMEOUT_MS = 5_000
"""How long a writer of SQLite waits for another one, and anybody for a free connection: less than the shortest
`Timing.call_timeout`, so that the error is told before the activity is given up."""

COMMAND_TIMEOUT_SECONDS = 8
"""How long PostgreSQL may take for one statement, and half of it for a connection."""

_WRITING = {"holdfast_writing": True}
_POSTGRES_TIMEOUTS = {"timeout": COMMAND_TIMEOUT_SECONDS / 2, "command_timeout": COMMAND_TIMEOUT_SECONDS}
_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}
"""What a URL without a driver means."""
_PRAGMAS = (
    # First, so that it holds for the others.
    f"busy_timeout={BUSY_TIMEOUT_MS}",
    "foreign_keys=ON",
    "journal_mode=WAL",
    # An intent must be on the disk before anything is switched on: WAL with NORMAL may forget it when power fails.
    "synchronous=FULL",
)


def create_engine(url: str) -> AsyncEngine:
    """An engine for SQLite or PostgreSQL; creates the folder of a SQLite file.

    Raises:
        HoldfastError: VALIDATION_ERROR when the URL cannot be understood or its folder cannot be made.
    """
    try:
        parsed = _understand(url)
        engine = create_async_engine(
            parsed,
            pool_timeout=BUSY_TIMEOUT_MS / 1000,
            pool_pre_ping=not _is_sqlite(parsed),
            connect_args={} if _is_sqlite(parsed) else _POSTGRES_TIMEOUTS,
        )
    except (SQLAlchemyError, ImportError, OSError, ValueError) as error:
        raise HoldfastError(
            ErrorCode.VALIDATION_ERROR,
            f"HOLDFAST_DATABASE_URL cannot be used: {type(error).__name__}",
            hint="write sqlite+aiosqlite:///path or postgresql+asyncpg://user@host/database",
        ) from error
    if _is_sqlite(parsed):
        event.listen(engine.sync_engine, "connect", _configure_sqlite)
        event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def _understand(url: str) -> URL:
    parsed = make_url(url)
    parsed = parsed.set(drivername=_DRIVERS.get(parsed.drivername, parsed.drivername))
    if parsed.drivername not in _DRIVERS.values():
        raise ValueError("not a database that the store can use")
    if _is_sqlite(parsed):
        if parsed.database in (None, "", ":memory:"):
            raise ValueError("a store in memory would be lost with its process")
        private_database(Path(str(parsed.database)))
    return parsed


def _is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


def _configure_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None
    # Text that is not UTF-8 is damage in one value; by itself the driver would fail for all rows at once.
    connection.driver_connection.text_factory = _text
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _text(stored: bytes) -> str:
    return stored.decode("utf-8", "replace")


def _begin_sqlite(connection: Connection) -> None:
    writing = connection.get_execution_options().keys() & _WRITING.keys()
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def for_writing(engine: AsyncEngine) -> AsyncEngine:
    """The same engine and pool; its transactions wait at their beginning for their turn to write."""
    return engine.execution_options(**_WRITING)


@asynccontextmanager
async def reading(engine: AsyncEngine) -> AsyncIterator[AsyncSession]:
    """One transaction that only reads, and sees one state of the database.

    Raises:
        HoldfastError: as `translated` says.
    """
    with translated(), _noted(engine):
        async with AsyncSession(engine, expire_on_commit=False) as work, work.begin():
            yield work


@asynccontextmanager
async def writing(engine: AsyncEngine) -> AsyncIterator[AsyncSession]:
    """One transaction that writes, committed to the disk at the end of the block, or not at all.

    Raises:
        HoldfastError: as `translated` says.
    """
    with translated(), _noted(engine):
        async with AsyncSession(for_writing(engine), expire_on_commit=False) as work, work.begin():
            yield work


_under_way: WeakKeyDictionary[AsyncEngine, set[asyncio.Task[Any]]] = WeakKeyDictionary()
"""The tasks that have a transaction of an engine under way."""


@contextmanager
def _noted(engine: AsyncEngine) -> Iterator[None]:
    task, tasks = asyncio.current_task(), _under_way.setdefault(engine, set())
    if task is None or task in tasks:
        yield
        return
    tasks.add(task)
    try:
        yield
    finally:
        tasks.discard(task)


async def close(engine: AsyncEngine) -> None:
    """Close every connection, once the transactions under way have ended: each is bounded by itself.

    Callers that did not wait for theirs may have left some. A connection that is in use when its pool is closed would
    never be closed, and keep its locks until the process ends.
    """
    await _begun()
    while tasks := _under_way.get(engine):
        await asyncio.wait(set(tasks))
        await _begun()
    await engine.dispose()


async def _begun() -> None:
    """Let everything begin that has been asked for: a caller's task, the method's, and that of its transaction."""
    for _ in range(3):
        await asyncio.sleep(0)
