"""Hostile recordings, lost recordings and strangers' requests never make a round of recorded calls false."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import JsonValue
from temporalio.exceptions import ApplicationError

from activities import clocks
from activities.run.executions import ExecutionActivities
from activities.stages import calls, recorded_calls
from activities.stages.calls import CallActivities
from activities.stages.capturing_calls import CaptureActivities
from activities.stages.plan_requests import send_requests
from clients.store.read_models import LogLevel
from clients.store.repositories.logs import Logs
from domain.calls.model import AskOrder, CallRound, CallsFound, CallsOrder
from domain.cases.tokens import calls_marker
from domain.errors import ErrorCode, HoldfastError
from domain.executions.windows import Closing
from domain.faults.model import FaultOrder
from domain.traffic.summary import RecordingsOrder
from lab import Action, Endpoint, Instruction, Misbehaviour
from tests.support.activities.fixtures import stage
from tests.support.activities.permits import called_by, entitled, own_fault_name
from tests.support.activities.stage import Stage
from tests.support.http import http_client
from tests.support.runs.bench import until

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
    await stage.tools.store.traffic.save_propagation(stage.execution.execution_id, forwarded)
    return stage


async def read(stage: Stage, number: int = 1) -> tuple[CallsFound, CallRound]:
    run = stage.execution.execution_id
    found: CallsFound = await stage.do(CallActivities(stage.tools).read, CallsOrder(execution_id=run, round=number))
    rounds = await stage.tools.store.calls.rounds(run)
    return found, next(call_round for call_round in rounds if call_round.round == number)


async def stopped(stage: Stage) -> Closing:
    order = RecordingsOrder(execution_id=stage.execution.execution_id)
    closing: Closing = await stage.do(stage.traffic.stop, order)
    return closing


def entries(body: JsonValue, **more: Any) -> Misbehaviour:
    answer = {"success": True, "data": body}
    instruction = Instruction(endpoint=Endpoint.RECORDING_ENTRIES, action=Action.REPLACE, body=answer, **more)
    return Misbehaviour(instructions=[instruction])


def entry(**changes: JsonValue) -> dict[str, JsonValue]:
    return {"method": "GET", "path": "/api/x", "status": 200, "requestHeaders": {}, "responseHeaders": {}} | changes


async def test_recordings_are_started_once_although_their_log_line_cannot_be_written(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An attempt that failed now would stop them all and start them again: a rollout each, in a real cluster."""
    add = Logs.add
    away = True

    async def refused(logs: Logs, execution_id: int, key: str, level: LogLevel, message: str) -> None:
        if away:
            raise HoldfastError(ErrorCode.STORE_UNAVAILABLE, "the database did not answer")
        await add(logs, execution_id, key, level, message)

    monkeypatch.setattr(Logs, "add", refused)
    await stage.do(CallActivities(stage.tools).start, stage.ref)
    recorded = len(stage.lab.state().recordings)
    assert recorded > 0
    away = False
    await stage.tools.notes.write()
    lines = [entry.message for entry in await stage.tools.store.logs.of(stage.execution.execution_id)]
    assert lines == [f"recording the calls of {len(stage.plan.services)} services"]


async def test_calls_caused_by_the_healthy_request_are_seen_at_every_service(recorded: Stage) -> None:
    found, kept = await read(recorded)
    assert (kept.unread, kept.detail) == (["bestsellers", "inventory"], "") or kept.complete
    # No analysis has recorded anything in this run, so every call is new.
    assert ANSWERING in found.to_capture
    assert (await stopped(recorded)).verified
    assert recorded.lab.state().clean


@pytest.mark.parametrize("index", [16, 10**8, 999_999_999])
async def test_a_marker_of_a_case_that_does_not_exist_is_ignored(recorded: Stage, index: int) -> None:
    """Anybody who has seen a marker can forge one. Five services make the cases 0 to 15."""
    forged = calls_marker(recorded.execution.record_id, index, 1)
    async with http_client() as client:
        await client.get(f"{recorded.lab.addresses.services[ANSWERING]}/api/forged", headers={"baggage": forged})
    _, kept = await read(recorded)
    assert kept.detail == ""
    seen = await recorded.tools.store.calls.all(recorded.execution.execution_id)
    assert {call.case_index for call in seen} == {0}
    assert not [call for call in seen if call.path == "/api/forged"]


