"""Migrations alone create the schema, completely or not at all, however many processes start at once."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, make_url, text

from clients.store.engine import create_engine, writing
from clients.store.migrating import MIGRATIONS, migrate, newest_version
from clients.store.schema.tables import Row
from clients.store.store import Store
from domain.errors import ErrorCode, HoldfastError
from tests.support.paths import ROOT
from tests.support.store.processes import opened_elsewhere
from tests.support.store.samples import new_execution

DIE_HALF_WAY = """
import os
from alembic import op
op.create_index = lambda *a, **k: os._exit(9)
"""
PEER_COLUMNS = {
    "task_execution": "id task_id namespace req_def_id request_num status analyze_task_id record_id "
    "intercept_record_id started_at finished_at error_code error_msg created_at updated_at",
    "http_req_def": "id code name method url_template headers query_params body_mode content_type body_template "
    "raw_body created_at updated_at api_id",
    "task_execution_log": "id execution_id ts level message created_at",
    "test_cases": "id task_id case_type target_count faults_json created_at execution_id",
    "baggage_map": "id execution_id service_name value created_at",
    "intercept_replay_result": "id task_id execution_id service_name fault_type request_url request_method "
    "request_headers request_body response_status response_headers response_body created_at",
    "test_result": "id execution_id test_case_id p50 p95 p99 err_rate request_url request_method response_code "
    "response_body created_at",
}


def differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
    return list(compare_metadata(context, Row.metadata))


async def test_migrations_create_the_tables_of_the_models(store: Store) -> None:
    """Including types and constraints."""
    async with store.engine.connect() as connection:
        assert await connection.run_sync(differences) == []


def test_the_newest_version_is_the_one_that_migrations_lead_to() -> None:
    """A start compares with it without importing Alembic, which knows the order of migrations."""
    assert ScriptDirectory(str(MIGRATIONS)).get_heads() == [newest_version()]


async def test_opening_a_current_database_imports_no_alembic(url: str) -> None:
    """Importing it takes as long as the rest of a short command."""
    await (await Store.open(url)).close()
    script = (
        "import asyncio, sys; from clients.store.store import Store;"
        f"asyncio.run(Store.open({url!r}));"
        "print('alembic' in sys.modules)"
    )
    opening = await asyncio.create_subprocess_exec(sys.executable, "-c", script, cwd=ROOT, stdout=PIPE)
    printed, _ = await opening.communicate()
    assert printed.split() == [b"False"]


def test_the_peers_column_names_are_kept() -> None:
    """Programs that read the peers' tables find their columns under the same names."""
    for table, columns in PEER_COLUMNS.items():
        assert set(columns.split()) <= set(Row.metadata.tables[table].columns.keys())


def test_every_table_has_a_natural_key() -> None:
    """No table relies on a counter alone to distinguish its rows."""
    for table in Row.metadata.tables.values():
        unique = [constraint for constraint in table.constraints if type(constraint).__name__ == "UniqueConstraint"]
        assert unique or len(table.primary_key.columns) > 1, table.name


async def test_processes_that_start_at_once_migrate_in_turn(url: str) -> None:
    """Several workers can start on an empty database at the same moment."""
    assert await asyncio.gather(*(opened_elsewhere(url) for _ in range(3))) == [0] * 3
    store = await Store.open(url)
    await new_execution(store)
    await store.close()


async def test_stores_opened_at_once_in_one_process_migrate_in_turn(url: str, tmp_path: Path) -> None:
    """Stores of the same database and of different ones."""
    files = [f"sqlite:///{tmp_path}/{number}.db" for number in range(3)]
    stores = await asyncio.gather(*(Store.open(address) for address in [url, url, *files]))
    for store in stores:
        await new_execution(store)
        await store.close()


async def test_a_killed_first_migration_can_be_repeated(url: str) -> None:
    """It leaves nothing behind on which the next start would fail."""
    assert await opened_elsewhere(url, DIE_HALF_WAY) == 9
    store = await Store.open(url)
    await new_execution(store)
    await store.close()


async def test_opening_a_store_again_keeps_its_rows(url: str) -> None:
    """A later start need not wait for a writer."""
    store = await Store.open(url)
    execution = await new_execution(store)
    async with writing(store.engine):
        again = await asyncio.wait_for(Store.open(url), 2)
    assert await again.executions.get(execution.execution_id) == execution
    await again.close()
    await store.close()


async def test_a_newer_schema_is_refused(store: Store, url: str) -> None:
    """An older version does not work on a database that a newer one has changed, and reports why."""
    async with writing(store.engine) as work:
        await work.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(HoldfastError, match="newer version") as raised:
        await Store.open(url)
    assert raised.value.code is ErrorCode.STORE_CONFLICT


async def test_a_database_path_may_contain_any_characters(tmp_path: Path) -> None:
    """Percent signs, spaces and quotes do no harm. Missing folders are created."""
    path = tmp_path / "100% 'new'" / "a b" / "holdfast.db"
    engine = create_engine(str(make_url("sqlite://").set(database=str(path))))
    await migrate(engine)
    await engine.dispose()
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("0009",)]
    connection.close()
