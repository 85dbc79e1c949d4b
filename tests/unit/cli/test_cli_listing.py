"""`holdfast list`: the runs in the store."""

from __future__ import annotations

import asyncio
import json
import shlex
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cli.commands.list_runs import cells
from cli.main import cli
from clients.store.engine import writing
from clients.store.schema.tables import TaskExecution
from clients.store.store import Store
from domain.errors import ErrorCode
from domain.executions.execution import Ending, FinalStep, Recovery, RunStatus, Verdict
from domain.plans.canonical import canonical_json
from domain.plans.plan import Plan
from domain.resilience.kind import KIND
from domain.resilience.model import NewExecution
from domain.timing import Timing
from tests.support.cli.terminal import plan_document


async def run_of(store: Store, name: str, run_id: str) -> int:
    plan = Plan.model_validate(plan_document(name))
    new = NewExecution(plan_json=canonical_json(plan), workflow_id=KIND.workflow_id(name), run_id=run_id)
    return (await store.executions.create(new, plan, Timing())).execution_id


async def invoke(*arguments: str) -> Any:
    """Run the command in a thread, because it has an event loop of its own."""
    return await asyncio.to_thread(CliRunner().invoke, cli, ["list", *arguments])


async def test_runs_are_listed_newest_first_with_their_outcome(store: Store) -> None:
    """Id, plan, namespace, status, verdict, recovery, start, duration; and the command that shows more."""
    first, second = await run_of(store, "shop", "1"), await run_of(store, "other", "2")
    done = Ending(
        execution_id=first, status=RunStatus.COMPLETED, phase=FinalStep.DONE, recovery=Recovery.VERIFIED,
        verdict=Verdict.FAILED,
    )  # fmt: skip
    await store.executions.finish(done)
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


async def test_the_list_shows_the_command_that_compares_two_runs_of_a_plan(store: Store) -> None:
    """The newest ended run and the one before it, the earlier first. With a single ended run there is no command."""
    ended = [await run_of(store, "shop", str(number)) for number in range(3)]
    for execution in ended[:2]:
        assert "holdfast compare" not in (await invoke()).output
        await store.executions.finish(
            Ending(execution_id=execution, status=RunStatus.COMPLETED, phase=FinalStep.DONE, recovery=Recovery.VERIFIED)
        )
    assert f"`holdfast compare {ended[0]} {ended[1]}`" in (await invoke()).output


async def test_a_failed_run_is_listed_with_its_error_code(store: Store) -> None:
    """The code is what people look up. The duration is in words."""
    execution = await run_of(store, "shop", "1")
    await store.executions.finish(
        Ending(
            execution_id=execution,
            status=RunStatus.FAILED,
            phase=FinalStep.FAILED,
            recovery=Recovery.UNVERIFIED,
            error_code=ErrorCode.PEER_UNREACHABLE,
        )
    )
    row = await store.executions.row(execution)
    assert cells(row, row.updated_at)[3:6] == ("PEER_UNREACHABLE", "", "unverified")
    spans = {5: "5 s", 65: "1:05 min", 3600 * 2 + 180: "2:03 h", -5: "0 s"}
    for seconds, words in spans.items():
        lasted = row.model_copy(update={"finished_at": row.started_at + timedelta(seconds=seconds)})
        assert cells(lasted, row.updated_at)[7] == words


@pytest.mark.usefixtures("store")
async def test_an_empty_list_is_announced_in_words() -> None:
    """With the command that starts a run."""
    assert (await invoke()).output.splitlines()[0] == "the store has no runs"
    assert "the store has no runs of shop" in (await invoke("--plan", "shop")).output
    assert json.loads((await invoke("--json")).stdout) == []


def test_a_list_without_a_database_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty list would claim that there were no runs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HOLDFAST_DATABASE_URL", raising=False)
    result = CliRunner().invoke(cli, ["list"])
    assert result.exit_code == 3
    assert "there is no database" in result.output


