"""The panels of runs that end early (`stages` section 3), in the query, `status`, `watch` and the store."""

from __future__ import annotations

from typing import Any

import pytest
from temporalio.client import WorkflowFailureError

from domain.executions.execution import RunStatus
from domain.resilience.kind import KIND
from lab import Misbehaviour
from reports.build.stored_state import stored_state
from tests.support.runs.bench import PATIENCE, Bench, unseen
from tests.support.runs.whole import Seen, command, snapshots_of, views, without_times


async def _seen(bench: Bench, plan: dict[str, Any]) -> Seen:
    handle = await bench.start(plan, workflow_id=KIND.workflow_id(bench.name))
    watching = await command(bench, "watch")
    return await views(bench, handle, await snapshots_of(bench, handle), watching)


async def _ended(handle: Any) -> None:
    try:
        await handle.result()
    except WorkflowFailureError:
        return


async def test_a_failed_run_shows_its_error_in_every_view(bench: Bench) -> None:
    """Code and message are in the header, and in the panel of the stage that failed."""
    bench.lab.misbehave(Misbehaviour(analysis_stalls=True))
    plan = bench.small_plan(timeouts={"analyze": "2s"})
    plan["request"]["timeout"] = "1s"
    plan["slo"] = {"error_rate": "1%"}
    found = await _seen(bench, plan)
    assert found.last.error_code == "ANALYZE_TIMEOUT"
    assert found.last.analysis.state == "failed"
    assert without_times(found.stored) == without_times(found.last)
    for text in (found.status, found.watch):
        assert "error ANALYZE_TIMEOUT: " in text
        assert "  failed: " in text
        assert "status failed, phase FAILED" in text


@pytest.mark.exhaustive
async def test_a_run_cancelled_during_a_fault_shows_no_fault_as_running(bench: Bench) -> None:
    """Its windows have closed, so no fault runs, although the run never got the fault's report."""
    handle = await bench.start(bench.small_plan())
    await bench.until_state(handle, lambda state: state.injections_running == 1, "a fault")
    await handle.cancel()
    await _ended(handle)
    state = await bench.status(handle)
    assert state is not None
    assert (state.status, state.phase, state.recovery) == (RunStatus.CANCELLED, "CANCELLED", "verified")
    assert [row.state for row in state.injections] == ["Recovered", "Pending"]
    assert (state.injections_completed, state.injections_running) == (1, 0)
    await bench.lock_ended(handle)
    row = await bench.store.executions.latest_of(handle.id)
    assert row is not None
    assert without_times(await stored_state(bench.store, row)) == without_times(state)


@pytest.mark.exhaustive
async def test_a_run_cancelled_during_the_analysis_shows_it_as_cancelled(bench: Bench) -> None:
    """Neither as recording nor as completed."""
    bench.lab.misbehave(Misbehaviour(analysis_stalls=True))
    handle = await bench.start(bench.small_plan())
    await bench.until_state(handle, lambda state: state.analysis.state == "recording", "a recording")
    await handle.cancel()
    await _ended(handle)
    state = await bench.status(handle)
    assert state is not None
    assert (state.analysis.state, state.analysis.error) == ("cancelled", "")
    await bench.lock_ended(handle)
    row = await bench.store.executions.latest_of(handle.id)
    assert row is not None
    assert without_times(await stored_state(bench.store, row)) == without_times(state)


async def test_a_run_with_refused_input_is_shown_as_failed(bench: Bench) -> None:
    """Not as about to begin: other programs start runs without asking our command line first."""
    handle = await bench.start({"name": "shop"}, workflow_id=KIND.workflow_id(bench.name))
    await _ended(handle)
    state = await bench.status(handle)
    assert state is not None
    assert (state.status, state.phase, state.error_code) == (RunStatus.FAILED, "FAILED", "VALIDATION_ERROR")
    showing = await command(bench, "status")
    await showing.end(PATIENCE)
    assert "status failed, phase FAILED" in showing.text
    assert "error VALIDATION_ERROR: E001 " in showing.text
    assert "finished not yet" not in showing.text


@pytest.mark.exhaustive
async def test_the_store_and_the_run_agree_on_services_without_a_failure(bench: Bench) -> None:
    """Here no traffic reaches a service: no fault, no rules, and a word on why."""
    bench.lab.misbehave(unseen("shipping"))
    handle = await bench.start(bench.small_plan("reviews", "shipping", "bestsellers"))
    summary = await handle.result()
    await bench.lock_ended(handle)
    state = await bench.status(handle)
    row = await bench.store.executions.row(summary.execution_id)
    assert state is not None
    assert without_times(await stored_state(bench.store, row)) == without_times(state)
