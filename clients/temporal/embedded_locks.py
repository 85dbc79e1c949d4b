"""Locks of the embedded server: on its database and choice of ports.

SQLite would not stop two servers from corrupting each other's tasks. The server's process inherits the lock on the
file, so the lock still holds if a SIGKILL of our process leaves only the server behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import tempfile
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import TextIO

from clients.local.private import opener, private_database
from domain.errors import ErrorCode, HoldfastError

LOCK_PATIENCE = 5.0
"""Seconds to wait for an ending server to release its database."""

_SQLITE = b"SQLite format 3\0"

_ANOTHER = "use --database with another file"


@contextlib.asynccontextmanager
async def turn(patience: timedelta) -> AsyncIterator[None]:
    """Allow one server start at a time per user.

    After `patience` the block runs even without the lock. Without turns, two starts could find the same port free. The
    second server would then fail and end, but the first one answers on that port, and both starts would take it for
    their own server.
    """
    path = Path(tempfile.gettempdir()) / f"holdfast-{os.getuid()}-start.lock"
    flags = os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, 0o600), "a") as file:
        await _obtain(file, patience.total_seconds())
        yield


async def _obtain(file: TextIO, patience: float) -> bool:
    """Lock a file, waiting up to `patience` seconds; true if it worked."""
    end = asyncio.get_running_loop().time() + patience
    while True:
        with contextlib.suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        if asyncio.get_running_loop().time() > end:
            return False
        await asyncio.sleep(0.1)


@contextlib.asynccontextmanager
async def database_lock(database: str) -> AsyncIterator[Callable[[str], None]]:
    """Lock the database file inside the block.

    The yielded function stores the holder's address, which the error of a second server then shows.
    """
    if not database:
        yield lambda _address: None
        return
    with _lock_file(Path(database)) as file:
        await _require_lock(file, database)
        os.set_inheritable(file.fileno(), True)
        yield lambda address: _write_holder(file, address)
        _write_holder(file, "")


def _lock_file(database: Path) -> TextIO:
    path = Path(f"{database}.lock")
    try:
        if database.exists() and not _is_sqlite(database):
            raise HoldfastError(ErrorCode.VALIDATION_ERROR, f"{database} is not a database of Temporal", hint=_ANOTHER)
        # Let the server create the file: Temporal takes an empty file for a database that already has its tables.
        private_database(database, create=False)
        return open(path, "a+", opener=opener)
    except OSError as error:
        message = f"{path} cannot be written: {error.strerror}"
        raise HoldfastError(ErrorCode.VALIDATION_ERROR, message, hint=_ANOTHER) from error


def _is_sqlite(database: Path) -> bool:
    with database.open("rb") as file:
        return file.read(len(_SQLITE)) in (b"", _SQLITE)


async def _require_lock(file: TextIO, database: str) -> None:
    if await _obtain(file, LOCK_PATIENCE):
        return
    file.seek(0)
    holder = file.read().strip()
    where = f" at {holder}" if holder else ""
    hint = (
        f"use that server: TEMPORAL_ADDRESS={holder}" if holder else "use that server, or --database with another file"
    )
    raise HoldfastError(
        ErrorCode.EXECUTION_ALREADY_RUNNING, f"an embedded server is already running{where} on {database}", hint=hint
    )


def _write_holder(file: TextIO, address: str) -> None:
    file.seek(0)
    file.truncate()
    file.write(address)
    file.flush()
