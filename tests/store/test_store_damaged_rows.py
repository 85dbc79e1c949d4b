"""A row that cannot be read is named, and everything else is read: each column of each table, damaged in turn."""

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
from clients.store.store import Store
from clients.store.tables import Row
from tests.store.samples import answer, entry, exchange, measured, measurement, move, new_execution, stored_case
from workflows.contracts.calls import CallRound, FallbackCall, RealAnswer, RealCase
from workflows.contracts.errors import HoldfastError
from workflows.contracts.fidelity import PairFinding, PairOutcome
from workflows.contracts.windows import LedgerState, ServiceStability, StabilityMoment, WindowKind

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
"""What a column of SQLite can hold whatever its type; null only where the schema lets it."""

BY_HAND = {"id", "execution_id", "task_id", "test_case_id"}
"""Keys: damage in them is another row, or none."""


@pytest.fixture
def url(sqlite_url: str) -> str:
    """PostgreSQL keeps the kinds of its columns itself."""
    return sqlite_url


async def filled(store: Store) -> list[int]:
    """Two runs with something in every table; only rows of the first are damaged."""
    runs = []
    for name in ("run-1", "run-2"):
        run = (await new_execution(store, run_id=name)).execution_id
        runs.append(run)
        await store.log(run, "key", LogLevel.INFO, "a line")
        row = entry(run)
        await store.ledger_intent(row)
        await store.ledger_update(move(row, LedgerState.OPEN))
        await store.save_exchanges(run, [exchange()])
        await store.save_propagation(run, {"reviews": True})
        await store.save_captured(run, "remove", [answer()])
        await store.save_cases(run, [stored_case(index) for index in range(3)])
        await store.save_tokens(run, {"reviews": "token"})
        samples = [StoredSamples(case_index=0, arm=Arm.CASE, histogram=b"h", raw=b"r")]
        await store.save_group(run, [measured(0)], samples)
        found = PairFinding(case_id="s0+s1", outcome=next(iter(PairOutcome)))
        await store.save_pair(run, CheckedPair(case_index=2, finding=found))
        await store.save_calls(
            run, [FallbackCall(service="cart", method="GET", path="/a", case_index=1, times=1, new=True, round=1)]
        )
        answers = [RealAnswer(status=500, body="no")]
        await store.save_real_case(run, RealCase(case_index=1, answers=answers, measurement=measurement()))
        await store.save_call_round(run, CallRound(round=1, complete=True))
        await store.save_stability(run, StabilityMoment.AFTER_FAULT, [ServiceStability(service="reviews", stable=True)])
    await store.halt("a fire", "ada")
    return runs


async def everything(store: Store, run: int) -> dict[str, Any]:
    """What every reader of the store says of one run. A row asked for alone may be refused, and nothing else."""
    readers: dict[str, Callable[[], Awaitable[Any]]] = {
        "log": lambda: store.log_entries(run),
        "newest": lambda: store.newest_log_entries(run, 5),
        "ledger": lambda: store.ledger_of(run),
        "exchanges": lambda: store.exchanges(run, "reviews"),
        "propagation": lambda: store.propagation(run),
        "captured": lambda: store.captured(run),
        "cases": lambda: store.cases(run, 0, 9),
        "counts": lambda: store.case_counts(run),
        "tokens": lambda: store.tokens(run),
        "results": lambda: store.results(run),
        "finished": lambda: store.finished_cases(run, 0, 9),
        "samples": lambda: store.samples_in(run, 0, 9),
        "pairs": lambda: store.pairs(run),
        "recorded calls": lambda: store.recorded_calls(run),
        "calls": lambda: store.calls(run),
        "real cases": lambda: store.real_cases(run),
        "rounds": lambda: store.call_rounds(run),
        "stability": lambda: store.stability(run),
        "closing": lambda: store.plan_for_closing(run),
    }
    found = {name: await read() for name, read in readers.items()}
    for name, read in {"plan": lambda: store.plan(run), "row": lambda: store.execution_row(run)}.items():
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
    """As anything but our own code would write it."""
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
async def test_damage_in_any_column_leaves_all_other_rows_legible(store: Store, tmp_path: Path, table: str) -> None:
    await damaged_in_turn(store, tmp_path, table, DAMAGE)


