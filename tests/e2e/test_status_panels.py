"""The five panels of a run (`stages` section 3): every field, in the query, in `status` and in `watch`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from temporalio.client import Client, WorkflowFailureError

from cli.panels import panel_lines
from cli.stored import stored_state
from lab import Lab, Misbehaviour, PortChoice
from tests.cli.terminal import Terminal
from tests.e2e.bench import PATIENCE, Bench, unhurried_example
from tests.e2e.conftest import QUICK
from worker import running
from workflows.contracts.execution import RunStatus
from workflows.contracts.status import InjectionRow, RunState
from workflows.names import run_workflow_id


@dataclass
class Seen:
    """One run, as everybody saw it: the query's answers one after the other, and what the two commands printed."""

    snapshots: list[RunState]
    status: str
    watch: str
    stored: RunState
    """The same run, from the store."""

    @property
    def last(self) -> RunState:
        return self.snapshots[-1]


async def _seen(bench: Bench, plan: dict[str, Any]) -> Seen:
    handle = await bench.start(plan, workflow_id=run_workflow_id(bench.name))
    watching = await _command(bench, "watch")
    snapshots: list[RunState] = []
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
    row = await bench.store.latest_execution_of(handle.id)
    assert row is not None
    return Seen(snapshots, showing.text, watching.text, await stored_state(bench.store, row))


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
    async with Lab(unhurried_example("shop"), settings=QUICK, ports=PortChoice.FREE) as lab:
        bench = Bench(temporal, lab, tmp_path_factory.mktemp("panels"))
        async with running(temporal, bench.settings), bench:
            yield await _seen(bench, bench.plan(load={"requests": 2, "concurrency": 2}))


def _worst(state: RunState) -> str:
    return f"slowest request {state.load.worst_max_ms:.0f} ms ({state.load.worst_max_case})"


def _reviews(state: RunState) -> InjectionRow:
    return next(row for row in state.injections if row.service == "reviews")