async def test_other_peoples_traffic_does_not_keep_a_round_from_being_read(recorded: Stage) -> None:
    """A system in use is never quiet."""
    asked = 0

    async def others() -> None:
        nonlocal asked
        async with http_client() as client:
            while True:
                await client.get(f"{recorded.lab.addresses.services[ANSWERING]}/api/others")
                asked += 1

    going_on = asyncio.create_task(others())
    _, kept = await read(recorded)
    assert not going_on.done()
    going_on.cancel()
    assert kept.detail == ""
    assert asked


async def test_reading_does_not_wait_for_calls_when_no_service_is_reached(stage: Stage) -> None:
    """No service is broken in that case."""
    work = CallActivities(stage.tools)
    await stage.do(work.start, stage.ref)
    _, kept = await read(stage)
    assert not kept.complete
    assert "reaches none of its services" in kept.detail


async def test_unreadable_recordings_are_not_treated_as_empty(stage: Stage) -> None:
    work = CallActivities(stage.tools)
    await stage.do(work.start, stage.ref)
    refused = Instruction(endpoint=Endpoint.RECORDING_ENTRIES, action=Action.REFUSE_500)
    stage.lab.misbehave(Misbehaviour(instructions=[refused]))
    _, kept = await read(stage)
    assert (kept.complete, kept.detail) == (False, "the recordings of calls could not be read")


async def test_recordings_begin_after_those_of_a_dead_attempt_stayed_absent(stage: Stage) -> None:
    """Nobody knows what the dead attempt requested, so its recordings must stay absent for a whole rollout."""
    await stage.do(CallActivities(stage.tools).start, stage.ref, attempt=2)
    assert stage.lab.state().recordings


