"""Recordings of calls: what hostile ones, lost ones and strangers' requests make of a round, never a false one."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import JsonValue
from temporalio.exceptions import ApplicationError

from activities import calls, clocks, recorded_calls
from activities.calls import CallActivities
from activities.capturing_calls import CaptureActivities
from activities.executions import ExecutionActivities
from lab import Action, Endpoint, Instruction, Misbehaviour
from tests.activities.conftest import stage
from tests.activities.permits import called_by, entitled, own_fault_name
from tests.activities.stage import Stage
from tests.e2e.bench import until
from workflows.contracts.calls import AskOrder, CallRound, CallsFound, CallsOrder
from workflows.contracts.errors import ErrorCode
from workflows.contracts.faults import FaultOrder
from workflows.contracts.traffic import RecordingsOrder
from workflows.contracts.windows import Closing
from workflows.logic.tokens import calls_marker

__all__ = ["stage"]

pytestmark = [pytest.mark.timeout(60), pytest.mark.parametrize("stage", [{"analyze": "6s"}], indirect=True)]

ANSWERING = "shipping"
"""A service that answers with an error while it is broken."""


@pytest.fixture
async def recorded(stage: Stage) -> Stage:
    """A stage whose services are recorded, after one healthy request."""
    work = CallActivities(stage.tools)
    await stage.do(work.start, stage.ref)
    await stage.do(work.send_healthy, stage.ref)
    forwarded = dict.fromkeys(stage.plan.service_names, True)
    await stage.tools.store.save_propagation(stage.execution.execution_id, forwarded)
    return stage


async def read(stage: Stage, number: int = 1) -> tuple[CallsFound, CallRound]:
    run = stage.execution.execution_id
    found: CallsFound = await stage.do(CallActivities(stage.tools).read, CallsOrder(execution_id=run, round=number))
    rounds = await stage.tools.store.call_rounds(run)
    return found, next(one for one in rounds if one.round == number)


async def stopped(stage: Stage) -> Closing:
    order = RecordingsOrder(execution_id=stage.execution.execution_id)
    closing: Closing = await stage.do(stage.traffic.stop, order)
    return closing


def entries(body: JsonValue, **more: Any) -> Misbehaviour:
    answer = {"success": True, "data": body}
    one = Instruction(endpoint=Endpoint.RECORDING_ENTRIES, action=Action.REPLACE, body=answer, **more)
    return Misbehaviour(instructions=[one])


def entry(**changes: JsonValue) -> dict[str, JsonValue]:
    return {"method": "GET", "path": "/api/x", "status": 200, "requestHeaders": {}, "responseHeaders": {}} | changes


async def test_what_the_healthy_request_causes_is_seen_at_every_service(recorded: Stage) -> None:
    found, kept = await read(recorded)
    assert (kept.unread, kept.detail) == (["bestsellers", "inventory"], "") or kept.complete
    # No analysis has recorded anything in this run, so that all of it is new.
    assert ANSWERING in found.to_capture
    assert (await stopped(recorded)).verified
    assert recorded.lab.state().clean


@pytest.mark.parametrize("index", [16, 10**8, 999_999_999])
async def test_a_marker_of_no_case_is_nobodys(recorded: Stage, index: int) -> None:
    """Whoever has seen a marker can write one. Five services make the cases 0 to 15."""
    forged = calls_marker(recorded.execution.record_id, index, 1)
    async with httpx.AsyncClient(trust_env=False) as client:
        await client.get(f"{recorded.lab.addresses.services[ANSWERING]}/api/forged", headers={"baggage": forged})
    _, kept = await read(recorded)
    assert kept.detail == ""
    seen = await recorded.tools.store.calls(recorded.execution.execution_id)
    assert {one.case_index for one in seen} == {0}
    assert not [one for one in seen if one.path == "/api/forged"]


async def test_the_traffic_of_others_keeps_no_round_from_being_read(recorded: Stage) -> None:
    """A system in use is never quiet."""
    asked = 0

    async def others() -> None:
        nonlocal asked
        async with httpx.AsyncClient(trust_env=False) as client:
            while True:
                await client.get(f"{recorded.lab.addresses.services[ANSWERING]}/api/others")
                asked += 1

    going_on = asyncio.create_task(others())
    _, kept = await read(recorded)
    assert not going_on.done()
    going_on.cancel()
    assert kept.detail == ""
    assert asked


async def test_where_no_service_is_reached_nobody_waits_for_calls(stage: Stage) -> None:
    """None is broken then."""
    work = CallActivities(stage.tools)
    await stage.do(work.start, stage.ref)
    _, kept = await read(stage)
    assert not kept.complete
    assert "reaches none of its services" in kept.detail


async def test_recordings_that_cannot_be_read_are_not_taken_for_empty_ones(stage: Stage) -> None:
    work = CallActivities(stage.tools)
    await stage.do(work.start, stage.ref)
    refused = Instruction(endpoint=Endpoint.RECORDING_ENTRIES, action=Action.REFUSE_500)
    stage.lab.misbehave(Misbehaviour(instructions=[refused]))
    _, kept = await read(stage)
    assert (kept.complete, kept.detail) == (False, "the recordings of calls could not be read")


async def test_after_a_dead_attempt_nothing_may_come_on_before_recordings_begin(stage: Stage) -> None:
    """Nobody knows what it has asked for: it must stay absent for as long as a rollout takes, and that takes time."""
    await stage.do(CallActivities(stage.tools).start, stage.ref, attempt=2)
    assert stage.lab.state().recordings


async def test_callers_that_recover_late_cost_reading_nothing_of_its_time(
    recorded: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was sent until it succeeded has times of its own."""
    send = CallActivities._send

    async def slowly(*order: Any) -> int:
        number = await send(*order)
        monkeypatch.setattr(clocks, "_of_this_attempt", lambda: timedelta(hours=1))
        return number

    monkeypatch.setattr(CallActivities, "_send", slowly)
    _, kept = await read(recorded)
    assert kept.detail == ""


