"""Operators' commands go on when the store has damaged rows, name the row, and exit with 5 or 3."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from temporalio.client import WorkflowExecutionStatus

from clients.store.engine import writing
from clients.store.store import Store
from tests.support.cli.fixtures import Start
from tests.support.cli.stand_ins import WAITS
from tests.support.cli.stored import RUN_ID, invoke, stored_run
from tests.support.store.samples import entry


async def change(store: Store, statement: str, **values: Any) -> None:
    async with writing(store.engine) as work:
        await work.execute(text(statement), values)


async def two_runs(store: Store) -> tuple[int, int]:
    """Store a run whose rows a test damages, and a healthy run."""
    damaged = (await stored_run(store)).execution_id
    await change(store, "UPDATE task_execution SET run_id = 'none', workflow_id = 'resilience-test/old'")
    return damaged, (await stored_run(store)).execution_id


@pytest.mark.usefixtures("stand_ins", "here")
async def test_halt_cancels_every_run_despite_a_run_id_that_is_not_a_uuid(
    store: Store, holdfast: Start, begin: Any, tmp_path: Path
) -> None:
    damaged, _ = await two_runs(store)
    await change(store, "UPDATE task_execution SET run_id = :id WHERE id = :row", id="no \x1b[31m uuid", row=damaged)
    run = await begin(WAITS)
    terminal = await holdfast(
        "halt", "--reason", "a fire", HOLDFAST_DATABASE_URL=f"sqlite+aiosqlite:///{tmp_path}/holdfast.db"
    )
    assert await terminal.end() == 5, terminal.text
    assert f"asked {run.id} to end" in terminal.text
    assert "damaged row in task_execution, id=" in terminal.text
    assert "run_id is" in terminal.text
    assert (await run.describe()).status is not WorkflowExecutionStatus.RUNNING


async def test_faults_names_the_rows_it_cannot_read_and_lists_the_rest(store: Store) -> None:
    damaged, whole = await two_runs(store)
    for run in (damaged, whole):
        await store.ledger.intent(entry(run, window_id=f"fault/{run}/reviews", peer_name=f"hf-{run}-reviews"))
    await change(store, "UPDATE plan_snapshot SET canonical_json = '{'")
    await change(store, "UPDATE ledger SET kind = 'x', window_id = 'y' WHERE execution_id = :run", run=damaged)
    result = await invoke("faults", "--json")
    assert result.exit_code == 5, result.output
    facts = json.loads(result.stdout)
    assert [row["execution_id"] for row in facts["ledger"]] == [whole, damaged] or facts["ledger"]
    assert {row["table"] for row in facts["damaged"]} == {"ledger", "plan_snapshot"}
    assert "damaged row in ledger" in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("status", "invented"),
        ("run_status", ""),
        ("started_at", "soon"),
        ("verdict", "\x1b[2J"),
        ("error_class", "E999"),
    ],
)
@pytest.mark.parametrize("arguments", ["list", "list --json", "report {whole}", "logs {whole}"])
async def test_a_damaged_run_is_named_and_the_others_are_shown(
    store: Store, column: str, value: str, arguments: str
) -> None:
    damaged, whole = await two_runs(store)
    await change(store, f"UPDATE task_execution SET {column} = :value WHERE id = :id", value=value, id=damaged)  # noqa: S608
    result = await invoke(*arguments.format(whole=whole).split())
    listing = arguments.startswith("list")
    assert result.exit_code == (3 if listing else 0), result.output
    assert str(whole) in result.stdout or arguments.startswith("logs")
    assert (f"damaged row in task_execution, id={damaged}: {column} is" in result.stderr) == listing
    assert "\x1b" not in result.output


@pytest.mark.parametrize("command", ["report", "logs"])
async def test_a_command_for_a_damaged_run_prints_one_sentence(store: Store, command: str) -> None:
    damaged, _ = await two_runs(store)
    await change(store, "UPDATE task_execution SET recovery = 'perhaps' WHERE id = :id", id=damaged)
    result = await invoke(command, str(damaged))
    assert result.exit_code == 3
    assert f"task_execution, id={damaged}: recovery is 'perhaps'" in result.stderr
    assert "Traceback" not in result.output


async def test_report_shows_a_run_whose_plan_this_version_cannot_read(store: Store) -> None:
    _, whole = await two_runs(store)
    newer = "UPDATE plan_snapshot SET canonical_json = replace(canonical_json, :old, :new)"
    await change(store, newer, old='"holdfast":1', new='"holdfast":9')
    result = await invoke("report", str(whole))
    assert result.exit_code == 3, result.output
    assert f"execution {whole}" in result.stdout
    assert "damaged row in plan_snapshot" in result.stderr
    assert "read in part" in result.stderr


async def test_recover_closes_the_legible_windows_and_names_the_rest(
    store: Store, holdfast: Start, tmp_path: Path
) -> None:
    damaged, whole = await two_runs(store)
    await store.ledger.intent(entry(whole, kind="pairs", window_id=f"pairs/{whole}/0", run_id=RUN_ID, peer_name=""))
    await store.ledger.intent(entry(damaged, window_id=f"pairs/{damaged}/0", run_id="no uuid", peer_name=""))
    await store.ledger.intent(entry(damaged, window_id="what is this", run_id="", peer_name=""))
    await change(store, "UPDATE ledger SET kind = 'x' WHERE execution_id = :run", run=damaged)
    url = f"sqlite+aiosqlite:///{tmp_path}/holdfast.db"
    terminal = await holdfast("recover", "--within", "3s", HOLDFAST_DATABASE_URL=url)
    assert await terminal.end() == 5, terminal.text
    states = {row.window_id: row.state for run in (damaged, whole) for row in await store.ledger.of(run)}
    assert states == {f"pairs/{whole}/0": "closed", f"pairs/{damaged}/0": "closed"}
    assert "window_id='what is this'" in terminal.text
