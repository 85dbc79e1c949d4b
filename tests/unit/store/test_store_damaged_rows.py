"""An unreadable row is reported and all other rows are read: each column of each table is damaged in turn."""

from __future__ import annotations

import ast
import json
import sqlite3
from collections.abc import Awaitable, Callable, Iterable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

import clients.store
from clients.store.engine import reading, writing
from clients.store.read_models import Arm, CheckedPair, LogLevel, StoredSamples
from clients.store.schema.tables import Row
from clients.store.store import Store
from domain.calls.model import CallRound, FallbackCall, RealAnswer, RealCase
from domain.errors import HoldfastError
from domain.executions.windows import LedgerState, ServiceStability, StabilityMoment, WindowKind
from domain.pairs.fidelity import PairFinding, PairOutcome
from tests.support.store.samples import answer, entry, exchange, measured, measurement, move, new_execution, stored_case

DAMAGE: dict[str, Any] = {
    "not JSON": "{",
    "unknown": "invented",
    "empty": "",
    "negative": -7,
    "huge": 2**63 - 1,
    "a fraction": 0.5,
    "a bad time": "2031-13-45 99:00:00",
    "long": "x" * 1_000_000,
    "control characters": "\x1b[2J\0\r\n",
    "bytes": b"\xff\xfe\x00",
    "JSON null": "null",
}
"""Values that a SQLite column can hold whatever its type. Null only where the schema allows it."""

BY_HAND = {"id", "execution_id", "task_id", "test_case_id"}
"""Keys. A damaged key means a different row, or none."""


@pytest.fixture
def url(sqlite_url: str) -> str:
    """Use SQLite only: PostgreSQL enforces the types of its columns."""
    return sqlite_url


async def filled(store: Store) -> list[int]:
    """Create two runs with rows in every table. Only rows of the first are damaged."""
    runs = []
    for name in ("run-1", "run-2"):
        run = (await new_execution(store, run_id=name)).execution_id
        runs.append(run)
        await store.logs.add(run, "key", LogLevel.INFO, "a line")
        row = entry(run)
        await store.ledger.intent(row)
        await store.ledger.update(move(row, LedgerState.OPEN))
        await store.traffic.save_exchanges(run, [exchange()])
        await store.traffic.save_propagation(run, {"reviews": True})
        await store.traffic.save_captured(run, "remove", [answer()])
        await store.cases.save(run, [stored_case(index) for index in range(3)])
        await store.cases.save_tokens(run, {"reviews": "token"})
        samples = [StoredSamples(case_index=0, arm=Arm.CASE, histogram=b"h", raw=b"r")]
        await store.results.save_group(run, [measured(0)], samples)
        found = PairFinding(case_id="s0+s1", outcome=next(iter(PairOutcome)))
        await store.pairs.save(run, CheckedPair(case_index=2, finding=found))
        await store.calls.save(
            run, [FallbackCall(service="cart", method="GET", path="/a", case_index=1, times=1, new=True, round=1)]
        )
        answers = [RealAnswer(status=500, body="no")]
        await store.calls.save_real_case(run, RealCase(case_index=1, answers=answers, measurement=measurement()))
        await store.calls.save_round(run, CallRound(round=1, complete=True))
        await store.stability.save(run, StabilityMoment.AFTER_FAULT, [ServiceStability(service="reviews", stable=True)])
    await store.halting.halt("a fire", "ada")
    return runs


async def everything(store: Store, run: int) -> dict[str, Any]:
    """Return what every reader of the store returns for a run. Only reading a single row may be refused."""
    readers: dict[str, Callable[[], Awaitable[Any]]] = {
        "log": lambda: store.logs.of(run),
        "newest": lambda: store.logs.newest(run, 5),
        "ledger": lambda: store.ledger.of(run),
        "exchanges": lambda: store.traffic.exchanges(run, "reviews"),
        "propagation": lambda: store.traffic.propagation(run),
        "captured": lambda: store.traffic.captured(run),
        "cases": lambda: store.cases.range(run, 0, 9),
        "counts": lambda: store.cases.counts(run),
        "tokens": lambda: store.cases.tokens(run),
        "results": lambda: store.results.all(run),
        "finished": lambda: store.results.finished(run, 0, 9),
        "samples": lambda: store.samples.between(run, 0, 9),
        "pairs": lambda: store.pairs.of(run),
        "recorded calls": lambda: store.traffic.recorded_calls(run),
        "calls": lambda: store.calls.all(run),
        "real cases": lambda: store.calls.real_cases(run),
        "rounds": lambda: store.calls.rounds(run),
        "stability": lambda: store.stability.of(run),
        "closing": lambda: store.executions.plan_for_closing(run),
    }
    found = {name: await read() for name, read in readers.items()}
    for name, read in {"plan": lambda: store.executions.plan(run), "row": lambda: store.executions.row(run)}.items():
        try:
            found[name] = await read()  # type: ignore[operator]
        except HoldfastError as error:
            found[name] = error.code
    return found


def columns() -> list[tuple[str, str]]:
    return [
        (name, column.name)
        for name, table in sorted(Row.metadata.tables.items())
        for column in table.columns
        if column.name not in BY_HAND and not (name == "ledger" and column.name in {"window_id", "run_id"})
    ]


def damage(folder: Path, table: str, column: str, value: Any, run: int) -> None:
    """Write a bad value the way anything but our own code would."""
    (file,) = folder.rglob("holdfast.db")
    mine = {
        "task_execution": "id = :run",
        "plan_snapshot": "1",
        "http_req_def": "1",
        "operator_flag": "1",
    }.get(table, "execution_id = :run")
    with closing(sqlite3.connect(file, timeout=20)) as database:
        database.execute("PRAGMA ignore_check_constraints = ON")
        database.execute(f"UPDATE {table} SET {column} = :value WHERE {mine}", {"value": value, "run": run})  # noqa: S608
        database.commit()


