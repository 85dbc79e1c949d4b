"""However a run ends, everything it switched on is off again."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import CancelledError

from clients.peers.proxy import ProxyClient
from clients.store.repositories.cases import Cases
from domain.errors import ErrorClass, ErrorCode, HoldfastError
from domain.executions.execution import Recovery, RunStatus
from domain.names import ABORT_UPDATE, PAUSE_UPDATE, RESUME_UPDATE
from domain.resilience.model import Phase
from lab import Misbehaviour
from lab.misbehaviour.misbehave import Action, Instruction
from lab.misbehaviour.names import Endpoint
from tests.support.runs.bench import Bench, unseen, until
from tests.support.runs.endings import LONG_LOAD, failure, seen_on
from tests.support.tiers import mostly_exhaustive

STOPPABLE = [
    Phase.INJECTING_AND_REPLAYING,
    Phase.ANALYZING_PATTERNS,
    Phase.RULES_READY,
    Phase.LOAD_TEST_BASELINE,
]


@pytest.mark.parametrize("phase", mostly_exhaustive(STOPPABLE))
async def test_a_cancelled_run_ends_cancelled_and_clean(bench: Bench, phase: Phase) -> None:
    """In every phase: the run never completes, everything is off when its lock has ended, and the record agrees."""
    handle = await bench.start(bench.small_plan(load=LONG_LOAD))
    await bench.until_phase(handle, phase)
    await handle.cancel()
    with pytest.raises(WorkflowFailureError) as raised:
        await handle.result()
    assert isinstance(raised.value.cause, CancelledError)
    assert bench.lab.state().clean
    report = await bench.lock_ended(handle)
    assert report is not None
    assert report.recovery_verified
    record = await bench.store.executions.row(report.execution_id)
    assert (record.run_status, record.status) == (RunStatus.CANCELLED, Phase.CANCELLED)
    assert record.recovery is Recovery.VERIFIED


@pytest.mark.parametrize("endpoint", mostly_exhaustive([Endpoint.EXECUTE, Endpoint.UPSERT, Endpoint.ANALYZE]))
async def test_cancelling_during_a_slow_call_leaves_nothing_to_start_later(bench: Bench, endpoint: Endpoint) -> None:
    """The peer keeps working after the call was abandoned, so its answer is awaited before anything counts as gone."""
    slow = Instruction(endpoint=endpoint, action=Action.SLOW, seconds=5)
    bench.lab.misbehave(Misbehaviour(instructions=[slow]))
    handle = await bench.start(bench.small_plan("reviews"))
    kind = {Endpoint.UPSERT: "rules", Endpoint.EXECUTE: "fault", Endpoint.ANALYZE: "recording"}[endpoint]
    await seen_on(bench, handle, kind, "opening")

    async def called() -> bool:
        history = await bench.temporal.get_workflow_handle(await window_of(bench, handle, kind)).fetch_history()
        names = [event.activity_task_scheduled_event_attributes.activity_type.name for event in history.events]
        return bool({"upsert_rules", "inject_fault", "start_analysis"}.intersection(names))

    await until(called, "the call")
    await handle.cancel()
    report = await bench.lock_ended(handle)
    assert report is not None
    assert report.recovery_verified
    assert bench.lab.state().clean
    # The lab has answered every call, so nothing can start any more.
    await asyncio.sleep(slow.seconds)
    assert bench.lab.state().clean


async def window_of(bench: Bench, handle: WorkflowHandle[Any, Any], kind: str) -> str:
    state = await bench.status(handle)
    assert state is not None
    return next(row.window_id for row in state.windows if row.kind == kind)


@pytest.mark.exhaustive
async def test_a_pause_while_the_rules_close_does_no_harm(bench: Bench) -> None:
    """The load page that would receive the pause has ended. The rules window goes on closing."""
    handle = await bench.start(bench.small_plan(load=LONG_LOAD))
    await bench.until_phase(handle, Phase.LOAD_TEST_BASELINE)
    refuse = Instruction(endpoint=Endpoint.FIXTURE_DELETE, action=Action.REFUSE_500)
    bench.lab.misbehave(Misbehaviour(instructions=[refuse]))
    await handle.execute_update(ABORT_UPDATE, "a test")
    await seen_on(bench, handle, "rules", "closing")
    await handle.execute_update(PAUSE_UPDATE)
    await handle.execute_update(RESUME_UPDATE)
    bench.lab.misbehave(Misbehaviour())
    found = await failure(bench, handle)
    assert (found.code, found.recovery) == (ErrorCode.ABORTED, Recovery.VERIFIED)
    assert bench.lab.state().clean


@pytest.mark.exhaustive
async def test_nothing_new_begins_after_an_abort(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even when the step in progress ends normally, as if there had been no abort."""
    real, at_work = Cases.save_tokens, asyncio.Event()

    async def slow(cases: Cases, execution_id: int, tokens: dict[str, str]) -> None:
        at_work.set()
        await asyncio.sleep(1)
        await real(cases, execution_id, tokens)

    monkeypatch.setattr(Cases, "save_tokens", slow)
    handle = await bench.start(bench.small_plan())
    await at_work.wait()
    await handle.execute_update(ABORT_UPDATE, "a test")
    found = await failure(bench, handle)
    assert (found.code, found.phase) == (ErrorCode.ABORTED, Phase.ANALYZING_PATTERNS)
    assert not [row for row in await bench.store.ledger.of(found.execution_id or 0) if row.kind == "fault"]


