"""The five panels of a run (`stages` section 3): every field, in the query, `status`, `watch` and the report."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import pytest
from temporalio.client import Client, WorkflowFailureError

from cli.ui.live_frame import Moment, frame
from cli.ui.live_lines import symbols
from cli.ui.panels import panel_lines
from domain.executions.execution import RunStatus
from domain.resilience.kind import KIND
from domain.resilience.state import ResilienceState
from lab import Misbehaviour
from reports.build.gather import gather
from reports.build.stored_state import stored_state
from reports.forms import as_html
from reports.model.report import Report
from tests.support.cli.terminal import Terminal
from tests.support.runs.bench import PATIENCE, Bench, brisk_shop, unseen
from tests.support.runs.fixtures import opened_bench
from tests.support.runs.panel_fields import FIELDS, Field, text_of


@dataclass
class Seen:
    """One run in every view.

    These are the query's successive answers, the output of both commands, and the report.
    """

    snapshots: list[ResilienceState]
    status: str
    watch: str
    report: Report
    """The same run, from the store."""

    @property
    def stored(self) -> ResilienceState:
        return self.report.run

    @cached_property
    def page(self) -> str:
        """What a reader sees of the report's page."""
        return text_of(as_html.render(self.report))

    @cached_property
    def pictures(self) -> str:
        """Frames of the live view for each of the query's answers.

        The terminal is large enough for everything.
        """
        moments = [Moment(state, [], False, datetime.now(UTC), "") for state in self.snapshots]
        lines = [line.plain for moment in moments for line in frame(moment, 250, 200, symbols("utf-8"))]
        return "\n".join(lines)

    @property
    def last(self) -> ResilienceState:
        return self.snapshots[-1]


async def _seen(bench: Bench, plan: dict[str, Any]) -> Seen:
    handle = await bench.start(plan, workflow_id=KIND.workflow_id(bench.name))
    watching = await _command(bench, "watch")
    snapshots: list[ResilienceState] = []
    ended = asyncio.create_task(_ended(handle))
    while True:
        over = ended.done()
        state = await bench.status(handle)
        if state is not None and (not snapshots or snapshots[-1] != state):
            snapshots.append(state)
        if over:
            break
        await asyncio.sleep(0.02)
    await watching.end(PATIENCE)
    showing = await _command(bench, "status")
    await showing.end(PATIENCE)
    row = await bench.store.executions.latest_of(handle.id)
    assert row is not None
    return Seen(snapshots, showing.text, watching.text, await gather(bench.store, row.execution_id))


async def _ended(handle: Any) -> None:
    try:
        await handle.result()
    except WorkflowFailureError:
        return


async def _command(bench: Bench, name: str) -> Terminal:
    (bench.folder / "temporal.toml").touch()
    environment = {
        "TEMPORAL_ADDRESS": bench.temporal.service_client.config.target_host,
        "TEMPORAL_CONFIG_FILE": str(bench.folder / "temporal.toml"),
        "HOLDFAST_DATABASE_URL": bench.settings.database_url,
        "HOLDFAST_TASK_QUEUE": bench.settings.task_queue,
    }
    return await Terminal.start(name, bench.name, folder=bench.folder, env=environment)


@pytest.fixture(scope="module")
async def seen(temporal: Client, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Seen]:
    """A run that completes, with failing cases."""
    async with opened_bench(temporal, tmp_path_factory.mktemp("panels"), brisk_shop()) as bench:
        yield await _seen(bench, bench.plan(load={"requests": 2, "concurrency": 2}))


async def test_every_field_is_shown_in_every_view(seen: Seen) -> None:
    """By the query while it holds, by `status` afterwards, by `watch` as lines and as a view, and by the report."""
    missing = {name: without for name, field in FIELDS.items() if (without := list(_views_without(field, seen)))}
    assert (missing, len(FIELDS) > 40) == ({}, True)


def _views_without(field: Field, seen: Seen) -> Iterator[str]:
    words = field.words(seen.last)
    if not any(field.of(state) for state in seen.snapshots):
        yield "query"
    if words not in seen.status:
        yield "status"
    if (field.in_passing or words) not in seen.watch:
        yield "watch"
    if (field.in_passing or words) not in seen.pictures:
        yield "live view"
    if field.words_of_page(seen.report.run) not in seen.page:
        yield "report"
    if not field.in_passing and not field.of(seen.report.run):
        yield "store"


async def test_status_shows_the_metrics_of_every_case(seen: Seen) -> None:
    """Each case once, with the numbers of the query."""
    for case in seen.last.load.cases:
        assert case.error_rate is not None
        start = f"  {case.case_id} "
        line = next(line for line in seen.status.splitlines() if line.startswith(start) and " errors " in line)
        assert f"errors {case.error_rate:g}%" in line
        if case.max_ms is not None:
            small = "n too small"
            assert f"p50 {small}, p95 {small}, p99 {small}, max {case.max_ms:.0f} ms" in line


def _without_times(state: ResilienceState) -> list[str]:
    """Drop the times, because whichever component finishes a run writes them."""
    return [line for line in panel_lines(state) if not line.startswith("started ")]


async def test_the_store_shows_the_same_panels_as_the_run(seen: Seen) -> None:
    """It is used when no worker answers, or when the Temporal server has forgotten the run."""
    assert _without_times(seen.stored) == _without_times(seen.last)
    assert (seen.stored.started_at, seen.stored.finished_at) > (seen.last.started_at, seen.last.started_at)


async def test_a_failed_run_shows_its_error_in_every_view(bench: Bench) -> None:
    """Code and message are in the header, and in the panel of the stage that failed."""
    bench.lab.misbehave(Misbehaviour(analysis_stalls=True))
    plan = bench.small_plan(timeouts={"analyze": "2s"})
    plan["request"]["timeout"] = "1s"
    plan["slo"] = {"error_rate": "1%"}
    found = await _seen(bench, plan)
    assert found.last.error_code == "ANALYZE_TIMEOUT"
    assert found.last.analysis.state == "failed"
    assert _without_times(found.stored) == _without_times(found.last)
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
    assert _without_times(await stored_state(bench.store, row)) == _without_times(state)


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
    assert _without_times(await stored_state(bench.store, row)) == _without_times(state)


async def test_a_run_with_refused_input_is_shown_as_failed(bench: Bench) -> None:
    """Not as about to begin: other programs start runs without asking our command line first."""
    handle = await bench.start({"name": "shop"}, workflow_id=KIND.workflow_id(bench.name))
    await _ended(handle)
    state = await bench.status(handle)
    assert state is not None
    assert (state.status, state.phase, state.error_code) == (RunStatus.FAILED, "FAILED", "VALIDATION_ERROR")
    showing = await _command(bench, "status")
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
    assert _without_times(await stored_state(bench.store, row)) == _without_times(state)
