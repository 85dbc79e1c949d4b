"""A database of the first release is upgraded without loss, and its runs get rows for their requests."""

from __future__ import annotations

import json
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text

from clients.http.request_definitions import definition_of
from clients.store.engine import create_engine, for_writing, reading, writing
from clients.store.read_models import LogLevel
from clients.store.schema.tables import Row
from clients.store.store import Store
from domain.executions.execution import Ending, FinalStep, Recovery, RunStatus
from domain.measuring.steady_report import SteadyMoment, SteadyReport
from domain.pairs.fidelity import PairChoice
from domain.plans.canonical import canonical_json
from domain.resilience.model import NewExecution, Phase
from tests.support.store.processes import opened_elsewhere
from tests.support.store.samples import (
    FAST,
    answer,
    entry,
    exchange,
    measured,
    new_execution,
    shop_plan,
    skipped,
    stored_case,
    stored_request,
)

SECRET = "hunter2-correct-horse"  # noqa: S105 - what must not be stored again
Old = tuple[list[int], dict[str, list[Any]]]
WITHOUT = {
    "http_req_def",
    "operator_flag",
    "case_samples",
    "pair_check",
    "service_stability",
    "fallback_call",
    "real_case",
    "call_round",
    "execution_phase",
    "steady_check",
    "pair_choice",
}
LATER = {
    "test_result": ["late_starts", "planned", "seed", "control", "comparison", "found_by"],
    "plan_snapshot": ["kind"],
    "task_execution": ["kind", "name", "parent_execution_id"],
}
"""Columns that the first release lacked."""
LOG = {
    "key": "a line",
    "phase:ANALYZING_PATTERNS": "phase ANALYZING_PATTERNS",
    "phase:FAILED": "phase FAILED",
    "steady:before": "steady state met",
    "steady:after": "steady state not met: status 500",
    "steady:whatever": "steady state met",
    "pairs:chosen": "2 of 9 measured pairs run with two real faults, because their results are in doubt",
}
DIE_HALF_WAY = """
import os
from alembic import op
create = op.create_table
op.create_table = lambda *a, **k: (create(*a, **k), os._exit(9))
"""


async def content(store: Store) -> dict[str, list[Any]]:
    """Return all rows of all tables that the first release had."""
    async with reading(store.engine) as work:
        return {
            name: [tuple(row) for row in await work.execute(text(f"SELECT {_columns(name)} FROM {name} ORDER BY 1, 2"))]  # noqa: S608
            for name in sorted(Row.metadata.tables.keys() - WITHOUT)
        }


def _columns(table: str) -> str:
    names = [column.name for column in Row.metadata.tables[table].columns]
    return ", ".join(name for name in names if name not in LATER.get(table, []))


async def made_old(store: Store) -> None:
    """Reduce the database to that of the first release by dropping later tables and columns."""
    async with writing(store.engine) as work:
        for name in sorted(WITHOUT):
            await work.execute(text(f"DROP TABLE {name}"))
        for table, columns in LATER.items():
            for column in columns:
                await work.execute(text(f"ALTER TABLE {table} DROP COLUMN {column}"))
        await work.execute(text("UPDATE alembic_version SET version_num = '0001'"))


async def filled(store: Store) -> list[int]:
    """Create two runs of one plan and one of a second plan, with rows in every table."""
    first = (await new_execution(store, "run-1")).execution_id
    second = (await new_execution(store, "run-2")).execution_id
    plan = shop_plan(
        name="other",
        redact=["Password"],
        request={
            "method": "POST",
            "url": f"http://127.0.0.1:18080/x?password={SECRET}&a=b",
            "headers": {"Authorization": "Bearer ${env:TOKEN}", "X-A": "b"},
            "query": {"password": [SECRET], "q": ["1", "2"]},
            "json": {"deep": [{"PASSWORD": SECRET, "kept": 1}]},
            "timeout": "1.5s",
            "repeatable": True,
        },
    )
    new = NewExecution(plan_json=canonical_json(plan), workflow_id="w", run_id="run-3")
    third = (await store.executions.create(new, plan, FAST)).execution_id
    await store.cases.save(first, map(stored_case, range(3)))
    await store.cases.save_tokens(first, {"reviews": "chaos.reviews.remove=1"})
    await store.results.save(first, measured(0))
    await store.results.save_unmeasured(first, [skipped(1)])
    await store.traffic.save_exchanges(first, [exchange()])
    await store.traffic.save_propagation(first, {"reviews": True})
    await store.traffic.save_captured(first, "remove", [answer()])
    for key, message in LOG.items():
        await store.logs.add(first, key, LogLevel.INFO, message)
    await store.ledger.intent(entry(first))
    await store.executions.finish(
        Ending(execution_id=second, status=RunStatus.COMPLETED, phase=FinalStep.DONE, recovery=Recovery.VERIFIED)
    )
    return [first, second, third]


@pytest.fixture
async def old(url: str) -> Old:
    """Return the runs and rows of a database of the first release."""
    store = await Store.open(url)
    runs = await filled(store)
    before = await content(store)
    assert all(before.values()), "a table without rows would prove nothing"
    await made_old(store)
    await store.close()
    return runs, before


async def test_an_upgrade_loses_no_row(url: str, old: Old) -> None:
    """The new tables are as the code expects them."""
    runs, before = old
    store = await Store.open(url)
    assert await content(store) == before
    assert [row.execution_id for row in await store.executions.newest(9)] == runs[::-1]
    async with store.engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await store.close()


