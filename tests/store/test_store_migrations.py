"""The schema comes from migrations alone, all of it or nothing, whoever starts at once."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, make_url, text

from clients.store.engine import create_engine, writing
from clients.store.migrating import migrate
from clients.store.store import Store
from clients.store.tables import Row
from tests.store.samples import new_execution
from workflows.contracts.errors import ErrorCode, HoldfastError

ROOT = Path(__file__).parents[2]
OPEN = """
import asyncio, sys
from clients.store.store import Store
async def main():
    await (await Store.open(sys.argv[1])).close()
asyncio.run(main())
"""
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


async def opened_elsewhere(url: str, before: str = "") -> int:
    """Open the store in a process of its own; its exit code."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", before + OPEN, url, cwd=ROOT)
    return await process.wait()


def differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
    return list(compare_metadata(context, Row.metadata))


async def test_migrations_make_the_tables(store: Store) -> None:
    """What the migrations create is what the tables say, types and constraints included."""
    async with store.engine.connect() as connection:
        assert await connection.run_sync(differences) == []


def test_the_peers_names_are_kept() -> None:
    """Programs that read the peers' tables find their columns under the same names."""
    for table, columns in PEER_COLUMNS.items():
        assert set(columns.split()) <= set(Row.metadata.tables[table].columns.keys())


def test_every_table_has_a_natural_key() -> None:
    """No table relies on a counter alone to tell its rows apart."""
    for table in Row.metadata.tables.values():
        unique = [one for one in table.constraints if type(one).__name__ == "UniqueConstraint"]
        assert unique or len(table.primary_key.columns) > 1, table.name


async def test_processes_that_start_at_once_take_turns(url: str) -> None:
    """Several workers can be started on an empty database at the same moment."""
    assert await asyncio.gather(*(opened_elsewhere(url) for _ in range(3))) == [0] * 3
    store = await Store.open(url)
    await new_execution(store)
    await store.close()


async def test_stores_of_one_process_take_turns(url: str, tmp_path: Path) -> None:
    """Stores of the same and of different databases can be opened at once in one process."""
    others = [f"sqlite:///{tmp_path}/{number}.db" for number in range(3)]
    stores = await asyncio.gather(*(Store.open(one) for one in [url, url, *others]))
    for store in stores:
        await new_execution(store)
        await store.close()


async def test_a_start_that_was_killed_can_be_repeated(url: str) -> None:
    """A process killed in the middle of its first migration leaves nothing behind that the next one stumbles over."""
    assert await opened_elsewhere(url, DIE_HALF_WAY) == 9
    store = await Store.open(url)
    await new_execution(store)
    await store.close()


async def test_opening_again_keeps_everything(url: str) -> None:
    """A later start finds what an earlier one stored, and need not wait for whoever is writing."""
    store = await Store.open(url)
    execution = await new_execution(store)
    async with writing(store.engine):
        again = await asyncio.wait_for(Store.open(url), 2)
    assert await again.execution(execution.execution_id) == execution
    await again.close()
    await store.close()


async def test_a_newer_schema_is_refused(store: Store, url: str) -> None:
    """An older version does not work on a database that a newer one has changed, and says why."""
    async with writing(store.engine) as work:
        await work.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(HoldfastError, match="newer version") as raised:
        await Store.open(url)
    assert raised.value.code is ErrorCode.STORE_CONFLICT


async def test_a_folder_may_have_any_name(tmp_path: Path) -> None:
    """Percent signs, spaces and quotes in a path do no harm, and missing folders are made."""
    path = tmp_path / "100% 'new'" / "a b" / "holdfast.db"
    engine = create_engine(str(make_url("sqlite://").set(database=str(path))))
    await migrate(engine)
    await engine.dispose()
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("0007",)]
    connection.close()
