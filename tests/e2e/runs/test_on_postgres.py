"""Whole runs with their store on PostgreSQL, shared by workers and commands that are processes of their own."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHandle

from domain.executions.execution import Recovery, Verdict
from domain.executions.windows import LedgerState
from lab import Lab, PortChoice
from tests.support.leaks.stages import workflows_of
from tests.support.runs.bench import FAILING_PAIR, Bench, brisk_shop
from tests.support.runs.fixtures import QUICK
from tests.support.runs.hand import holdfast
from tests.support.store.counting import row_counts
from tests.support.store.fixtures import postgres, postgres_template, postgres_url

__all__ = ["postgres", "postgres_template", "postgres_url"]
"""Fixtures of the store's tests."""

pytestmark = [pytest.mark.exhaustive]


@pytest.fixture
async def bench(temporal: Client, tmp_path: Path, postgres_url: str) -> AsyncIterator[Bench]:
    """A shop, and two workers on one database."""
    async with (
        Lab(brisk_shop(), settings=QUICK, ports=PortChoice.FREE) as lab,
        Bench(temporal, lab, tmp_path, postgres_url) as bench,
    ):
        for _ in range(2):
            await bench.worker()
        yield bench


async def workers_of(bench: Bench, run: WorkflowHandle[Any, Any]) -> set[str]:
    """Return the identities of the workers that ended an activity of the run or of one of its windows."""
    found = set()
    for handle in [run, *[child async for _, child in workflows_of(bench.temporal, run)]]:
        async for event in handle.fetch_history_events():
            if event.HasField("activity_task_completed_event_attributes"):
                found.add(event.activity_task_completed_event_attributes.identity)
    return found


async def test_two_workers_share_a_run_on_postgresql(bench: Bench) -> None:
    """Both do a part of it, it finds what it finds on SQLite, and each row is stored once."""
    run = await bench.start()
    summary = await run.result()
    await bench.lock_ended(run)

    assert "+".join(FAILING_PAIR) in {case.case_id for case in summary.failed_cases}
    assert (summary.verdict, summary.recovery) == (Verdict.FAILED, Recovery.VERIFIED)
    rows = await row_counts(bench.store, summary.execution_id)
    assert (rows["task_execution"], rows["test_cases"], rows["test_result"]) == (1, 16, 16)
    assert (rows["baggage_map"], rows["recorded_service"], rows["ledger"]) == (5, 5, 10)
    assert {row.state for row in await bench.store.ledger.of(summary.execution_id)} == {LedgerState.CLOSED}
    assert len(await workers_of(bench, run)) >= 2
    assert bench.lab.state().clean


async def test_commands_read_a_run_from_postgresql(bench: Bench) -> None:
    """`run`, `list`, `status` and `report`, each in a process of its own."""
    plan = bench.folder / "plan.yaml"
    plan.write_text(json.dumps(bench.small_plan()))
    ran = await holdfast(bench, "run", str(plan), "--yes", "--quiet", "--json", "-")
    assert ran.code == 0, ran.err
    execution_id = ran.facts["summary"]["execution_id"]

    listed = await holdfast(bench, "list", "--json")
    assert [row["execution_id"] for row in listed.facts] == [execution_id]
    shown = await holdfast(bench, "status", bench.name)
    assert (shown.code, "recovery verified" in shown.out) == (0, True)
    reported = await holdfast(bench, "report", bench.name, "--json", "-")
    assert reported.facts["run"]["execution_id"] == execution_id
    assert bench.lab.state().clean