@pytest.mark.exhaustive
async def test_an_overdue_window_costs_only_its_own_service(bench: Bench) -> None:
    """Its fault is removed, its cases are skipped with the reason, and the other service is tested."""
    hang = Instruction(endpoint=Endpoint.EXECUTE, action=Action.HANG, contains="-reviews-")
    bench.lab.misbehave(Misbehaviour(instructions=[hang]))
    plan = bench.small_plan(timeouts={"fault_running": "1s", "replay": "1s"}, safety={"fault_ttl": "32s"})
    summary = await bench.run(plan)
    assert (summary.cases.measured, summary.cases.skipped) == (2, 2)
    results = await bench.store.results.all(summary.execution_id)
    assert any("closed itself" in result.reason for result in results)
    assert summary.recovery is Recovery.VERIFIED
    assert bench.lab.state().clean


@pytest.mark.exhaustive
async def test_a_retried_batch_notices_rules_that_vanished(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first look at the rules fails. The retry looks again, although every case has been measured by then."""
    looks = []

    async def acting(*arguments: Any) -> set[str]:
        looks.append(arguments[2])
        if len(looks) == 1:
            raise HoldfastError(ErrorCode.PEER_UNREACHABLE, "a test")
        return set()

    monkeypatch.setattr("activities.load.batches.acting", acting)
    summary = await bench.run(bench.small_plan("reviews"))
    assert looks == [["reviews"], ["reviews"]]
    assert (summary.cases.measured, summary.cases.invalid) == (1, 1)
    assert summary.verdict == "inconclusive"


@pytest.mark.exhaustive
async def test_a_run_cancelled_while_it_waits_for_the_namespace_is_recorded(bench: Bench) -> None:
    """It never held the lock, so it records its own end."""
    first = await bench.start(bench.small_plan(load=LONG_LOAD))
    await bench.until_phase(first, Phase.INJECTING_AND_REPLAYING)
    second = await bench.start(bench.small_plan(name="other"), workflow_id=f"other/{bench.name}", if_busy="wait")
    await bench.until_state(second, lambda state: bool(state.waiting_for), "waiting")
    await second.cancel()
    with pytest.raises(WorkflowFailureError):
        await second.result()
    record = await bench.store.executions.latest_of(second.id)
    assert record is not None
    assert (record.run_status, record.status) == (RunStatus.CANCELLED, Phase.CANCELLED)
    await first.cancel()
    await bench.lock_ended(first)


@pytest.mark.parametrize("phase", mostly_exhaustive(STOPPABLE))
async def test_a_terminated_run_is_cleaned_up_by_its_windows(bench: Bench, phase: Phase) -> None:
    """No code of the run itself runs any more. Windows and lock end by themselves, and the record shows it."""
    handle = await bench.start(bench.small_plan(load=LONG_LOAD))
    await bench.until_phase(handle, phase)
    await handle.terminate("a test")
    report = await bench.lock_ended(handle)
    assert report is not None
    assert report.recovery_verified
    assert bench.lab.state().clean
    record = await bench.store.executions.row(report.execution_id)
    assert (record.run_status, record.status) == (RunStatus.FAILED, Phase.FAILED)
    assert record.error_code == ErrorCode.TERMINATED


async def test_abort_closes_everything_before_the_run_ends(bench: Bench) -> None:
    """The failure carries the reason of the abort."""
    handle = await bench.start(bench.small_plan(load=LONG_LOAD))
    await bench.until_phase(handle, Phase.LOAD_TEST_BASELINE)
    assert "closed first" in await handle.execute_update(ABORT_UPDATE, "wrong cluster")
    found = await failure(bench, handle)
    assert (found.code, found.phase) == (ErrorCode.ABORTED, Phase.LOAD_TEST_BASELINE)
    assert "wrong cluster" in found.message
    assert found.recovery is Recovery.VERIFIED
    assert bench.lab.state().clean


async def test_a_paused_run_begins_nothing_new(bench: Bench) -> None:
    """No fault is injected while it is paused. Resumed, it completes."""
    handle = await bench.start(bench.small_plan())
    await bench.until_state(handle, lambda state: any(row.kind == "recording" for row in state.windows), "a recording")
    assert await handle.execute_update(PAUSE_UPDATE) == "paused"
    await bench.until_phase(handle, Phase.INJECTING_AND_REPLAYING)
    await bench.until_clean()
    state = await bench.status(handle)
    assert state is not None
    assert state.paused
    assert not [row for row in state.windows if row.kind == "fault"]
    assert await handle.execute_update(RESUME_UPDATE) == "resumed"
    assert (await handle.result()).cases.measured == 4


@pytest.mark.exhaustive
async def test_a_paused_run_can_be_cancelled(bench: Bench) -> None:
    """A pause never delays recovery."""
    handle = await bench.start(bench.small_plan(load=LONG_LOAD))
    await bench.until_phase(handle, Phase.LOAD_TEST_BASELINE)
    await handle.execute_update(PAUSE_UPDATE)
    await handle.cancel()
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    assert bench.lab.state().clean


def _impatient(plan: dict[str, Any]) -> dict[str, Any]:
    """Shorten the request's timeout. A request may not take longer than the whole analysis."""
    plan["request"]["timeout"] = "1s"
    plan["slo"] = {"error_rate": "1%"}
    return plan


@pytest.mark.exhaustive
async def test_a_stalled_analysis_ends_with_analyze_timeout(bench: Bench) -> None:
    """The failure names the phase, and the recordings that the proxy would have left on are stopped."""
    bench.lab.misbehave(Misbehaviour(analysis_stalls=True))
    found = await failure(bench, await bench.start(_impatient(bench.small_plan(timeouts={"analyze": "2s"}))))
    assert (found.code, found.error_class) == (ErrorCode.ANALYZE_TIMEOUT, ErrorClass.TIMEOUT)
    assert found.phase == Phase.ANALYZING_PATTERNS
    assert "COLLECTING_DATA" in found.message
    assert bench.lab.state().clean


async def test_a_failed_analysis_ends_with_analyze_failed(bench: Bench) -> None:
    """The failure carries the proxy's own message, and the recordings are stopped."""
    bench.lab.misbehave(Misbehaviour(analysis_fails="no sidecar image"))
    # Less time than the recordings' own limit, so that only Holdfast can have stopped them.
    found = await failure(bench, await bench.start(bench.small_plan(timeouts={"recovery": "30s"})))
    assert found.code is ErrorCode.ANALYZE_FAILED
    assert "no sidecar image" in found.message
    assert found.recovery is Recovery.VERIFIED
    assert bench.lab.state().clean


@pytest.mark.exhaustive
async def test_rules_that_do_not_act_end_with_interceptor_not_ready(bench: Bench) -> None:
    """An upsert that reports success and does nothing is detected before any case is measured."""
    bench.lab.misbehave(Misbehaviour(instructions=[Instruction(endpoint=Endpoint.UPSERT, action=Action.LIE)]))
    handle = await bench.start(bench.small_plan(timeouts={"rules_ready": "1s"}))
    found = await failure(bench, handle)
    assert (found.code, found.phase) == (ErrorCode.INTERCEPTOR_NOT_READY, Phase.RULES_READY)
    assert found.execution_id is not None
    assert await bench.store.results.all(found.execution_id) == []
    assert bench.lab.state().clean


async def test_registered_rules_that_do_not_act_are_detected(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Registered sessions prove nothing: only the canary shows that no call is intercepted.

    Nothing is measured then.
    """

    async def claims(_: ProxyClient, *, record_id: str, services: list[str]) -> set[str]:
        return set(services) if record_id else set()

    monkeypatch.setattr(ProxyClient, "rules_active", claims)
    bench.lab.misbehave(Misbehaviour(instructions=[Instruction(endpoint=Endpoint.UPSERT, action=Action.LIE)]))
    handle = await bench.start(bench.small_plan(timeouts={"rules_ready": "1s", "recovery": "5s"}))
    found = await failure(bench, handle)
    assert found.code is ErrorCode.INTERCEPTOR_NOT_READY
    assert "do not act" in found.message
    assert found.execution_id is not None
    assert await bench.store.results.all(found.execution_id) == []
    # The same false claim makes closing unverifiable, and the run reports that.
    assert found.recovery is Recovery.UNVERIFIED


async def test_a_fault_that_never_runs_costs_only_its_own_cases(bench: Bench) -> None:
    """They are skipped with the reason and the others are measured, so the verdict is inconclusive."""
    plan = bench.small_plan("reviews", "bestsellers")
    plan["services"][0]["fault"] = {
        "type": "nonsense",
        "experiment": {
            "scope": "pod",
            "target": "nonsense",
            "action": "none",
            "matchers": {"labels": [f"app={plan['services'][0]['name']}"]},
        },
    }
    broken = plan["services"][0]["name"]
    summary = await bench.run(plan)
    results = {result.case_id: result for result in await bench.store.results.all(summary.execution_id)}
    assert {name for name, result in results.items() if result.outcome == "skipped"} == {broken, "bestsellers+reviews"}
    assert all(broken in result.reason for result in results.values() if result.outcome == "skipped")
    assert (summary.cases.measured, summary.cases.skipped) == (2, 2)
    assert summary.verdict == "inconclusive"


@pytest.mark.exhaustive
async def test_services_without_recorded_traffic_are_skipped(bench: Bench) -> None:
    """An analysis that completes without patterns gives no data, so no fault is injected there."""
    bench.lab.misbehave(unseen("reviews"))
    summary = await bench.run(bench.small_plan())
    assert (summary.cases.measured, summary.cases.skipped) == (2, 2)
    log = [row.service for row in await bench.store.ledger.of(summary.execution_id) if row.kind == "fault"]
    assert log == ["shipping"]


async def test_a_second_run_on_the_namespace_is_refused(bench: Bench) -> None:
    """EXECUTION_ALREADY_RUNNING names the holder.

    The refused run touched nothing, and the first run is not disturbed.
    """
    first = await bench.start(bench.small_plan(load={"requests": 8, "concurrency": 2}))
    await bench.until_phase(first, Phase.INJECTING_AND_REPLAYING)
    second = await bench.start(bench.small_plan(name="other"), workflow_id=f"other/{bench.name}")
    found = await failure(bench, second)
    assert found.code is ErrorCode.EXECUTION_ALREADY_RUNNING
    assert first.id in found.message
    assert found.recovery is Recovery.NOT_NEEDED
    assert (await first.result()).cases.measured == 4
    assert found.execution_id is not None
    record = await bench.store.executions.row(found.execution_id)
    assert (record.run_status, record.error_code) == (RunStatus.FAILED, ErrorCode.EXECUTION_ALREADY_RUNNING)


@pytest.mark.exhaustive
@pytest.mark.parametrize("if_busy", ["wait", "replace"])
async def test_a_second_run_waits_for_the_first_or_replaces_it_when_asked(bench: Bench, if_busy: str) -> None:
    """`wait` lets the holder finish; `replace` has it cancelled and cleaned up first. Then the second run completes."""
    first = await bench.start(bench.small_plan(load={"requests": 8, "concurrency": 2}))
    await bench.until_phase(first, Phase.INJECTING_AND_REPLAYING)
    second = await bench.start(bench.small_plan(name="other"), workflow_id=f"other/{bench.name}", if_busy=if_busy)
    assert (await second.result()).cases.measured == 4
    await bench.lock_ended(second)
    if if_busy == "wait":
        assert (await first.result()).cases.measured == 4
    else:
        with pytest.raises(WorkflowFailureError) as raised:
            await first.result()
        assert isinstance(raised.value.cause, CancelledError)
    assert bench.lab.state().clean
