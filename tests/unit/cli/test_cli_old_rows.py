"""Runs of the original orchestrator, as `list` and `status` show them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import text

from clients.store.engine import writing
from clients.store.store import Store
from domain.plans.canonical import canonical_json
from domain.plans.plan import Plan
from domain.resilience.kind import KIND
from domain.resilience.model import NewExecution, OldPhase
from domain.timing import Timing
from tests.support.cli.stored import invoke
from tests.support.cli.terminal import plan_document
from tests.support.store.template import put_database


@pytest.fixture
async def two_old_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store with two old runs, and no Temporal server."""
    url = put_database(tmp_path / "holdfast.db")
    store = await Store.open(url)
    for phase, state in ((OldPhase.INIT, "running"), (OldPhase.RECORDING_READY, "failed")):
        plan = Plan.model_validate(plan_document(state))
        new = NewExecution(plan_json=canonical_json(plan), workflow_id=KIND.workflow_id(state), run_id=state)
        run = await store.executions.create(new, plan, Timing())
        change = "UPDATE task_execution SET status = :phase, run_status = :state WHERE id = :id"
        async with writing(store.engine) as work:
            await work.execute(text(change), {"phase": phase.value, "state": state, "id": run.execution_id})
    await store.close()
    monkeypatch.setenv("HOLDFAST_DATABASE_URL", url)
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")


async def said(*arguments: str) -> str:
    result = await invoke(*arguments)
    assert result.exit_code == 0, result.output
    return str(result.output)


@pytest.mark.usefixtures("two_old_runs")
async def test_old_phases_are_shown() -> None:
    """In the list, as JSON, and in the status of a run."""
    listed = await said("list")
    assert "running, INIT" in listed
    facts = json.loads(await said("list", "--json"))
    assert [row["status"] for row in facts] == ["RECORDING_READY", "INIT"]
    assert "status failed, phase RECORDING_READY" in await said("status", "failed")
