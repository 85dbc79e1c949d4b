"""However a run ends, everything it switched on is off."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError, CancelledError

from clients.proxy import ProxyClient
from clients.store.store import Store
from lab import Misbehaviour
from lab.misbehave import Action, Instruction
from lab.names import Endpoint
from tests.e2e.bench import Bench, unseen, until
from workflows.contracts.errors import ErrorClass, ErrorCode, HoldfastError
from workflows.contracts.execution import Phase, Recovery, RunFailure, RunStatus
from workflows.names import ABORT_UPDATE, PAUSE_UPDATE, RESUME_UPDATE

STOPPABLE = [
    Phase.ANALYZING_PATTERNS,
    Phase.INJECTING_AND_REPLAYING,
    Phase.RULES_READY,
    Phase.LOAD_TEST_BASELINE,
]

LONG_LOAD = {"requests": 400, "concurrency": 1}
"""Long enough that a run is still measuring when a test stops it."""


@pytest.mark.parametrize("phase", STOPPABLE)
async def test_a_cancelled_run_ends_cancelled_and_clean(bench: Bench, phase: Phase) -> None:
    """In every phase: the run never completes, all is off when its lock has ended, and the record says so."""
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
    record = await bench.store.execution_row(report.execution_id)
    assert (record.run_status, record.status) == (RunStatus.CANCELLED, Phase.CANCELLED)
    assert record.recovery is Recovery.VERIFIED


async def seen_on(bench: Bench, handle: WorkflowHandle[Any, Any], kind: str, state: str) -> None:
    await bench.until_state(
        handle, lambda run: any(row.kind == kind and row.state == state for row in run.windows), f"{kind} {state}"
    )


@pytest.mark.parametrize("endpoint", [Endpoint.UPSERT, Endpoint.EXECUTE, Endpoint.ANALYZE])
async def test_a_cancel_during_a_slow_call_leaves_nothing_that_begins_later(bench: Bench, endpoint: Endpoint) -> None:
    """The peer goes on working after we have let go: its answer is waited for before anything is called gone."""
    slow = Instruction(endpoint=endpoint, action=Action.SLOW, seconds=5)
    bench.lab.misbehave(Misbehaviour(instructions=[slow]))
    handle = await bench.start(bench.small_plan("reviews"))
    kind = {Endpoint.UPSERT: "rules", Endpoint.EXECUTE: "fault", Endpoint.ANALYZE: "recording"}[endpoint]
    await seen_on(bench, handle, kind, "opening")

    async def called() -> bool:
        history = await bench.temporal.get_workflow_handle(await window_of(bench, handle, kind)).fetch_history()
        names = [one.activity_task_scheduled_event_attributes.activity_type.name for one in history.events]
        return bool({"upsert_rules", "inject_fault", "start_analysis"}.intersection(names))

    await until(called, "the call")
    await handle.cancel()
    report = await bench.lock_ended(handle)
    assert report is not None
    assert report.recovery_verified
    assert bench.lab.state().clean
    # Nothing is left in the lab that could still begin: every call it got has been answered.
    await asyncio.sleep(slow.seconds)
    assert bench.lab.state().clean


async def window_of(bench: Bench, handle: WorkflowHandle[Any, Any], kind: str) -> str:
    state = await bench.status(handle)
    assert state is not None
    return next(row.window_id for row in state.windows if row.kind == kind)


async def test_a_pause_while_the_rules_close_does_no_harm(bench: Bench) -> None:
    """The page it would be passed on to has ended; the window goes on closing."""
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


async def test_nothing_new_begins_after_an_abort(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when the step at work ends normally, as if nobody had asked."""
    real, at_work = Store.save_tokens, asyncio.Event()

    async def slow(store: Store, execution_id: int, tokens: dict[str, str]) -> None:
        at_work.set()
        await asyncio.sleep(1)
        await real(store, execution_id, tokens)

    monkeypatch.setattr(Store, "save_tokens", slow)
    handle = await bench.start(bench.small_plan())
    await at_work.wait()
    await handle.execute_update(ABORT_UPDATE, "a test")
    found = await failure(bench, handle)
    assert (found.code, found.phase) == (ErrorCode.ABORTED, Phase.ANALYZING_PATTERNS)
    assert not [row for row in await bench.store.ledger_of(found.execution_id or 0) if row.kind == "fault"]