Field = Callable[[RunState], object]
FIELDS: dict[str, tuple[Field, Callable[[RunState], str]]] = {
    # Header.
    "execution id": (lambda s: s.execution_id, lambda s: f"execution {s.execution_id}"),
    "task id": (lambda s: s.task_id, lambda s: f"task {s.task_id}"),
    "request id": (lambda s: s.req_def_id, lambda s: f"request {s.req_def_id}"),
    "namespace": (lambda s: s.namespace == "shop", lambda s: "namespace shop"),
    "status": (lambda s: s.status is RunStatus.COMPLETED, lambda s: "status completed"),
    "phase": (lambda s: s.phase == "LOAD_TEST_BASELINE" or s.finished_at, lambda s: "phase DONE"),
    "verdict": (lambda s: s.verdict, lambda s: "verdict failed"),
    "recovery": (lambda s: s.recovery == "verified", lambda s: "recovery verified"),
    "started": (lambda s: s.started_at, lambda s: f"started {s.started_at:%Y-%m-%d %H:%M:%S}"),
    "updated": (lambda s: s.updated_at, lambda s: f"updated {s.updated_at:%Y-%m-%d %H:%M:%S}"),
    "finished": (lambda s: s.finished_at, lambda s: f"finished {s.finished_at:%Y-%m-%d %H:%M:%S}"),
    "steady state": (lambda s: s.steady_before and s.steady_after, lambda s: "steady state before the run: met"),
    # ANALYZING_PATTERNS.
    "services to analyse": (lambda s: s.analysis.services == 5, lambda s: "5 services"),
    "analysis state": (lambda s: s.analysis.state == "completed", lambda s: "analysis: completed"),
    "analysis task": (lambda s: s.analysis.analyze_task_id, lambda s: f"analysis {s.analysis.analyze_task_id}"),
    "record": (lambda s: s.analysis.record_id, lambda s: f"record {s.analysis.record_id}"),
    "recorded": (lambda s: len(s.analysis.recorded) == 5, lambda s: "1 recorded requests"),
    "stability after analysis": (lambda s: len(s.analysis.stability) == 5, lambda s: "stable after"),
    # Cases and baggage.
    "cases": (lambda s: s.generated.total == 16, lambda s: "cases: 16 (1 baseline, 5 single, 10 pairs)"),
    "baggage tokens": (lambda s: s.generated.baggage_tokens == 5, lambda s: "5 baggage tokens"),
    "token of a service": (lambda s: s.generated.tokens.get("reviews"), lambda s: "chaos.reviews.remove=1"),
    # INJECTING_AND_REPLAYING.
    "services done": (lambda s: s.injections_completed == 5, lambda s: "5 of 5 services done"),
    "services running": (lambda s: s.injections_running == 1, lambda s: "0 running"),
    "pending": (lambda s: _reviews(s).state == "Pending", lambda s: ""),
    "running": (lambda s: _reviews(s).state == "Running", lambda s: ""),
    "recovered": (lambda s: _reviews(s).state == "Recovered", lambda s: "reviews                  Recovered"),
    "fault name": (lambda s: _reviews(s).fault_name, lambda s: f"fault {_reviews(s).fault_name}"),
    "replay status": (lambda s: _reviews(s).replay_status == 503, lambda s: "replay 503"),
    "stability after recovery": (lambda s: _reviews(s).stable, lambda s: "stable again"),
    # RULES_READY.
    "rules": (lambda s: s.rules.rules == 10, lambda s: "rules: 10"),
    "rules ready": (lambda s: s.rules.ready, lambda s: ""),
    "rules off": (lambda s: s.rules.rules and not s.rules.ready, lambda s: "off, and seen to be off"),
    "rules TTL": (lambda s: s.rules.ttl_seconds == 600, lambda s: "TTL 600 s"),
    "stability with rules": (lambda s: len(s.rules.stability) == 5, lambda s: "stable after"),
    # LOAD_TEST_BASELINE.
    "batches": (lambda s: (s.load.batches_done, s.load.batches_total) == (1, 1), lambda s: "batch 1 of 1"),
    "batch size": (lambda s: s.load.batch_size == 18, lambda s: "18 cases each"),
    "cases done": (lambda s: s.load.cases_done == 16, lambda s: "16 of 16 cases done"),
    "cases with metrics": (lambda s: len(s.load.cases) == 16, lambda s: "baseline "),
    "worst p95": (lambda s: s.load.cases and s.load.worst_p95_ms is None, lambda s: "worst p95 n too small"),
    "slowest request": (lambda s: s.load.worst_max_ms, _worst),
    "mean error rate": (lambda s: s.load.mean_error_rate == 6.25, lambda s: "mean error rate 6.25%"),
    "failed case": (lambda s: s.failed_cases, lambda s: "errors 100%, p50 none, p95 none, p99 none"),
}
WATCHED = {"pending": "reviews                  Pending", "running": "Running", "rules ready": "ready: seen to act"}
"""True for a moment only: `watch` tells it, the last `status` does not."""


@pytest.mark.parametrize("field", FIELDS)
async def test_every_field_is_told(seen: Seen, field: str) -> None:
    """By the query while it is so, by `status` afterwards, and by `watch` when it changes."""
    of_state, words = FIELDS[field]
    assert any(of_state(state) for state in seen.snapshots), "the query never had it"
    assert words(seen.last) in seen.status
    assert WATCHED.get(field, words(seen.last)) in seen.watch


async def test_metrics_of_every_case_are_told(seen: Seen) -> None:
    """Each case once, with the numbers of the store."""
    for case in seen.last.load.cases:
        assert case.error_rate is not None
        start = f"  {case.case_id} "
        line = next(line for line in seen.status.splitlines() if line.startswith(start) and " errors " in line)
        assert f"errors {case.error_rate:g}%" in line
        if case.max_ms is not None:
            small = "n too small"
            assert f"p50 {small}, p95 {small}, p99 {small}, max {case.max_ms:.0f} ms" in line


