"""Fault windows of a very large run cost its history little, and the run still knows enough about them."""

from __future__ import annotations

from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHandle

from domain.executions.execution import Recovery
from domain.executions.windows import WindowKind, WindowState
from domain.names import WorkflowType
from tests.support.leaks.stages import workflows_of
from tests.support.runs.bench import Bench, until

EVENTS_OF_A_WINDOW = 3
"""Events in the history of the run that has it."""


@pytest.fixture(autouse=True)
def _every_run_is_very_large(monkeypatch: pytest.MonkeyPatch) -> None:
    # Logic is passed through the sandbox, so every run sees the value set here.
    monkeypatch.setattr("domain.executions.window_rows.TERSE_FROM", 1)


async def signals_sent(bench: Bench, run: WorkflowHandle[Any, Any]) -> list[int]:
    """Count the signals of each fault window."""
    found = []
    async for kind, window in workflows_of(bench.temporal, run):
        if kind == WorkflowType.FAULT_WINDOW:
            events = [event async for event in window.fetch_history_events()]
            found.append(
                sum(event.HasField("external_workflow_execution_signaled_event_attributes") for event in events)
            )
    return found


async def test_a_run_knows_its_windows_without_a_signal(bench: Bench) -> None:
    """That each began and ended, its name at the peer, and that all is off."""
    run = await bench.start(bench.small_plan())
    summary = await run.result()
    await bench.lock_ended(run)
    assert summary.recovery is Recovery.VERIFIED
    assert summary.cases.measured == 4
    state = await bench.status(run)
    assert state is not None
    faults = [row for row in state.windows if row.kind is WindowKind.FAULT]
    assert [(row.service, row.state) for row in faults] == [
        ("reviews", WindowState.CLOSED),
        ("shipping", WindowState.CLOSED),
    ]
    assert all(row.peer_name.startswith("hf-") and row.began_at and row.ended_at for row in faults)
    assert await signals_sent(bench, run) == [0, 0]


async def events_of_its_own(bench: Bench, services: int) -> int:
    """Count a run's events without its workflow tasks.

    At most one workflow task comes with an event from outside.
    """
    plan = bench.plan(load={"requests": 1, "concurrency": 1})
    # Broken reviews cause a call of their own, and thereby one more window.
    chosen = [service for service in plan["services"] if service["name"] != "reviews"][:services]
    run = await bench.start(plan | {"services": chosen})
    await run.result()
    await bench.lock_ended(run)
    kinds = [EventType.Name(event.event_type) async for event in run.fetch_history_events()]
    return sum("WORKFLOW_TASK" not in kind for kind in kinds)


@pytest.mark.exhaustive
async def test_a_service_costs_its_run_only_the_start_and_end_of_a_window(bench: Bench) -> None:
    """Begun, started, ended. With a fourth event each, a thousand services would not fit into one history."""
    few, more = [await events_of_its_own(bench, services) for services in (1, 4)]
    assert more - few <= 3 * EVENTS_OF_A_WINDOW


@pytest.mark.exhaustive
async def test_a_cancelled_window_reports_its_end_by_signal(bench: Bench) -> None:
    """It has no result, so the signal is how the run learns that it has closed."""
    run = await bench.start(bench.small_plan())

    async def fault_on() -> bool:
        return bool(bench.lab.state().faults)

    await until(fault_on, "a fault")
    await bench.cancelled(run)
    state = await bench.status(run)
    assert state is not None
    assert {row.state for row in state.windows if row.kind is WindowKind.FAULT} == {WindowState.CLOSED}
    assert state.recovery is Recovery.VERIFIED