@pytest.mark.parametrize(
    "body",
    ["text", {"a": 1}, [7], [None], [{}], [entry(method="")], [entry(path=[1])], [entry()] * 501],
    ids=["text", "mapping", "number", "null", "empty", "no method", "path", "too many"],
)
async def test_entries_that_cannot_be_read_make_the_round_incomplete(recorded: Stage, body: JsonValue) -> None:
    recorded.lab.misbehave(entries(body))
    found, kept = await read(recorded)
    assert not kept.complete
    assert "did not show the last request" in kept.detail
    assert (found.to_capture, found.pairs, found.new) == ([], [], 0)


async def test_entries_without_end_are_given_up_and_the_round_is_incomplete(
    recorded: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy that ignores the offset, or other people's traffic, and no request of ours among the first of it."""
    monkeypatch.setattr(recorded_calls, "MOST_ENTRIES", 2_000)
    recorded.lab.misbehave(entries([entry()] * recorded_calls.PAGE))
    found, kept = await read(recorded)
    assert not kept.complete
    assert "2000 requests were recorded" in kept.detail
    assert (found.to_capture, found.pairs) == ([], [])


async def test_a_recording_that_is_lost_makes_the_round_incomplete(recorded: Stage) -> None:
    """Also one of a service that the healthy request does not reach: nothing else would show it."""
    client = recorded.tools.proxy(recorded.plan)
    (lost,) = [one for one in await client.active_sessions() if one.service == "bestsellers"]
    await client.stop_recording(lost.session_id)
    _, kept = await read(recorded)
    assert not kept.complete
    assert "bestsellers" in kept.unread


async def test_entries_that_are_gone_are_no_complete_round(recorded: Stage) -> None:
    """The proxy was restarted and has forgotten its recordings."""
    refused = Instruction(endpoint=Endpoint.RECORDINGS_ACTIVE, action=Action.LIE)
    recorded.lab.misbehave(Misbehaviour(instructions=[refused]))
    found, kept = await read(recorded)
    assert not kept.complete
    assert (found.to_capture, found.new) == ([], 0)


@pytest.mark.parametrize("target", ["@127.0.0.1:9/x", "http://127.0.0.1:9/x", "0/x", "*", "?x"])
async def test_a_path_that_leads_elsewhere_is_never_asked(recorded: Stage, target: str) -> None:
    """Behind an address it would make another one of it."""
    mark = {"baggage": calls_marker(recorded.execution.record_id, 1, 1)}
    recorded.lab.misbehave(entries([entry(path=target, requestHeaders=mark)], contains="offset=0"))
    await read(recorded)
    seen = [one for one in await recorded.tools.store.calls(recorded.execution.execution_id) if one.case_index == 1]
    assert seen
    assert all("none under which a service can be asked" in one.reason for one in seen)


def marked(stage: Stage, case_index: int, number: int, path: str, **changes: JsonValue) -> dict[str, JsonValue]:
    mark = calls_marker(stage.execution.record_id, case_index, number)
    return entry(path=path, requestHeaders={"baggage": mark}, **changes)


async def test_of_a_repeated_healthy_request_only_the_successful_one_counts(recorded: Stage) -> None:
    """The failed one fell back to what a failure causes."""
    seen = [
        marked(recorded, 0, 1, "/api/list"),
        marked(recorded, 0, 1 + recorded_calls.AGAIN, "/api/items"),
        marked(recorded, 2, 1_001, "/api/list"),
    ]
    recorded.lab.misbehave(entries(seen, contains="offset=0"))
    await read(recorded)
    kept = await recorded.tools.store.calls(recorded.execution.execution_id)
    assert {(one.case_index, one.path, one.healthy_times) for one in kept} == {
        (0, "/api/items", 0),
        (2, "/api/list", 0),
    }


async def test_the_failure_of_a_broken_service_is_not_taken_for_its_healthy_answer(recorded: Stage) -> None:
    """A caller that asks the broken service once more, under another path."""
    index = 1 + recorded.plan.service_names.index(ANSWERING)
    broken = marked(recorded, index, 1_001, "/api/v2", status=500, responseBody="boom")
    recorded.lab.misbehave(entries([broken], contains="offset=0"))
    await read(recorded)
    stored = await recorded.tools.store.exchanges(recorded.execution.execution_id, ANSWERING)
    assert [(one.response_status, one.response_body) for one in stored if one.path == "/api/v2"] == [(0, "")]


async def test_calls_of_any_length_are_not_kept(recorded: Stage) -> None:
    longest = "/" + "x" * recorded_calls.LONGEST_TARGET
    recorded.lab.misbehave(entries([marked(recorded, 1, 1_001, longest)], contains="offset=0"))
    _, kept = await read(recorded)
    assert not kept.complete
    assert "one of them is garbage" in kept.detail
    assert not [one for one in await recorded.tools.store.calls(recorded.execution.execution_id) if one.case_index]


@pytest.mark.parametrize("lost", [True, False])
async def test_answers_count_only_if_no_recording_ended_meanwhile(
    recorded: Stage, monkeypatch: pytest.MonkeyPatch, lost: bool
) -> None:
    """Its end replaces the broken pod."""
    run, real = recorded.execution.execution_id, calls.ask
    fault = own_fault_name(recorded.execution, ANSWERING)
    faulty = FaultOrder(execution_id=run, service=ANSWERING, fault_name=fault)
    order = AskOrder(
        execution_id=run, case_index=1 + recorded.plan.service_names.index(ANSWERING), faults={ANSWERING: fault}
    )

    async def asked(*what: Any) -> Any:
        client = recorded.tools.proxy(recorded.plan)
        (session,) = [one for one in await client.active_sessions() if one.service == ANSWERING]
        if lost:
            await client.stop_recording(session.session_id)
        return await real(*what)

    monkeypatch.setattr(calls, "ask", asked)
    records = ExecutionActivities(recorded.tools, recorded.execution.timing, search_attributes=False)
    await recorded.do(records.generate_cases, recorded.ref)
    await recorded.do(recorded.faults.inject, faulty)
    await recorded.do(recorded.faults.await_running, faulty)
    try:
        with pytest.raises(ApplicationError, match="a recording ended") if lost else nullcontext():
            await recorded.do(CallActivities(recorded.tools).ask_broken, order)
    finally:
        await recorded.do(recorded.faults.recover, faulty)
    assert (await recorded.tools.store.real_cases(run) == []) is lost


async def test_a_refused_recording_of_a_service_that_is_not_reached_costs_nothing(stage: Stage) -> None:
    refused = Instruction(endpoint=Endpoint.RECORDING_START, action=Action.REFUSE_500, contains="bestsellers")
    stage.lab.misbehave(Misbehaviour(instructions=[refused]))
    await stage.do(CallActivities(stage.tools).start, stage.ref)
    assert len(stage.lab.state().recordings) == len(stage.plan.services) - 1


@pytest.mark.parametrize("action", [Action.DROP, Action.ACT_THEN_DROP, Action.GARBAGE, Action.ACT_THEN_TRUNCATE])
async def test_a_recording_of_which_nobody_knows_is_not_taken_for_a_refused_one(stage: Stage, action: Action) -> None:
    """It may come on later, so that closing has to wait for it."""
    unknown = Instruction(endpoint=Endpoint.RECORDING_START, action=action, contains="bestsellers")
    stage.lab.misbehave(Misbehaviour(instructions=[unknown]))
    with pytest.raises(ApplicationError) as raised:
        await stage.do(CallActivities(stage.tools).start, stage.ref)
    assert raised.value.type == ErrorCode.ANALYZE_FAILED
    stage.lab.misbehave(Misbehaviour())
    assert (await stopped(stage)).verified
    assert stage.lab.state().clean


async def test_after_a_cancel_no_further_recording_is_begun(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has begun is awaited; a thousand services would be recorded one after the other for hours."""
    monkeypatch.setattr(calls, "_AT_ONCE", 1)
    slow = Instruction(endpoint=Endpoint.RECORDING_START, action=Action.SLOW, seconds=0.5)
    stage.lab.misbehave(Misbehaviour(instructions=[slow]))
    start = CallActivities(stage.tools).start
    environment = called_by(await entitled(stage.tools.store, stage.execution, stage.plan, start, stage.ref))
    begun = asyncio.create_task(environment.run(start, stage.ref))

    async def asked() -> bool:
        return stage.lab.calls[Endpoint.RECORDING_START] > 0

    await until(asked, "the first start")
    environment.cancel()
    with pytest.raises(asyncio.CancelledError):
        await begun
    assert stage.lab.calls[Endpoint.RECORDING_START] == 1
    assert (await stopped(stage)).verified
    assert stage.lab.state().clean


async def test_what_a_broken_service_answers_is_captured_and_not_what_it_thinks_of_our_request(recorded: Stage) -> None:
    """The recorded request is sent again as it was: each header once, without what marked it."""
    await read(recorded)
    run = recorded.execution.execution_id
    order = FaultOrder(execution_id=run, service=ANSWERING, fault_name=own_fault_name(recorded.execution, ANSWERING))
    await recorded.do(recorded.faults.inject, order)
    await recorded.do(recorded.faults.await_running, order)
    try:
        await recorded.do(CaptureActivities(recorded.tools).capture, order)
    finally:
        await recorded.do(recorded.faults.recover, order)
    captured = [one for one in await recorded.tools.store.captured(run) if one.service == ANSWERING]
    assert captured
    assert {(one.status, one.substituted) for one in captured} == {(500, False)}


async def test_a_capture_whose_recording_is_gone_proves_nothing(recorded: Stage) -> None:
    """Neither a rule nor a substitute is made of it."""
    await read(recorded)
    run = recorded.execution.execution_id
    order = FaultOrder(execution_id=run, service=ANSWERING, fault_name=own_fault_name(recorded.execution, ANSWERING))
    await recorded.do(recorded.faults.inject, order)
    await recorded.do(recorded.faults.await_running, order)
    recorded.lab.misbehave(entries([]))
    with pytest.raises(ApplicationError) as raised:
        await recorded.do(CaptureActivities(recorded.tools).capture, order)
    assert raised.value.type == ErrorCode.REPLAY_FAILED
    assert not [one for one in await recorded.tools.store.captured(run) if one.service == ANSWERING]
    assert (await recorded.do(recorded.faults.recover, order)).verified


async def test_secrets_of_a_call_are_kept_nowhere(recorded: Stage, tmp_path: Path) -> None:
    """In its path, query, headers and body: only the request that is sent again has them."""
    secret, cookie_value = "t0ken-s3cret-Qvb", "c00kie-s3cret-Wkp"
    recorded.tools.secrets.learn(secret)
    marked = {
        "baggage": calls_marker(recorded.execution.record_id, 1, 1),
        "authorization": f"Bearer {secret}",
        "cookie": f"session={cookie_value}",
        "content-type": "application/json",
    }
    hostile = entry(
        method="POST",
        path=f"/api/x/{secret}?key={secret}",
        requestHeaders=marked,
        requestBody=f'{{"echo": "{secret}"}}',
        responseHeaders={"set-cookie": f"session={cookie_value}"},
        responseBody=f'{{"echo": "{secret}"}}',
    )
    recorded.lab.misbehave(entries([hostile], contains="offset=0"))
    await read(recorded)
    seen = await recorded.tools.store.calls(recorded.execution.execution_id)
    assert [one.method for one in seen if one.case_index == 1] == ["POST"] * len(recorded.plan.services)
    stored = b"".join(one.read_bytes() for one in tmp_path.glob("holdfast.db*"))
    assert b"/api/x/" in stored
    for value in (secret, cookie_value):
        assert value.encode() not in stored