def _without_waits(state: RunState) -> list[str]:
    """How long services took to be stable is not stored; and who finishes a run writes when."""
    lines = [line for line in panel_lines(state) if " after " not in line and not line.startswith("started ")]
    return [line.replace(", stable again", "") for line in lines]


async def test_the_store_tells_what_the_run_told(seen: Seen) -> None:
    """For when no worker answers, or the Temporal server has forgotten the run."""
    assert _without_waits(seen.stored) == _without_waits(seen.last)
    assert (seen.stored.started_at, seen.stored.finished_at) > (seen.last.started_at, seen.last.started_at)


async def test_a_failed_run_tells_its_error_everywhere(bench: Bench) -> None:
    """Code and message in the header, and in the panel of the stage that failed."""
    bench.lab.misbehave(Misbehaviour(analysis_stalls=True))
    plan = bench.small_plan(timeouts={"analyze": "2s"})
    plan["request"]["timeout"] = "1s"
    plan["slo"] = {"error_rate": "1%"}
    found = await _seen(bench, plan)
    assert found.last.error_code == "ANALYZE_TIMEOUT"
    assert found.last.analysis.state == "failed"
    assert _without_waits(found.stored) == _without_waits(found.last)
    for text in (found.status, found.watch):
        assert "error ANALYZE_TIMEOUT: " in text
        assert "  failed: " in text
        assert "status failed, phase FAILED" in text


async def test_a_run_that_is_cancelled_during_a_fault_shows_nothing_as_going_on(bench: Bench) -> None:
    """Its windows have closed, so no fault runs, though the run never got its report."""
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
    row = await bench.store.latest_execution_of(handle.id)
    assert row is not None
    assert _without_waits(await stored_state(bench.store, row)) == _without_waits(state)


async def test_a_run_that_is_cancelled_during_the_analysis_does_not_record_any_more(bench: Bench) -> None:
    """It did not complete either."""
    bench.lab.misbehave(Misbehaviour(analysis_stalls=True))
    handle = await bench.start(bench.small_plan())
    await bench.until_state(handle, lambda state: state.analysis.state == "recording", "a recording")
    await handle.cancel()
    await _ended(handle)
    state = await bench.status(handle)
    assert state is not None
    assert (state.analysis.state, state.analysis.error) == ("cancelled", "")
    await bench.lock_ended(handle)
    row = await bench.store.latest_execution_of(handle.id)
    assert row is not None
    assert _without_waits(await stored_state(bench.store, row)) == _without_waits(state)


async def test_input_that_is_refused_is_a_run_that_failed(bench: Bench) -> None:
    """Not one that is about to begin: other programs start runs without asking our command line first."""
    handle = await bench.start({"name": "shop"}, workflow_id=run_workflow_id(bench.name))
    await _ended(handle)
    state = await bench.status(handle)
    assert state is not None
    assert (state.status, state.phase, state.error_code) == (RunStatus.FAILED, "FAILED", "VALIDATION_ERROR")
    showing = await _command(bench, "status")
    await showing.end(PATIENCE)
    assert "status failed, phase FAILED" in showing.text
    assert "error VALIDATION_ERROR: E001 " in showing.text
    assert "finished not yet" not in showing.text


async def test_the_store_tells_of_services_without_a_failure_as_the_run_does(bench: Bench) -> None:
    """Here one that no traffic reaches: no fault, no rules, and a word on why."""
    bench.lab.misbehave(Misbehaviour(analysis_no_patterns_for=["shipping"]))
    handle = await bench.start(bench.small_plan("reviews", "shipping", "bestsellers"))
    summary = await handle.result()
    await bench.lock_ended(handle)
    state = await bench.status(handle)
    row = await bench.store.execution_row(summary.execution_id)
    assert state is not None
    assert _without_waits(await stored_state(bench.store, row)) == _without_waits(state)