async def test_callers_that_recover_late_do_not_use_up_the_time_for_reading(
    recorded: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests that are sent until one succeeds have a time limit of their own."""
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


async def test_reading_gives_up_on_endless_entries_and_the_round_is_incomplete(
    recorded: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy ignores the offset, or the first entries are all other people's traffic."""
    monkeypatch.setattr(recorded_calls, "MOST_ENTRIES", 2_000)
    recorded.lab.misbehave(entries([entry()] * recorded_calls.PAGE))
    found, kept = await read(recorded)
    assert not kept.complete
    assert "2000 requests were recorded" in kept.detail
    assert (found.to_capture, found.pairs) == ([], [])


async def test_a_lost_recording_makes_the_round_incomplete(recorded: Stage) -> None:
    """Even that of a service which the healthy request does not reach: nothing else would show it."""
    client = recorded.tools.proxy(recorded.plan)
    (lost,) = [session for session in await client.active_sessions() if session.service == "bestsellers"]
    await client.stop_recording(lost.session_id)
    _, kept = await read(recorded)
    assert not kept.complete
    assert "bestsellers" in kept.unread


async def test_a_round_whose_entries_are_gone_is_incomplete(recorded: Stage) -> None:
    """The proxy was restarted and has lost its recordings."""
    refused = Instruction(endpoint=Endpoint.RECORDINGS_ACTIVE, action=Action.LIE)
    recorded.lab.misbehave(Misbehaviour(instructions=[refused]))
    found, kept = await read(recorded)
    assert not kept.complete
    assert (found.to_capture, found.new) == ([], 0)


@pytest.mark.parametrize("target", ["@127.0.0.1:9/x", "http://127.0.0.1:9/x", "0/x", "*", "?x"])
async def test_a_path_that_would_change_the_address_is_never_requested(recorded: Stage, target: str) -> None:
    """Appended to an address, it would make a different address."""
    mark = {"baggage": calls_marker(recorded.execution.record_id, 1, 1)}
    recorded.lab.misbehave(entries([entry(path=target, requestHeaders=mark)], contains="offset=0"))
    await read(recorded)
    seen = [
        call for call in await recorded.tools.store.calls.all(recorded.execution.execution_id) if call.case_index == 1
    ]
    assert seen
    assert all("its path cannot be used to ask a service" in call.reason for call in seen)


def marked(stage: Stage, case_index: int, number: int, path: str, **changes: JsonValue) -> dict[str, JsonValue]:
    mark = calls_marker(stage.execution.record_id, case_index, number)
    return entry(path=path, requestHeaders={"baggage": mark}, **changes)


async def test_only_the_successful_attempt_of_a_healthy_request_counts(recorded: Stage) -> None:
    """The failed attempt made the fallback calls that a failure causes."""
    seen = [
        marked(recorded, 0, 1, "/api/list"),
        marked(recorded, 0, 1 + recorded_calls.AGAIN, "/api/items"),
        marked(recorded, 2, 1_001, "/api/list"),
    ]
    recorded.lab.misbehave(entries(seen, contains="offset=0"))
    await read(recorded)
    kept = await recorded.tools.store.calls.all(recorded.execution.execution_id)
    assert {(call.case_index, call.path, call.healthy_times) for call in kept} == {
        (0, "/api/items", 0),
        (2, "/api/list", 0),
    }


async def test_the_answer_of_a_broken_service_is_not_stored_as_its_healthy_answer(recorded: Stage) -> None:
    """A caller may ask the broken service once more under another path."""
    index = 1 + recorded.plan.service_names.index(ANSWERING)
    broken = marked(recorded, index, 1_001, "/api/v2", status=500, responseBody="boom")
    recorded.lab.misbehave(entries([broken], contains="offset=0"))
    await read(recorded)
    stored = await recorded.tools.store.traffic.exchanges(recorded.execution.execution_id, ANSWERING)
    assert [
        (exchange.response_status, exchange.response_body) for exchange in stored if exchange.path == "/api/v2"
    ] == [(0, "")]


async def test_a_call_with_an_overlong_path_is_not_kept(recorded: Stage) -> None:
    longest = "/" + "x" * recorded_calls.LONGEST_TARGET
    recorded.lab.misbehave(entries([marked(recorded, 1, 1_001, longest)], contains="offset=0"))
    _, kept = await read(recorded)
    assert not kept.complete
    assert "one of them is garbage" in kept.detail
    assert not [
        call for call in await recorded.tools.store.calls.all(recorded.execution.execution_id) if call.case_index
    ]


@pytest.mark.parametrize("lost", [True, False])
async def test_answers_count_only_if_no_recording_ended_meanwhile(
    recorded: Stage, monkeypatch: pytest.MonkeyPatch, lost: bool
) -> None:
    """The end of a recording replaces the broken pod."""
    run, real = recorded.execution.execution_id, send_requests
    fault = own_fault_name(recorded.execution, ANSWERING)
    faulty = FaultOrder(execution_id=run, service=ANSWERING, fault_name=fault)
    order = AskOrder(
        execution_id=run, case_index=1 + recorded.plan.service_names.index(ANSWERING), faults={ANSWERING: fault}
    )

    async def asked(*what: Any) -> Any:
        client = recorded.tools.proxy(recorded.plan)
        (session,) = [active for active in await client.active_sessions() if active.service == ANSWERING]
        if lost:
            await client.stop_recording(session.session_id)
        return await real(*what)

    monkeypatch.setattr(calls, "send_requests", asked)
    records = ExecutionActivities(recorded.tools, recorded.execution.timing)
    await recorded.do(records.generate_cases, recorded.ref)
    await recorded.do(recorded.faults.inject, faulty)
    await recorded.do(recorded.faults.await_running, faulty)
    try:
        with pytest.raises(ApplicationError, match="a recording ended") if lost else nullcontext():
            await recorded.do(CallActivities(recorded.tools).ask_broken, order)
    finally:
        await recorded.do(recorded.faults.recover, faulty)
    assert (await recorded.tools.store.calls.real_cases(run) == []) is lost


async def test_a_refused_recording_of_an_unreached_service_does_no_harm(stage: Stage) -> None:
    refused = Instruction(endpoint=Endpoint.RECORDING_START, action=Action.REFUSE_500, contains="bestsellers")
    stage.lab.misbehave(Misbehaviour(instructions=[refused]))
    await stage.do(CallActivities(stage.tools).start, stage.ref)
    assert len(stage.lab.state().recordings) == len(stage.plan.services) - 1


@pytest.mark.parametrize("action", [Action.DROP, Action.ACT_THEN_DROP, Action.GARBAGE, Action.ACT_THEN_TRUNCATE])
async def test_a_recording_whose_start_is_unknown_is_not_treated_as_refused(stage: Stage, action: Action) -> None:
    """It may come on later, and closing has to wait for it."""
    unknown = Instruction(endpoint=Endpoint.RECORDING_START, action=action, contains="bestsellers")
    stage.lab.misbehave(Misbehaviour(instructions=[unknown]))
    with pytest.raises(ApplicationError) as raised:
        await stage.do(CallActivities(stage.tools).start, stage.ref)
    assert raised.value.type == ErrorCode.ANALYZE_FAILED
    stage.lab.misbehave(Misbehaviour())
    assert (await stopped(stage)).verified
    assert stage.lab.state().clean


async def test_no_further_recording_begins_after_a_cancellation(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Recordings that have begun are awaited. A thousand services in turn would otherwise take hours."""
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


async def test_a_capture_holds_the_services_failure_not_a_rejection_of_our_request(recorded: Stage) -> None:
    """The recorded request is sent again unchanged: each header once, and without its marker."""
    await read(recorded)
    run = recorded.execution.execution_id
    order = FaultOrder(execution_id=run, service=ANSWERING, fault_name=own_fault_name(recorded.execution, ANSWERING))
    await recorded.do(recorded.faults.inject, order)
    await recorded.do(recorded.faults.await_running, order)
    try:
        await recorded.do(CaptureActivities(recorded.tools).capture, order)
    finally:
        await recorded.do(recorded.faults.recover, order)
    captured = [answer for answer in await recorded.tools.store.traffic.captured(run) if answer.service == ANSWERING]
    assert captured
    assert {(answer.status, answer.substituted) for answer in captured} == {(500, False)}


async def test_a_capture_whose_recording_is_gone_stores_nothing(recorded: Stage) -> None:
    """Neither a rule nor a substitute is made from it."""
    await read(recorded)
    run = recorded.execution.execution_id
    order = FaultOrder(execution_id=run, service=ANSWERING, fault_name=own_fault_name(recorded.execution, ANSWERING))
    await recorded.do(recorded.faults.inject, order)
    await recorded.do(recorded.faults.await_running, order)
    recorded.lab.misbehave(entries([]))
    with pytest.raises(ApplicationError) as raised:
        await recorded.do(CaptureActivities(recorded.tools).capture, order)
    assert raised.value.type == ErrorCode.REPLAY_FAILED
    assert not [answer for answer in await recorded.tools.store.traffic.captured(run) if answer.service == ANSWERING]
    assert (await recorded.do(recorded.faults.recover, order)).verified


async def test_secrets_of_a_recorded_call_are_not_stored(recorded: Stage, tmp_path: Path) -> None:
    """Whether in path, query, headers or body: only the request that is sent again has them."""
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
    seen = await recorded.tools.store.calls.all(recorded.execution.execution_id)
    assert [call.method for call in seen if call.case_index == 1] == ["POST"] * len(recorded.plan.services)
    stored = b"".join(file.read_bytes() for file in tmp_path.glob("holdfast.db*"))
    assert b"/api/x/" in stored
    for value in (secret, cookie_value):
        assert value.encode() not in stored
