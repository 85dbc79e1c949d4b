"""Guarantees of the store's engine: keys, durability, times, concurrent writers and translated errors."""

from __future__ import annotations

import asyncio
import gc
import random
import re
import sqlite3
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import make_url, select, text
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from clients.store import engine as engine_module
from clients.store.engine import reading, writing
from clients.store.read_models import LogLevel
from clients.store.schema.tables import Ledger
from clients.store.store import Store
from domain.errors import ErrorClass, ErrorCode, HoldfastError
from tests.support.store.samples import MOMENT, entry, exchange, new_execution

SECRET = "do-not-tell"  # noqa: S105 - what the messages are searched for


async def pragma(store: Store, name: str) -> object:
    async with reading(store.engine) as work:
        return (await work.execute(text(f"PRAGMA {name}"))).scalar_one()


async def test_every_sqlite_connection_has_the_required_pragmas(sqlite_url: str) -> None:
    """Foreign keys hold, readers do not block writers, and a commit is on the disk."""
    store = await Store.open(sqlite_url)
    assert await pragma(store, "foreign_keys") == 1
    assert await pragma(store, "journal_mode") == "wal"
    assert await pragma(store, "synchronous") == 2
    assert await pragma(store, "busy_timeout") == engine_module.BUSY_TIMEOUT_MS
    await store.close()


@pytest.mark.exhaustive
async def test_the_store_tests_also_run_on_postgresql(postgres_url: str) -> None:
    """If there is a PostgreSQL server, every test of this folder runs on it. Otherwise this test is skipped."""
    store = await Store.open(postgres_url)
    assert store.engine.dialect.name == "postgresql"
    await store.close()


async def test_times_are_read_back_in_utc_with_microseconds(store: Store, run: int) -> None:
    """A time of any zone stays the same moment."""
    elsewhere = MOMENT.astimezone(timezone(timedelta(hours=-7)))
    await store.ledger.intent(entry(run, close_by=elsewhere, created_at=None))
    [row] = await store.ledger.of(run)
    assert row.close_by == MOMENT
    assert row.close_by.tzinfo is UTC
    async with reading(store.engine) as work:
        stored = (await work.execute(select(Ledger))).scalar_one()
    assert abs(stored.created_at - datetime.now(UTC)) < timedelta(minutes=1)
    started = (await store.executions.get(run)).started_at
    assert started == (await store.executions.row(run)).started_at


async def test_a_time_without_a_zone_is_refused(store: Store, run: int) -> None:
    """Nobody knows what a naive time means, so it is not stored, now or later."""
    with pytest.raises(HoldfastError) as raised:
        await store.ledger.intent(entry(run, close_by=MOMENT.replace(tzinfo=None)))
    assert raised.value.code is ErrorCode.STORE_CONFLICT


async def test_concurrent_writers_wait_for_each_other(store: Store, other_store: Store) -> None:
    """They do not fail, even if they read before they write."""
    runs = [(await new_execution(store, f"run-{number}")).execution_id for number in range(2)]

    async def work(writer: Store, worker: int) -> None:
        for number in range(12):
            for run in runs:
                await writer.logs.add(run, f"{worker}-{number}", LogLevel.INFO, "line")
                await writer.traffic.save_captured(run, "remove", [])

    await asyncio.gather(*(work(writer, worker) for worker, writer in enumerate((store, other_store) * 3)))
    assert [len(await store.logs.of(run)) for run in runs] == [72, 72]


async def test_a_cancelled_write_blocks_no_other_writer(store: Store, other_store: Store, run: int) -> None:
    """When the cancellation arrives, the write has ended, so that a second worker can write at once."""
    chance = random.Random(7)  # noqa: S311 - repeatable
    cancelled = 0
    for number in range(300):
        task = asyncio.create_task(store.logs.add(run, f"{number}", LogLevel.INFO, "line"))
        await asyncio.sleep(chance.random() * 0.006)
        cancelled += task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await asyncio.wait_for(other_store.logs.add(run, f"after-{number}", LogLevel.INFO, "line"), 2)
    assert cancelled > 30
    assert store.engine.pool.checkedout() == 0  # type: ignore[attr-defined]


async def test_many_cancelled_writes_leave_the_store_usable(store: Store, run: int) -> None:
    """Activities cancelled by the dozen, some of them twice, lose no connection."""
    chance = random.Random(7)  # noqa: S311 - repeatable
    tasks = [asyncio.create_task(store.logs.add(run, f"{number}", LogLevel.INFO, "line")) for number in range(60)]

    async def cancel(task: asyncio.Task[None]) -> None:
        for _ in range(2):
            await asyncio.sleep(chance.random() * 0.1)
            task.cancel()

    await asyncio.gather(*map(cancel, tasks))
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(outcome is None or isinstance(outcome, asyncio.CancelledError) for outcome in ended)
    assert len(await store.logs.of(run)) >= sum(outcome is None for outcome in ended)
    await asyncio.gather(*(store.logs.add(run, f"after-{number}", LogLevel.INFO, "line") for number in range(30)))