async def test_runs_are_filtered_by_their_outcome(store: Store) -> None:
    """Each filter alone, several values of a filter, two filters together. Unknown values are wrong use."""
    passed, failed, stopped, going_on = [await run_of(store, name, name) for name in ("shop", "cart", "till", "desk")]
    completed = Ending(
        execution_id=passed, status=RunStatus.COMPLETED, phase=FinalStep.DONE, recovery=Recovery.VERIFIED
    )
    await store.executions.finish(completed.model_copy(update={"verdict": Verdict.PASSED}))
    await store.executions.finish(completed.model_copy(update={"execution_id": failed, "verdict": Verdict.FAILED}))
    changes = {"execution_id": stopped, "status": RunStatus.CANCELLED, "recovery": Recovery.UNVERIFIED}
    await store.executions.finish(completed.model_copy(update=changes))
    for arguments, expected in {
        ("--status", "completed"): [failed, passed],
        ("--status", "completed", "--status", "running"): [going_on, failed, passed],
        ("--verdict", "failed"): [failed],
        ("--recovery", "unverified"): [stopped],
        ("--status", "completed", "--verdict", "passed"): [passed],
        ("--status", "cancelled", "--verdict", "passed"): [],
        ("--namespace", "shop", "--limit", "2"): [going_on, stopped],
        ("--namespace", "elsewhere"): [],
        ("--plan", "till", "--namespace", "shop"): [stopped],
    }.items():
        result = await invoke("--json", *arguments)
        assert [row["execution_id"] for row in json.loads(result.stdout)] == expected, arguments
    for wrong in (("--status", "done"), ("--verdict", "green"), ("--limit", "0"), ("--since", "yesterday")):
        assert (await invoke(*wrong)).exit_code == 2, wrong
    assert "no runs match" in (await invoke("--namespace", "elsewhere")).output


async def test_runs_are_listed_since_a_moment(store: Store) -> None:
    """By age, or by date and time, which is UTC unless it has an offset."""
    old, young = await run_of(store, "shop", "1"), await run_of(store, "shop", "2")
    now = datetime.now(UTC).replace(microsecond=0)
    async with writing(store.engine) as work:
        (await work.get_one(TaskExecution, old)).started_at = now - timedelta(days=2)
    here = timezone(timedelta(hours=5))
    for since, expected in {
        "1d": [young],
        "3d": [young, old],
        "47h": [young],
        "49h": [young, old],
        (now - timedelta(days=2)).strftime("%Y-%m-%dT%H:%M:%SZ"): [young, old],
        (now - timedelta(days=2, seconds=-1)).strftime("%Y-%m-%dT%H:%M:%S"): [young],
        (now - timedelta(days=2)).astimezone(here).isoformat(): [young, old],
        "2020-01-01": [young, old],
        "2100-01-01": [],
    }.items():
        result = await invoke("--json", "--since", since)
        assert [row["execution_id"] for row in json.loads(result.stdout)] == expected, since
    for wrong in ("999999d", "0001-01-01T00:00+05:00", "2026-13-01", "2"):
        assert (await invoke("--since", wrong)).exit_code == 2, wrong


async def test_every_run_is_on_exactly_one_page(store: Store) -> None:
    """Each page shows the command for the next page, filters included.

    Runs that start meanwhile change no later page.
    """
    runs = [await run_of(store, "shop", str(number)) for number in range(5)]
    await run_of(store, "other", "other")
    arguments, seen = ["--plan", "shop", "--status", "running", "--since", "1d", "--limit", "2"], []
    for _ in range(3):
        lines = (await invoke(*arguments)).output.splitlines()
        seen.append([int(line.split()[0]) for line in lines if line[0].isdigit()])
        arguments = next((shlex.split(line.split("`")[1])[2:] for line in lines if "older ones" in line), [])
        await run_of(store, "shop", f"new-{len(seen)}")
    assert seen == [runs[:2:-1], runs[2:0:-1], runs[:1]]
    assert arguments == []
    nowhere = await invoke("--before", "1")
    assert nowhere.exit_code == 3
    assert "no execution 1" in nowhere.output


async def test_an_execution_number_too_large_for_the_store_is_wrong_use(store: Store) -> None:
    """The store is not asked a question that it cannot understand."""
    result = await invoke("list", "--before", "9" * 25)
    assert (result.exit_code, "--before" in result.output) == (2, True)
