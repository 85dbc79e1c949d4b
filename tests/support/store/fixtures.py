"""An empty database for each test: a SQLite file, and in `make test-all` also PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url

from clients.store.store import Store
from domain.executions.execution import Execution
from tests.support.store.databases import (
    SERVER_PACKAGE,
    SERVER_VARIABLE,
    fresh_database,
    has_postgres,
    migrated_template,
    postgres_server,
)
from tests.support.store.samples import new_execution
from tests.support.store.template import put_database


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str | None]:
    with postgres_server(tmp_path_factory.mktemp("postgres")) as url:
        yield url


@pytest.fixture(scope="session")
async def postgres_template(postgres: str | None) -> str:
    return await migrated_template(postgres) if postgres else ""


@pytest.fixture
async def postgres_url(
    postgres: str | None, postgres_template: str, request: pytest.FixtureRequest
) -> AsyncIterator[str]:
    if postgres is None:
        pytest.skip(f"no PostgreSQL: set {SERVER_VARIABLE} or install {SERVER_PACKAGE}")
    # Tests that open the store themselves want to see it migrated.
    template = postgres_template if "store" in request.fixturenames else ""
    async with fresh_database(postgres, template=template) as url:
        yield url


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite+aiosqlite:///{tmp_path}/new/folder/holdfast.db"


ON_POSTGRESQL = pytest.param("postgresql", marks=pytest.mark.exhaustive)


@pytest.fixture(params=["sqlite", ON_POSTGRESQL] if has_postgres() else ["sqlite"])
def url(request: pytest.FixtureRequest) -> str:
    name = "sqlite_url" if request.param == "sqlite" else "postgres_url"
    found = request.getfixturevalue(name)
    assert isinstance(found, str)
    return found


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    if url.startswith("sqlite"):
        put_database(Path(make_url(url).database or ""))
    opened = await Store.open(url)
    yield opened
    await opened.close()


@pytest.fixture
async def other_store(store: Store, url: str) -> AsyncIterator[Store]:
    """A second worker's view of the same database."""
    opened = await Store.open(url)
    yield opened
    await opened.close()


@pytest.fixture
async def execution(store: Store) -> Execution:
    return await new_execution(store)


@pytest.fixture
def run(execution: Execution) -> int:
    return execution.execution_id
