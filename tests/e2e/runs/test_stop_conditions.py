"""Conditions that end a run early: everything is closed first, and the reason states the measured value."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError

from domain.errors import ErrorCode
from domain.executions.execution import Recovery, RunFailure, RunStatus
from domain.resilience.model import Phase
from lab import Misbehaviour
from tests.support.runs.bench import Bench, until
from tests.support.runs.steady import break_for_good
from tests.support.tiers import mostly_exhaustive


async def stopped(bench: Bench, handle: WorkflowHandle[Any, Any]) -> RunFailure:
    """Return why a run ended, once everything is off. Lab and store must agree with it."""
    with pytest.raises(WorkflowFailureError) as raised:
        await handle.result()
    assert isinstance(raised.value.cause, ApplicationError)
    found = RunFailure.model_validate(raised.value.cause.details[0])
    assert found.recovery in (Recovery.VERIFIED, Recovery.NOT_NEEDED)
    report = await bench.lock_ended(handle)
    assert report is not None
    assert report.recovery_verified
    assert bench.lab.state().clean
    row = await bench.store.executions.row(report.execution_id)
    assert (row.error_code, row.status) == (found.code, Phase.FAILED)
    state = await bench.status(handle)
    assert state is not None
    assert state.status is row.run_status
    return found


@asynccontextmanager
async def health() -> AsyncIterator[tuple[str, dict[str, int]]]:
    """Serve a health page. Its status can be changed, and its requests are counted."""
    page = {"status": 200, "asked": 0}

    async def answer(_: web.Request) -> web.Response:
        page["asked"] += 1
        return web.Response(status=page["status"])

    app = web.Application()
    app.router.add_get("/health", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/health", page
    finally:
        await runner.cleanup()


async def test_a_bad_baseline_ends_the_load_test(bench: Bench) -> None:
    """No further case is measured on a system that is too slow already."""
    plan = bench.small_plan(stop={"baseline": {"p50": "1ms"}})
    handle = await bench.start(plan)
    found = await stopped(bench, handle)
    assert (found.code, found.phase) == (ErrorCode.STOP_CONDITION, Phase.LOAD_TEST_BASELINE)
    assert found.message.startswith("stop.baseline: p50 ")
    assert "> 1ms" in found.message
    assert found.execution_id is not None
    assert [result.case_id for result in await bench.store.results.all(found.execution_id)] == ["baseline"]


@pytest.mark.exhaustive
async def test_failing_requests_end_a_run_in_progress(bench: Bench) -> None:
    """Here somebody else breaks the entry for good. Everything of ours goes off at once."""
    watch = {"request": {"error_rate": "20%", "over": 5, "every": "100ms"}}
    plan = bench.small_plan(load={"requests": 200, "concurrency": 1}, stop=watch, timeouts={"stability": "3s"})
    handle = await bench.start(plan | {"steady_state": {"check": False}})
    await bench.until_phase(handle, Phase.LOAD_TEST_BASELINE)
    await break_for_good(bench)
    with pytest.raises(WorkflowFailureError) as raised:
        await handle.result()
    assert isinstance(raised.value.cause, ApplicationError)
    found = RunFailure.model_validate(raised.value.cause.details[0])
    assert (found.code, found.phase) == (ErrorCode.STOP_CONDITION, Phase.LOAD_TEST_BASELINE)
    assert found.message == (
        "stop.request.error_rate: 2 of the last 5 requests failed, the last one with connect; the limit is 20% of 5"
    )
    await bench.lock_ended(handle)
    state = bench.lab.state()
    assert (state.rules, state.recordings) == ([], [])
    assert set(state.faults) == {"somebody-else"}


async def test_a_failing_health_url_ends_the_run_in_any_phase(bench: Bench) -> None:
    """Here during a fault, which is removed before the run ends. Nothing is asked once all is off."""
    async with health() as (url, page):
        spec = {"health": {"url": url, "every": "50ms", "failures": 2}}
        handle = await bench.start(bench.small_plan(stop=spec))
        await bench.until_phase(handle, Phase.INJECTING_AND_REPLAYING)
        page["status"] = 503
        found = await stopped(bench, handle)
        asked = page["asked"]
        assert (found.code, found.phase) == (ErrorCode.STOP_CONDITION, Phase.INJECTING_AND_REPLAYING)
        assert found.message == "stop.health: 2 bad answers in a row, the last one: status 503"
        assert asked == page["asked"]


@pytest.mark.exhaustive
async def test_stop_conditions_that_are_not_met_change_nothing(bench: Bench) -> None:
    """The run completes, it was watched meanwhile, and the watch ends with it."""
    async with health() as (url, page):
        stop = {
            "deadline": "10m",
            "baseline": {"error_rate": "50%", "p95": "10s"},
            "request": {"error_rate": "100%", "every": "100ms"},
            "health": {"url": url, "every": "50ms"},
        }
        handle = await bench.start(bench.small_plan(stop=stop))
        summary = await handle.result()
        asked = page["asked"]
        assert summary.status is RunStatus.COMPLETED
        assert summary.cases.measured == 4
        assert asked > 3
        await bench.lock_ended(handle)
        assert page["asked"] == asked


@pytest.mark.parametrize("paused", mostly_exhaustive([False, True]), ids=["working", "paused"])
async def test_a_deadline_closes_everything_before_the_run_ends(bench: Bench, paused: bool) -> None:
    """It has its own status and code, and its phase. A pause, here before anything is on, does not stop the clock."""
    bench.lab.misbehave(Misbehaviour(analysis_stalls=True))
    handle = await bench.start(bench.small_plan(stop={"deadline": "3s"}))
    await bench.until_phase(handle, Phase.ANALYZING_PATTERNS)
    if paused:
        await handle.execute_update("pause")
    found = await stopped(bench, handle)
    assert (found.code, found.phase) == (ErrorCode.DEADLINE_EXCEEDED, Phase.ANALYZING_PATTERNS)
    assert found.message == "stop.deadline: the run was not over after 3s"
    assert found.execution_id is not None
    assert (await bench.store.executions.row(found.execution_id)).run_status is RunStatus.TIMED_OUT


@pytest.mark.exhaustive
async def test_a_watch_survives_its_worker(idle_bench: Bench) -> None:
    """A second worker goes on watching, and ends the run."""
    bench = idle_bench
    async with health() as (url, page):
        worker = await bench.worker()
        plan = bench.small_plan(
            load={"requests": 300, "concurrency": 1}, stop={"health": {"url": url, "every": "50ms", "failures": 1}}
        )
        handle = await bench.start(plan)
        await bench.until_phase(handle, Phase.LOAD_TEST_BASELINE)
        worker.kill()
        await worker.wait()
        asked = page["asked"]
        await bench.worker()

        async def asked_again() -> bool:
            return page["asked"] > asked

        await until(asked_again, "another worker that watches")
        page["status"] = 500
        found = await stopped(bench, handle)
        assert found.code is ErrorCode.STOP_CONDITION