@pytest.mark.exhaustive
async def test_a_window_that_is_overdue_costs_its_own_service_only(bench: Bench) -> None:
    """Its fault is removed, its cases are skipped with the reason, and the other service is tested."""
    hang = Instruction(endpoint=Endpoint.EXECUTE, action=Action.HANG, contains="-reviews-")
    bench.lab.misbehave(Misbehaviour(instructions=[hang]))
    plan = bench.small_plan(timeouts={"fault_running": "1s", "replay": "1s"}, safety={"fault_ttl": "32s"})
    summary = await bench.run(plan)
    assert (summary.cases.measured, summary.cases.skipped) == (2, 2)
    results = await bench.store.results(summary.execution_id)
    assert any("closed itself" in one.reason for one in results)
    assert summary.recovery is Recovery.VERIFIED
    assert bench.lab.state().clean


async def test_rules_that_vanish_are_noticed_by_whichever_attempt(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch whose first look fails is looked at again, though every case has been measured by then."""
    looks = []

    async def acting(*arguments: Any) -> set[str]:
        looks.append(arguments[2])
        if len(looks) == 1:
            raise HoldfastError(ErrorCode.PEER_UNREACHABLE, "a test")
        return set()

    monkeypatch.setattr("activities.load.acting", acting)
    summary = await bench.run(bench.small_plan("reviews"))
    assert looks == [["reviews"], ["reviews"]]
    assert (summary.cases.measured, summary.cases.invalid) == (1, 1)
    assert summary.verdict == "inconclusive"


async def test_a_run_cancelled_while_it_waits_for_the_namespace_is_recorded(bench: Bench) -> None:
    """It never held the lock, so it writes its own end."""
    first = await bench.start(bench.small_plan(load=LONG_LOAD))
    await bench.until_phase(first, Phase.INJECTING_AND_REPLAYING)
    second = await bench.start(bench.small_plan(name="other"), workflow_id=f"other/{bench.name}", if_busy="wait")
    await bench.until_state(second, lambda state: bool(state.waiting_for), "waiting")
    await second.cancel()
    with pytest.raises(WorkflowFailureError):
        await second.result()
    record = await bench.store.latest_execution_of(second.id)
    assert record is not None
    assert (record.run_status, record.status) == (RunStatus.CANCELLED, Phase.CANCELLED)
    await first.cancel()
    await bench.lock_ended(first)


@pytest.mark.parametrize("phase", STOPPABLE)
async def test_a_terminated_run_is_cleaned_up_by_its_windows(bench: Bench, phase: Phase) -> None:
    """No code of the run itself runs any more; windows and lock end by themselves, and the record tells of it."""
    handle = await bench.start(bench.small_plan(load=LONG_LOAD))
    await bench.until_phase(handle, phase)
    await handle.terminate("a test")
    report = await bench.lock_ended(handle)
    assert report is not None
    assert report.recovery_verified
    assert bench.lab.state().clean
    record = await bench.store.execution_row(report.execution_id)
    assert (record.run_status, record.status) == (RunStatus.FAILED, Phase.FAILED)
    assert record.error_code == ErrorCode.TERMINATED


async def failure(bench: Bench, handle: object) -> RunFailure:
    """How a run failed; everything must be off by then."""
    with pytest.raises(WorkflowFailureError) as raised:
        await handle.result()  # type: ignore[attr-defined]
    cause = raised.value.cause
    assert isinstance(cause, ApplicationError)
    found = RunFailure.model_validate(cause.details[0])
    assert cause.type == found.code
    return found


async def test_abort_closes_everything_first(bench: Bench) -> None:
    """The reason is in the failure, and nothing is on when the run ends."""
    handle = await bench.start(bench.small_plan(load=LONG_LOAD))
    await bench.until_phase(handle, Phase.LOAD_TEST_BASELINE)
    assert "closed first" in await handle.execute_update(ABORT_UPDATE, "wrong cluster")
    found = await failure(bench, handle)
    assert (found.code, found.phase) == (ErrorCode.ABORTED, Phase.LOAD_TEST_BASELINE)
    assert "wrong cluster" in found.message
    assert found.recovery is Recovery.VERIFIED
    assert bench.lab.state().clean


async def test_a_paused_run_begins_nothing_new(bench: Bench) -> None:
    """No fault begins while paused; resumed, the run completes."""
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
    """A request may not take longer than the whole analysis."""
    plan["request"]["timeout"] = "1s"
    plan["slo"] = {"error_rate": "1%"}
    return plan


async def test_a_stalled_analysis_ends_with_analyze_timeout(bench: Bench) -> None:
    """ANALYZE_TIMEOUT, with its phase, and the recordings that the proxy would have left on are stopped."""
    bench.lab.misbehave(Misbehaviour(analysis_stalls=True))
    found = await failure(bench, await bench.start(_impatient(bench.small_plan(timeouts={"analyze": "2s"}))))
    assert (found.code, found.error_class) == (ErrorCode.ANALYZE_TIMEOUT, ErrorClass.TIMEOUT)
    assert found.phase is Phase.ANALYZING_PATTERNS
    assert "COLLECTING_DATA" in found.message
    assert bench.lab.state().clean


async def test_a_failed_analysis_ends_with_analyze_failed(bench: Bench) -> None:
    """ANALYZE_FAILED carries the proxy's own words, and its recordings are stopped."""
    bench.lab.misbehave(Misbehaviour(analysis_fails="no sidecar image"))
    # Less time than the recordings themselves have, so that nobody but us can have ended them.
    found = await failure(bench, await bench.start(bench.small_plan(timeouts={"recovery": "30s"})))
    assert found.code is ErrorCode.ANALYZE_FAILED
    assert "no sidecar image" in found.message
    assert found.recovery is Recovery.VERIFIED
    assert bench.lab.state().clean


async def test_rules_that_do_not_act_end_with_interceptor_not_ready(bench: Bench) -> None:
    """An upsert that says yes and does nothing is found out before any case is measured."""
    bench.lab.misbehave(Misbehaviour(instructions=[Instruction(endpoint=Endpoint.UPSERT, action=Action.LIE)]))
    handle = await bench.start(bench.small_plan(timeouts={"rules_ready": "1s"}))
    found = await failure(bench, handle)
    assert (found.code, found.phase) == (ErrorCode.INTERCEPTOR_NOT_READY, Phase.RULES_READY)
    assert found.execution_id is not None
    assert await bench.store.results(found.execution_id) == []
    assert bench.lab.state().clean


async def test_registered_rules_that_do_not_act_are_found_out(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions are no proof: only the canary tells that nothing is intercepted, and then nothing is measured."""

    async def claims(_: ProxyClient, *, record_id: str, services: list[str]) -> set[str]:
        return set(services) if record_id else set()

    monkeypatch.setattr(ProxyClient, "rules_active", claims)
    bench.lab.misbehave(Misbehaviour(instructions=[Instruction(endpoint=Endpoint.UPSERT, action=Action.LIE)]))
    handle = await bench.start(bench.small_plan(timeouts={"rules_ready": "1s", "recovery": "5s"}))
    found = await failure(bench, handle)
    assert found.code is ErrorCode.INTERCEPTOR_NOT_READY
    assert "do not act" in found.message
    assert found.execution_id is not None
    assert await bench.store.results(found.execution_id) == []
    # The same claim makes the closing unverifiable, and that is what is reported.
    assert found.recovery is Recovery.UNVERIFIED


async def test_one_services_trouble_stays_its_own(bench: Bench) -> None:
    """A fault that never runs costs its own cases, with the reason; the others are measured; inconclusive."""
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
    results = {one.case_id: one for one in await bench.store.results(summary.execution_id)}
    assert {name for name, one in results.items() if one.outcome == "skipped"} == {broken, "bestsellers+reviews"}
    assert all(broken in one.reason for one in results.values() if one.outcome == "skipped")
    assert (summary.cases.measured, summary.cases.skipped) == (2, 2)
    assert summary.verdict == "inconclusive"


async def test_services_without_recorded_traffic_are_skipped(bench: Bench) -> None:
    """COMPLETED without patterns is no data: no fault is injected there, and its cases are skipped."""
    bench.lab.misbehave(unseen("reviews"))
    summary = await bench.run(bench.small_plan())
    assert (summary.cases.measured, summary.cases.skipped) == (2, 2)
    log = [row.service for row in await bench.store.ledger_of(summary.execution_id) if row.kind == "fault"]
    assert log == ["shipping"]


async def test_a_second_run_on_the_namespace_is_refused(bench: Bench) -> None:
    """EXECUTION_ALREADY_RUNNING names the holder; the refused run touched nothing, the first one is not disturbed."""
    first = await bench.start(bench.small_plan(load={"requests": 8, "concurrency": 2}))
    await bench.until_phase(first, Phase.INJECTING_AND_REPLAYING)
    second = await bench.start(bench.small_plan(name="other"), workflow_id=f"other/{bench.name}")
    found = await failure(bench, second)
    assert found.code is ErrorCode.EXECUTION_ALREADY_RUNNING
    assert first.id in found.message
    assert found.recovery is Recovery.NOT_NEEDED
    assert (await first.result()).cases.measured == 4
    assert found.execution_id is not None
    record = await bench.store.execution_row(found.execution_id)
    assert (record.run_status, record.error_code) == (RunStatus.FAILED, ErrorCode.EXECUTION_ALREADY_RUNNING)


@pytest.mark.exhaustive
@pytest.mark.parametrize("if_busy", ["wait", "replace"])
async def test_a_second_run_waits_or_replaces_when_asked(bench: Bench, if_busy: str) -> None:
    """`wait` lets the holder finish, `replace` has it cancelled and cleaned up first; then the second run completes."""
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