def differences(connection: Connection) -> list[object]:
    return list(compare_metadata(MigrationContext.configure(connection), Row.metadata))


async def test_old_runs_get_rows_for_their_phases_checks_and_choices(url: str, old: Old) -> None:
    """The migration reads them from the logs, which nothing else reads for this any more."""
    runs, _ = old
    store = await Store.open(url)
    assert [phase for phase, _ in await store.progress.phases(runs[0])] == [Phase.ANALYZING_PATTERNS, Phase.FAILED]
    assert await store.progress.steady(runs[0]) == {
        SteadyMoment.BEFORE: SteadyReport(met=True),
        SteadyMoment.AFTER: SteadyReport(met=False, detail="status 500"),
    }
    assert await store.progress.pair_choice(runs[0]) == PairChoice(asked_for=False, measured=9, chosen=2)
    assert (
        await store.progress.phases(runs[1]),
        await store.progress.steady(runs[1]),
        await store.progress.pair_choice(runs[1]),
    ) == (
        [],
        {},
        None,
    )
    await store.close()


async def test_old_runs_get_rows_for_their_requests(url: str, old: Old) -> None:
    """One row per request, as a new run would write it, under the id that the run has always had."""
    runs, _ = old
    store = await Store.open(url)
    first, second = [await store.executions.get(run) for run in runs[:2]]
    assert first.req_def_id == second.req_def_id
    assert await stored_request(store, first.req_def_id) == definition_of(shop_plan())
    third = await stored_request(store, (await store.executions.get(runs[2])).req_def_id)
    written = third.model_dump_json()
    assert SECRET not in written
    assert third.headers == {"Authorization": "Bearer ${env:TOKEN}", "X-A": "b"}
    assert (third.query_params["q"], third.body_template["deep"][0]["kept"]) == (["1", "2"], 1)
    assert (third.method, third.body_mode, third.timeout_us, third.repeatable) == ("POST", "JSON", 1_500_000, True)
    assert third.url_template.endswith("&a=b")
    async with reading(store.engine) as work:
        assert (await work.execute(text("SELECT count(*) FROM http_req_def"))).scalar_one() == 2
    again = await new_execution(store, "run-4")
    assert again.req_def_id == first.req_def_id
    await store.close()


@pytest.mark.parametrize(
    "request_",
    [
        {"method": "GET"},
        {"json": [1, {"a": None}], "timeout": "90s"},
        {"form": {"a": ["1"], "b": "2"}, "headers": {"content-TYPE": "application/x-www-form-urlencoded; x=y"}},
        {"json": False, "timeout": "0.001ms"},
        {"query": {"a": "b"}, "timeout": "7h"},
        {
            "url": "http://127.0.0.1/?token=${env:T}",
            "query": {"x-api-key": ["${env:A}"]},
            "json": {"cookie": "${env:C}"},
        },
    ],
    ids=lambda value: str(value)[:40],
)
async def test_an_upgraded_request_equals_the_row_of_a_new_run(url: str, request_: dict[str, Any]) -> None:
    """If nothing has to be hidden, the migration and the code agree to the letter."""
    store = await Store.open(url)
    plan = shop_plan(request={"method": "POST", "url": "http://127.0.0.1/", "repeatable": True} | request_)
    new = NewExecution(plan_json=canonical_json(plan), workflow_id="w", run_id="run")
    run = await store.executions.create(new, plan, FAST)
    written = await stored_request(store, run.req_def_id)
    await made_old(store)
    await store.close()
    store = await Store.open(url)
    assert await stored_request(store, run.req_def_id) == written == definition_of(plan)
    await store.close()


async def test_raw_bodies_of_plans_with_secrets_are_not_copied(url: str) -> None:
    """The migration does not look inside."""
    store = await Store.open(url)
    request = {"method": "POST", "url": "http://127.0.0.1/", "repeatable": True, "raw": f"password={SECRET}"}
    plan = shop_plan(request=request, redact=["password"])
    new = NewExecution(plan_json=canonical_json(plan), workflow_id="w", run_id="run")
    run = await store.executions.create(new, plan, FAST)
    await made_old(store)
    await store.close()
    store = await Store.open(url)
    found = await stored_request(store, run.req_def_id)
    assert (found.body_mode, found.raw_body) == ("RAW", "[redacted]")
    await store.close()


@pytest.mark.parametrize("broken", ["{}", "no json", "[]", '{"request": {"url": 1}}', '{"request": null}'])
async def test_an_unreadable_plan_does_not_stop_an_upgrade(url: str, old: Old, broken: str) -> None:
    """Its run gets no request row. All others do."""
    engine = create_engine(url)
    async with for_writing(engine).begin() as connection:
        await connection.execute(
            text("UPDATE plan_snapshot SET canonical_json = :text WHERE name = 'other'"), {"text": broken}
        )
    await engine.dispose()
    store = await Store.open(url)
    async with reading(store.engine) as work:
        found = (await work.execute(text("SELECT headers FROM http_req_def"))).scalars().all()
    assert len(found) == 1
    assert len(await store.executions.newest(9)) == len(old[0])
    await store.close()


async def test_a_killed_upgrade_can_be_repeated(url: str, old: Old) -> None:
    """It happens completely or not at all."""
    assert await opened_elsewhere(url, DIE_HALF_WAY) == 9
    store = await Store.open(url)
    assert await content(store) == old[1]
    assert json.loads(
        (await stored_request(store, (await store.executions.get(old[0][0])).req_def_id)).model_dump_json()
    )
    await store.close()