async def test_closing_a_store_finishes_pending_writes(sqlite_url: str) -> None:
    """Their connections would otherwise stay open, and locked, as long as the process lives."""
    store = await Store.open(sqlite_url)
    behind = [asyncio.create_task(store.halting.halt(f"reason {number}", "somebody")) for number in range(3)]
    await store.close()
    assert len(await asyncio.gather(*behind)) == 3
    again = await Store.open(sqlite_url)
    halt = await again.halting.halted()
    await again.close()
    assert halt is not None
    del store, again, behind
    gc.collect()  # A connection left open warns here, and pytest turns the warning into an error.


def test_every_method_that_opens_a_transaction_is_uncancellable() -> None:
    """The decorator keeps a cancellation from interrupting the transaction."""
    opening = re.compile(r"async with (reading|writing)\(")
    method = re.compile(r"( *)(@uncancellable\n *)?async def (\w+)\(")
    for path in sorted(Path(engine_module.__file__).parent.rglob("*.py")):
        source = path.read_text()
        for opened in opening.finditer(source):
            last = list(method.finditer(source, 0, opened.start()))[-1]
            assert last[2], f"{path.name}: {last[3]}"


async def test_a_locked_database_is_reported_as_unavailable(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer that waited in vain raises STORE_UNAVAILABLE, which is retried. Readers do not wait."""
    pragmas = ("busy_timeout=50", *engine_module._PRAGMAS[1:])
    monkeypatch.setattr(engine_module, "_PRAGMAS", pragmas)
    store = await Store.open(sqlite_url)
    run = (await new_execution(store)).execution_id
    blocker = sqlite3.connect(str(make_url(sqlite_url).database), isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    with pytest.raises(HoldfastError) as raised:
        await store.logs.add(run, "key", LogLevel.INFO, "line")
    assert await store.logs.of(run) == []
    blocker.execute("ROLLBACK")
    blocker.close()
    await store.logs.add(run, "key", LogLevel.INFO, "line")
    await store.close()
    assert raised.value.code is ErrorCode.STORE_UNAVAILABLE
    assert raised.value.kind.retryable
    assert isinstance(raised.value.__cause__, SQLAlchemyError)


async def test_a_row_refused_by_a_constraint_is_a_conflict(store: Store, run: int) -> None:
    """It raises STORE_CONFLICT with its cause, and without quoting the written values."""
    twice = text("INSERT INTO task_execution SELECT * FROM task_execution WHERE id = :id AND :secret <> ''")
    with pytest.raises(HoldfastError) as raised:
        async with writing(store.engine) as work:
            await work.execute(twice, {"id": run, "secret": SECRET})
    assert raised.value.code is ErrorCode.STORE_CONFLICT
    assert raised.value.kind.error_class is ErrorClass.DATABASE
    assert isinstance(raised.value.__cause__, IntegrityError)
    assert SECRET not in str(raised.value)


async def test_a_failed_transaction_writes_nothing(store: Store, run: int) -> None:
    await store.logs.add(run, "before", LogLevel.INFO, "line")

    async def half() -> None:
        async with writing(store.engine) as work:
            await work.execute(text("DELETE FROM task_execution_log"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await half()
    assert len(await store.logs.of(run)) == 1


@pytest.mark.exhaustive
async def test_a_value_refused_by_postgresql_is_not_retried(postgres_url: str) -> None:
    """A value that does not fit its column raises STORE_CONFLICT. It does not count as an unavailable database."""
    store = await Store.open(postgres_url)
    run = (await new_execution(store)).execution_id
    for saving in (
        store.cases.save_tokens(run, {"service": "t" * 2000}),
        store.traffic.save_exchanges(run, [exchange(position=2**40)]),
    ):
        with pytest.raises(HoldfastError) as raised:
            await saving
        assert raised.value.code is ErrorCode.STORE_CONFLICT
    await store.close()


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "nonsense",
        "sqlite://",
        "sqlite+aiosqlite:///:memory:",
        "mysql://u:do-not-tell@h/d",
        "postgresql+psycopg2://u:do-not-tell@h/d",
        "postgresql://u:do-not-tell@h:port/d",
    ],
)
async def test_an_unusable_database_url_is_refused(wrong: str) -> None:
    """It raises VALIDATION_ERROR and shows what to write, without quoting a password."""
    with pytest.raises(HoldfastError, match="postgresql\\+asyncpg://") as raised:
        await Store.open(wrong)
    assert raised.value.code is ErrorCode.VALIDATION_ERROR
    assert SECRET not in str(raised.value)


async def test_a_missing_or_invalid_database_is_reported_as_unavailable(tmp_path: Path) -> None:
    """STORE_UNAVAILABLE shows where to look, without a password."""
    (tmp_path / "letter.db").write_text("Dear reader, this is not a database. " * 100)
    for url in (f"sqlite:///{tmp_path}/letter.db", f"postgresql://u:{SECRET}@127.0.0.1:1/d"):
        with pytest.raises(HoldfastError, match="HOLDFAST_DATABASE_URL") as raised:
            await Store.open(url)
        assert raised.value.code is ErrorCode.STORE_UNAVAILABLE
        assert raised.value.__cause__ is not None
        assert SECRET not in str(raised.value)


@pytest.mark.exhaustive
async def test_errors_while_connecting_are_translated(postgres_url: str) -> None:
    """The driver raises its own errors while connecting."""
    with pytest.raises(HoldfastError) as raised:
        await Store.open(make_url(postgres_url).set(database="nobody_made_this").render_as_string(hide_password=False))
    assert raised.value.code is ErrorCode.STORE_UNAVAILABLE
