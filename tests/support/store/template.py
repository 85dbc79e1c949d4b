"""Empty databases at the newest schema, each a copy of one that was migrated once for all tests of a process.

Migrating takes longer than most tests of the store. The migrations have tests of their own, and so has what a command
does without a database.
"""

from __future__ import annotations

import asyncio
import functools
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

from clients.store.store import Store


def put_database(file: Path) -> str:
    """Put an empty database there, unless there is one already, and return its URL."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if not file.exists():
        file.write_bytes(_template())
        file.chmod(0o600)
    return _url(file)


@functools.cache
def _template() -> bytes:
    async def migrate(file: Path) -> None:
        await (await Store.open(_url(file))).close()

    # In a thread, because most callers run in an event loop.
    with TemporaryDirectory() as folder, ThreadPoolExecutor(1) as thread:
        file = Path(folder, "holdfast.db")
        thread.submit(asyncio.run, migrate(file)).result()
        return file.read_bytes()


def _url(file: Path) -> str:
    return f"sqlite+aiosqlite:///{file}"