async def test_damage_in_the_ledger_leaves_all_other_rows_legible(store: Store, tmp_path: Path) -> None:
    await damaged_in_turn(store, tmp_path, "ledger", {"unknown", "control characters", "bytes"})


async def damaged_in_turn(store: Store, tmp_path: Path, table: str, kinds: Iterable[str]) -> None:
    damaged, whole = await filled(store)
    # A plan is shared by both runs; what is read of it then is what `tests/logic/test_lenient_plans.py` tests.
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
            assert [row.execution_id for row in await store.unfinished_executions()].count(whole) <= 1
            unsettled = [row.execution_id for row in await store.ledger_unsettled()]
            assert whole in unsettled, (column, value)
            assert shared or whole in [row.execution_id for row in await store.latest_executions(9)], (column, value)
            assert await store.halted() is not None or column == "name", (column, value)
        with suppress(sqlite3.IntegrityError):  # A part of a key, which could not be damaged either.
            damage(tmp_path, table, column, kept, damaged)


@pytest.mark.parametrize("column", ["kind", "state", "close_by", "created_at", "updated_at"])
async def test_a_damaged_row_of_the_ledger_can_still_be_closed_and_settled(
    store: Store, tmp_path: Path, column: str
) -> None:
    """What closing needs is legible: whose it is, what it held, its name at the peer."""
    run = (await new_execution(store)).execution_id
    await store.ledger_intent(entry(run))
    damage(tmp_path, "ledger", column, "invented", run)
    rows = await store.ledger_unsettled()
    assert [(row.kind, row.peer_name) for row in rows] == [(WindowKind.FAULT, "hf-1-reviews-0-1")]
    (damaged,) = rows.damaged
    assert damaged.may_be_on
    assert f"{column} is" in str(damaged)
    assert f"window_id='fault/{run}/reviews'" in str(damaged)
    await store.ledger_update(move(rows[0], LedgerState.CLOSED))
    assert await store.ledger_unsettled() == []


async def test_a_row_of_the_ledger_that_says_nothing_is_named_as_what_may_be_on(store: Store, tmp_path: Path) -> None:
    run = (await new_execution(store)).execution_id
    await store.ledger_intent(entry(run, window_id="of another version", peer_name=""))
    damage(tmp_path, "ledger", "kind", "invented", run)
    rows = await store.ledger_unsettled()
    assert rows == []
    assert [damaged.may_be_on for damaged in rows.damaged] == [True]
    assert store.damaged == rows.damaged


async def test_a_plan_of_another_version_is_refused_for_starting_and_read_for_closing(store: Store) -> None:
    run = (await new_execution(store)).execution_id
    plan = await store.plan(run)
    async with writing(store.engine) as work:
        await work.execute(
            text("UPDATE plan_snapshot SET canonical_json = :text"),
            {"text": json.dumps({**json.loads(plan.model_dump_json(by_alias=True)), "holdfast": 99})},
        )
    with pytest.raises(HoldfastError, match="cannot be read by this version"):
        await store.plan(run)
    read = await store.plan_for_closing(run)
    assert read.plan.system == plan.system
    assert (await store.execution(run)).services == plan.service_names
    assert "plan_snapshot" in [row.table for row in store.damaged]


async def test_a_run_whose_plan_is_gone_is_listed_and_can_be_ended(store: Store, tmp_path: Path) -> None:
    run = (await new_execution(store)).execution_id
    (file,) = tmp_path.rglob("holdfast.db")
    with closing(sqlite3.connect(file)) as database:
        database.execute("DELETE FROM plan_snapshot")
        database.commit()
    assert [row.execution_id for row in await store.unfinished_executions()] == [run]
    assert [row.plan for row in await store.latest_executions(5)] == ["unreadable"]
    assert (await store.plan_for_closing(run)).trouble


def test_rows_are_decoded_in_one_place_only() -> None:
    """No loop over what a statement found, outside of `decoding.py`: it would raise for all rows at once."""
    found = []
    for file in sorted(Path(clients.store.__file__).parent.glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            loops = [node.iter] if isinstance(node, ast.For | ast.AsyncFor | ast.comprehension) else []
            found += [f"{file.name}:{loop.lineno}" for loop in loops if ".execute(" in ast.unparse(loop)]
    assert found == []
