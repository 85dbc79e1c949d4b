"""The database engine and its transactions, with the settings SQLite needs.

A writing transaction takes the write lock at its beginning (BEGIN IMMEDIATE) and waits for it there. Otherwise SQLite
would fail at once, without waiting, when a transaction that has read starts to write after another one has written.

The driver's own transactions are switched off, because they do not cover the creation of tables: a process killed in
its first migration would leave a database that no later process could finish migrating.
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
"""Longest wait for the SQLite write lock, or for a connection.

Less than the shortest `Timing.call_timeout`, so that the error is reported before the activity times out.
"""

CONNECTIONS_KEPT = 5
"""Connections that a process keeps open to PostgreSQL."""
CONNECTIONS_MORE = 10
"""Connections that it opens for a while when those are in use."""

COMMAND_TIMEOUT_SECONDS = 8
"""Timeout of one PostgreSQL statement; a connection may take half of it."""

_WRITING = {"holdfast_writing": True}
_POSTGRES_TIMEOUTS = {"timeout": COMMAND_TIMEOUT_SECONDS / 2, "command_timeout": COMMAND_TIMEOUT_SECONDS}
_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}
"""Default driver for a URL that names none."""
_PRAGMAS = (
    # First, so that the timeout covers the other settings.
    f"busy_timeout={BUSY_TIMEOUT_MS}",
    "foreign_keys=ON",
    "journal_mode=WAL",
    # An intent must be on disk before anything is switched on. WAL with NORMAL may lose it in a power failure.
    "synchronous=FULL",
)


def create_engine(url: str) -> AsyncEngine:
    """Create an engine for SQLite or PostgreSQL.

    For SQLite, this also creates the file and its folder, private to their user.

    Raises:
        HoldfastError: VALIDATION_ERROR when the URL cannot be understood or its folder cannot be created.
    """
    try:
        parsed = _parse_url(url)
        engine = create_async_engine(
            parsed,
            pool_size=CONNECTIONS_KEPT,
            max_overflow=CONNECTIONS_MORE,
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


def _parse_url(url: str) -> URL:
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
    # Text that is not UTF-8 damages one value. Without this, the driver would fail for all rows at once.
    connection.driver_connection.text_factory = _decode_text
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _decode_text(stored: bytes) -> str:
    return stored.decode("utf-8", "replace")


def _begin_sqlite(connection: Connection) -> None:
    writing = connection.get_execution_options().keys() & _WRITING.keys()
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def for_writing(engine: AsyncEngine) -> AsyncEngine:
    """Return the same engine and pool, with transactions that begin as writers.

    Each waits for the write lock when it begins.
    """
    return engine.execution_options(**_WRITING)


@asynccontextmanager
async def reading(engine: AsyncEngine) -> AsyncIterator[AsyncSession]:
    """Open a read-only transaction that sees one state of the database.

    Raises:
        HoldfastError: as `translated` does.
    """
    with translated(), _tracked(engine):
        async with AsyncSession(engine, expire_on_commit=False) as work, work.begin():
            yield work


@asynccontextmanager
async def writing(engine: AsyncEngine) -> AsyncIterator[AsyncSession]:
    """Open a transaction that writes.

    At the end of the block, all of it is committed to disk. After an exception, none of it is.

    Raises:
        HoldfastError: as `translated` does.
    """
    with translated(), _tracked(engine):
        async with AsyncSession(for_writing(engine), expire_on_commit=False) as work, work.begin():
            yield work


_under_way: WeakKeyDictionary[AsyncEngine, set[asyncio.Task[Any]]] = WeakKeyDictionary()
"""The tasks with a transaction in progress, by engine."""


@contextmanager
def _tracked(engine: AsyncEngine) -> Iterator[None]:
    task = asyncio.current_task()
    tasks = _under_way.setdefault(engine, set())
    if task is None or task in tasks:
        yield
        return
    tasks.add(task)
    try:
        yield
    finally:
        tasks.discard(task)


async def close(engine: AsyncEngine) -> None:
    """Close every connection, once all transactions in progress have ended.

    Callers that did not wait may have left transactions behind; each of these is bounded in time. A connection still in
    use when its pool is closed would never be closed, and would keep its locks until the process ends.
    """
    await _let_begin()
    while tasks := _under_way.get(engine):
        await asyncio.wait(set(tasks))
        await _let_begin()
    await engine.dispose()


async def _let_begin() -> None:
    """Let every transaction that was already requested begin."""
    # One turn of the loop each for the caller's task, the method's task and the transaction's task.
    for _ in range(3):
        await asyncio.sleep(0)