@pytest.mark.exhaustive
@pytest.mark.parametrize("table", sorted(Row.metadata.tables))
async def test_a_damaged_column_leaves_all_other_rows_legible(store: Store, tmp_path: Path, table: str) -> None:
    await damaged_in_turn(store, tmp_path, table, DAMAGE)


async def test_a_damaged_ledger_row_leaves_all_other_rows_legible(store: Store, tmp_path: Path) -> None:
    await damaged_in_turn(store, tmp_path, "ledger", {"unknown", "control characters", "bytes"})


async def damaged_in_turn(store: Store, tmp_path: Path, table: str, kinds: Iterable[str]) -> None:
    damaged, whole = await filled(store)
    # Both runs share a plan. `tests/unit/domain/plans/test_lenient_plans.py` tests how a damaged plan is read.
    shared = table in {"plan_snapshot", "http_req_def"}
    before = await everything(store, whole)
    for name, column in columns():
        if name != table:
            continue
        async with reading(store.engine) as work:
            key = "id" if table in {"task_execution", "plan_snapshot", "http_req_def", "operator_flag"} else None
            rows = await work.execute(text(f"SELECT {column}{', id' if key else ''} FROM {table}"))  # noqa: S608
            kept = next((row[0] for row in rows if not key or table != "task_execution" or row[1] == damaged), None)
        for value in (DAMAGE[kind] for kind in kinds):
            try:
                damage(tmp_path, table, column, value, damaged)
            except sqlite3.IntegrityError:
                continue
            await everything(store, damaged)
            assert shared or await everything(store, whole) == before, (column, value)
            assert [row.execution_id for row in await store.executions.unfinished()].count(whole) <= 1
            unsettled = [row.execution_id for row in await store.ledger.unsettled()]
            assert whole in unsettled, (column, value)
            assert shared or whole in [row.execution_id for row in await store.executions.newest(9)], (column, value)
            assert await store.halting.halted() is not None or column == "name", (column, value)
        with suppress(sqlite3.IntegrityError):  # Part of a key, so it could not be damaged either.
            damage(tmp_path, table, column, kept, damaged)


@pytest.mark.parametrize("column", ["kind", "state", "close_by", "created_at", "updated_at"])
async def test_a_damaged_ledger_row_can_still_be_closed_and_settled(store: Store, tmp_path: Path, column: str) -> None:
    """Closing needs its run, its kind and its name at the peer, and these stay legible."""
    run = (await new_execution(store)).execution_id
    await store.ledger.intent(entry(run))
    damage(tmp_path, "ledger", column, "invented", run)
    rows = await store.ledger.unsettled()
    assert [(row.kind, row.peer_name) for row in rows] == [(WindowKind.FAULT, "hf-1-reviews-0-1")]
    (damaged,) = rows.damaged
    assert damaged.may_be_on
    assert f"{column} is" in str(damaged)
    assert f"window_id='fault/{run}/reviews'" in str(damaged)
    await store.ledger.update(move(rows[0], LedgerState.CLOSED))
    assert await store.ledger.unsettled() == []


async def test_an_illegible_ledger_row_is_reported_as_possibly_active(store: Store, tmp_path: Path) -> None:
    run = (await new_execution(store)).execution_id
    await store.ledger.intent(entry(run, window_id="of another version", peer_name=""))
    damage(tmp_path, "ledger", "kind", "invented", run)
    rows = await store.ledger.unsettled()
    assert rows == []
    assert [damaged.may_be_on for damaged in rows.damaged] == [True]
    assert store.damaged == rows.damaged


async def test_a_plan_of_another_version_is_refused_for_starting_but_read_for_closing(store: Store) -> None:
    run = (await new_execution(store)).execution_id
    plan = await store.executions.plan(run)
    async with writing(store.engine) as work:
        await work.execute(
            text("UPDATE plan_snapshot SET canonical_json = :text"),
            {"text": json.dumps({**json.loads(plan.model_dump_json(by_alias=True)), "holdfast": 99})},
        )
    with pytest.raises(HoldfastError, match="cannot be read by this version"):
        await store.executions.plan(run)
    read = await store.executions.plan_for_closing(run)
    assert read.plan.system == plan.system
    assert (await store.executions.get(run)).services == plan.service_names
    assert "plan_snapshot" in [row.table for row in store.damaged]


async def test_a_run_without_its_plan_is_listed_and_can_be_closed(store: Store, tmp_path: Path) -> None:
    run = (await new_execution(store)).execution_id
    (file,) = tmp_path.rglob("holdfast.db")
    with closing(sqlite3.connect(file)) as database:
        database.execute("DELETE FROM plan_snapshot")
        database.commit()
    assert [row.execution_id for row in await store.executions.unfinished()] == [run]
    assert [row.plan for row in await store.executions.newest(5)] == ["unreadable"]
    assert (await store.executions.plan_for_closing(run)).trouble


def test_rows_are_decoded_only_in_decoding_py() -> None:
    """A loop over the rows of a statement anywhere else would raise for all rows at once."""
    found = []
    folder = Path(clients.store.__file__).parent
    # Migrations apply to all rows or not at all.
    for file in sorted({*folder.rglob("*.py")} - {*(folder / "migrations").rglob("*.py")}):
        for node in ast.walk(ast.parse(file.read_text())):
            loops = [node.iter] if isinstance(node, ast.For | ast.AsyncFor | ast.comprehension) else []
            found += [f"{file.name}:{loop.lineno}" for loop in loops if ".execute(" in ast.unparse(loop)]
    assert found == []
