"""One fault, activity by activity, with peers that lose, refuse or falsify answers, or give none."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from domain.errors import ErrorCode
from domain.faults.model import CapturedFailure, FaultOrder
from domain.plans.durations import fault_hold
from domain.traffic.exchange import ReplayedAnswer
from lab import Action, Endpoint, Instruction, Misbehaviour
from tests.support.activities.permits import own_fault_name
from tests.support.activities.stage import Stage
from tests.support.http import http_client
from tests.support.store.samples import exchange

SERVICE = "reviews"
RUNNING = {"success": True, "data": {"phase": "Running", "status": {"expStatuses": [{"success": True}]}}}
STARTING = {"success": True, "data": {"phase": "Initialized", "status": {"expStatuses": [{"success": True}]}}}
HALF = {"success": True, "data": {"phase": "Running", "status": {"expStatuses": [{"success": True}, {}]}}}
ERROR = {"success": True, "data": {"phase": "Error", "status": {"expStatuses": [{"success": False}]}}}
ABSENT = {"success": False, "error": {"code": "RESOURCE_NOT_FOUND", "message": "Fault not found"}}


def order_of(stage: Stage) -> FaultOrder:
    return FaultOrder(
        execution_id=stage.execution.execution_id,
        service=SERVICE,
        fault_name=own_fault_name(stage.execution, SERVICE),
        known_to_exist=True,
    )


def told(endpoint: Endpoint, body: Any, status: int = 200) -> Instruction:
    return Instruction(endpoint=endpoint, action=Action.REPLACE, body=body, status=status)


def trouble(stage: Stage, *instructions: Instruction) -> None:
    stage.lab.misbehave(Misbehaviour(instructions=list(instructions)))


async def refusal(stage: Stage, work: Any, **more: Any) -> ApplicationError:
    with pytest.raises(ApplicationError) as raised:
        await stage.do(work, order_of(stage), **more)
    return raised.value


@pytest.mark.parametrize("action", [Action.ACT_THEN_DROP, Action.ACT_THEN_500])
async def test_inject_finds_a_fault_whose_answer_was_lost_and_does_not_repeat_it(stage: Stage, action: Action) -> None:
    """It is found by its name, in the same attempt and in the next."""
    order = order_of(stage)
    trouble(stage, Instruction(endpoint=Endpoint.EXECUTE, action=action, nth=1))
    await stage.do(stage.faults.inject, order)
    await stage.do(stage.faults.inject, order, attempt=2)
    assert set(stage.lab.state().faults) == {order.fault_name}
    assert (await stage.counters()).executes == {order.fault_name: 1}


async def test_the_time_limit_of_a_fault_is_longer_than_its_window(stage: Stage) -> None:
    """The fault service's own record shows a time limit, which does not expire while the fault is needed."""
    order = order_of(stage)
    await stage.do(stage.faults.inject, order)
    async with http_client() as client:
        answer = (await client.get(f"{stage.lab.addresses.faults}/api/faults/{order.fault_name}")).json()
    assert timedelta(seconds=int(answer["data"]["ttlSec"])) >= fault_hold(stage.plan) > timedelta(0)


@pytest.mark.parametrize(
    ("answer", "status", "words"),
    [(ERROR, 200, "it failed"), (ABSENT, 404, "does not exist"), (HALF, 200, "not running"), (STARTING, 200, "not ru")],
    ids=["error", "absent", "half", "starting"],
)
async def test_waiting_succeeds_only_for_a_running_fault(stage: Stage, answer: Any, status: int, words: str) -> None:
    """Anything else ends with its own error code, at the latest when the time is over, and no replay follows."""
    trouble(stage, told(Endpoint.FAULT_STATUS, answer, status))
    found = await refusal(stage, stage.faults.await_running, age=stage.plan.timeouts.fault_running)
    assert (found.type, found.non_retryable) == (ErrorCode.FAULT_NOT_RUNNING, True)
    assert words in found.message


async def test_deleting_is_repeated_until_the_fault_is_gone(stage: Stage) -> None:
    """The first two deletions are refused."""
    order = order_of(stage)
    await stage.do(stage.faults.inject, order)
    refused = [Instruction(endpoint=Endpoint.FAULT_DELETE, action=Action.REFUSE_500, nth=nth) for nth in (1, 2)]
    trouble(stage, *refused)
    closing = await stage.do(stage.faults.recover, order)
    assert (closing.verified, stage.lab.state().faults) == (True, {})


async def test_recover_names_the_fault_it_could_not_delete(stage: Stage) -> None:
    """It reports this when the time is over, with the command that deletes the fault by hand."""
    order = order_of(stage)
    await stage.do(stage.faults.inject, order)
    trouble(stage, Instruction(endpoint=Endpoint.FAULT_DELETE, action=Action.LIE))
    closing = await stage.do(stage.faults.recover, order, age=stage.plan.timeouts.recovery)
    assert not closing.verified
    by_hand = f"curl -X DELETE {stage.lab.addresses.faults}/api/faults/{order.fault_name}"
    assert closing.detail == f"fault {order.fault_name} is still there; by hand: {by_hand}"


