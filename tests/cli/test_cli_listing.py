"""`holdfast list`: the runs that the store knows."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cli.listing import cells
from cli.main import cli
from clients.store.store import Store
from tests.cli.terminal import plan_document
from workflows.contracts.errors import ErrorCode
from workflows.contracts.execution import Ending, NewExecution, Phase, Recovery, RunStatus, Verdict
from workflows.contracts.plan import Plan
from workflows.contracts.timing import Timing
from workflows.logic.canonical import canonical_json
from workflows.names import run_workflow_id


async def run_of(store: Store, name: str, run_id: str) -> int:
    plan = Plan.model_validate(plan_document(name))
    new = NewExecution(plan_json=canonical_json(plan), workflow_id=run_workflow_id(name), run_id=run_id)
    return (await store.create_execution(new, plan, Timing())).execution_id


async def invoke(*arguments: str) -> Any:
    """In a thread, because the command has an event loop of its own."""
    return await asyncio.to_thread(CliRunner().invoke, cli, ["list", *arguments])


async def test_runs_are_listed_newest_first_with_what_became_of_them(store: Store) -> None:
    """Id, plan, namespace, status, verdict, recovery, when, how long; and the command that shows more."""
    first, second = await run_of(store, "shop", "1"), await run_of(store, "other", "2")
    done = Ending(
        execution_id=first, status=RunStatus.COMPLETED, phase=Phase.DONE, recovery=Recovery.VERIFIED,
        verdict=Verdict.FAILED,
    )  # fmt: skip
    await store.finish(done)
    lines = (await invoke()).output.splitlines()
    assert lines[0].split() == ["execution", "plan", "namespace", "status", "verdict", "recovery", "started", "took"]
    assert lines[2].split()[:5] == [str(second), "other", "shop", "running,", "GENERATING_CASES"]
    assert "not yet" in lines[2]
    assert lines[2].endswith("so far")
    assert lines[3].split()[:6] == [str(first), "shop", "shop", "completed", "failed", "verified"]
    assert lines[4] == "next: `holdfast status other` shows the newest one in full"
    assert [row["execution_id"] for row in json.loads((await invoke("--json", "--limit", "1")).stdout)] == [second]
    (row,) = json.loads((await invoke("--json", "--plan", "shop")).stdout)
    assert (row["execution_id"], row["status"], row["verdict"]) == (first, "DONE", "failed")
    assert row["duration_seconds"] >= 0


async def test_a_failed_run_is_listed_under_its_error(store: Store) -> None:
    """The code is what can be looked up; and how long it took is in words."""
    execution = await run_of(store, "shop", "1")
    await store.finish(
        Ending(
            execution_id=execution,
            status=RunStatus.FAILED,
            phase=Phase.FAILED,
            recovery=Recovery.UNVERIFIED,
            error_code=ErrorCode.PEER_UNREACHABLE,
        )
    )
    row = await store.execution_row(execution)
    assert cells(row, row.updated_at)[3:6] == ("PEER_UNREACHABLE", "", "unverified")
    spans = {5: "5 s", 65: "1:05 min", 3600 * 2 + 180: "2:03 h", -5: "0 s"}
    for seconds, words in spans.items():
        lasted = row.model_copy(update={"finished_at": row.started_at + timedelta(seconds=seconds)})
        assert cells(lasted, row.updated_at)[7] == words


@pytest.mark.usefixtures("store")
async def test_no_runs_are_said_to_be_none() -> None:
    """And what makes one."""
    assert (await invoke()).output.splitlines()[0] == "the store has no run"
    assert "no run of shop" in (await invoke("--plan", "shop")).output
    assert json.loads((await invoke("--json")).stdout) == []


def test_a_list_without_a_database_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty one would say that there were no runs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HOLDFAST_DATABASE_URL", raising=False)
    result = CliRunner().invoke(cli, ["list"])
    assert result.exit_code == 3
    assert "there is no database" in result.output