async def test_a_replay_is_sent_only_once(stage: Stage) -> None:
    """It consists of real business requests: when its answer is lost, nobody asks again."""
    trouble(stage, Instruction(endpoint=Endpoint.REPLAY, action=Action.ACT_THEN_DROP))
    found = await refusal(stage, stage.faults.replay)
    assert (found.type, found.non_retryable) == (ErrorCode.REPLAY_FAILED, True)
    assert (await stage.counters()).replays == {SERVICE: 1}


class Replaying:
    """A proxy that replays, and counts how often."""

    def __init__(self) -> None:
        self.replays = 0

    async def replay(self, **_: Any) -> list[ReplayedAnswer]:
        self.replays += 1
        return [ReplayedAnswer(url="http://reviews/api/reviews", method="GET", status=503, body="broken")]


@pytest.mark.parametrize("passes", [True, False])
@pytest.mark.parametrize("stage", [{"replay": "6s"}], indirect=True)
async def test_an_error_after_a_replay_does_not_repeat_the_replay(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, *, passes: bool
) -> None:
    """Only the look at the fault is repeated while there is time, never the whole activity."""
    proxy, order = Replaying(), order_of(stage)
    monkeypatch.setattr(stage.tools, "proxy", lambda _: proxy)
    await stage.tools.store.traffic.save_exchanges(order.execution_id, [exchange(SERVICE, path="/api/reviews")])
    await stage.do(stage.faults.inject, order)
    await stage.do(stage.faults.await_running, order)
    refused = Instruction(endpoint=Endpoint.FAULT_STATUS, action=Action.REFUSE_500, nth=1 if passes else None)
    trouble(stage, refused)
    if passes:
        captured: CapturedFailure = await stage.do(stage.faults.replay, order)
        assert captured.status == 503
    else:
        found = await refusal(stage, stage.faults.replay)
        assert (found.type, found.non_retryable) == (ErrorCode.PEER_ERROR, True)
    assert proxy.replays == 1


@pytest.mark.parametrize(
    "answer",
    [
        {"success": False, "error": {"code": "500", "message": "no pod"}},
        {"success": True, "data": []},
        {"success": True},
        {"success": True, "data": [{}]},
        {"success": True, "data": [None]},
        {"success": True, "data": [{"url": "http://a/api/reviews", "method": "GET", "responseBody": "x"}]},
    ],
    ids=["no", "empty", "absent", "nulls", "null", "no status"],
)
async def test_a_replay_without_a_usable_answer_is_not_a_failure_of_the_service(stage: Stage, answer: Any) -> None:
    """It ends with an error code, and nothing is stored: a rule made from it would be invented."""
    trouble(stage, told(Endpoint.REPLAY, answer), told(Endpoint.FAULT_STATUS, RUNNING))
    execution_id = stage.execution.execution_id
    await stage.tools.store.traffic.save_exchanges(execution_id, [exchange(SERVICE, path="/api/reviews")])
    found = await refusal(stage, stage.faults.replay)
    assert (found.type, found.non_retryable) == (ErrorCode.REPLAY_FAILED, True)
    assert found.message
    assert await stage.tools.store.traffic.captured(execution_id) == []


def failing(path: str) -> dict[str, Any]:
    answer = {"url": f"http://localhost:1{path}", "method": "GET", "statusCode": 0, "errorMessage": "503 Unavailable"}
    return {"success": True, "data": [answer]}


async def test_a_path_that_no_rule_can_match_is_rejected_for_its_service_alone(stage: Stage) -> None:
    """The proxy would accept the rule, which would never act.

    If it were rejected only at the upsert, all services would lose their rules.
    """
    trouble(stage, told(Endpoint.REPLAY, failing("/api/a=b")), told(Endpoint.FAULT_STATUS, RUNNING))
    await stage.tools.store.traffic.save_exchanges(stage.execution.execution_id, [exchange(SERVICE, path="/api/a=b")])
    found = await refusal(stage, stage.faults.replay)
    assert (found.type, found.non_retryable) == (ErrorCode.RULES_REJECTED, True)
    assert "reviews GET /api/a=b" in found.message


async def test_a_substituted_status_is_marked_in_the_row_and_in_the_log(stage: Stage) -> None:
    """Nobody has observed this status."""
    unseen = failing("/api/reviews")
    unseen["data"][0]["errorMessage"] = "Connection refused"
    trouble(stage, told(Endpoint.REPLAY, unseen), told(Endpoint.FAULT_STATUS, RUNNING))
    execution_id = stage.execution.execution_id
    await stage.tools.store.traffic.save_exchanges(execution_id, [exchange(SERVICE, path="/api/reviews")])
    captured = await stage.do(stage.faults.replay, order_of(stage))
    wanted = stage.plan.service(SERVICE).substitute_status
    assert (captured.status, captured.substituted) == (wanted, True)
    assert [
        (answer.status, answer.substituted) for answer in await stage.tools.store.traffic.captured(execution_id)
    ] == [(wanted, True)]
    log = [entry.message for entry in await stage.tools.store.logs.of(execution_id)]
    assert any(f"status {wanted}, the plan's substitute" in line for line in log)
