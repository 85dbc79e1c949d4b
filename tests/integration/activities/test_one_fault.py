"""One fault, activity by activity, with peers that lose, refuse, lie and say nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest
from temporalio.exceptions import ApplicationError

from domain.errors import ErrorCode
from domain.faults.model import CapturedFailure, FaultOrder
from domain.plans.durations import fault_hold
from domain.traffic.exchange import ReplayedAnswer
from lab import Action, Endpoint, Instruction, Misbehaviour
from tests.support.activities.permits import own_fault_name
from tests.support.activities.stage import Stage
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
async def test_after_a_lost_answer_there_is_one_fault_and_it_is_known(stage: Stage, action: Action) -> None:
    """It is found by its name instead of injected again, by this attempt and by the next."""
    order = order_of(stage)
    trouble(stage, Instruction(endpoint=Endpoint.EXECUTE, action=action, nth=1))
    await stage.do(stage.faults.inject, order)
    await stage.do(stage.faults.inject, order, attempt=2)
    assert set(stage.lab.state().faults) == {order.fault_name}
    assert (await stage.counters()).executes == {order.fault_name: 1}


async def test_a_fault_lives_longer_than_its_window(stage: Stage) -> None:
    """By the fault service's own word: a time limit, and one that does not end it while it is needed."""
    order = order_of(stage)
    await stage.do(stage.faults.inject, order)
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = (await client.get(f"{stage.lab.addresses.faults}/api/faults/{order.fault_name}")).json()
    assert timedelta(seconds=int(answer["data"]["ttlSec"])) >= fault_hold(stage.plan) > timedelta(0)


@pytest.mark.parametrize(
    ("answer", "status", "words"),
    [(ERROR, 200, "it failed"), (ABSENT, 404, "does not exist"), (HALF, 200, "not running"), (STARTING, 200, "not ru")],
    ids=["error", "absent", "half", "starting"],
)
async def test_only_a_fault_that_runs_is_waited_for_with_success(
    stage: Stage, answer: Any, status: int, words: str
) -> None:
    """Anything else ends in a code of its own, at the latest when the time is over, and no replay follows."""
    trouble(stage, told(Endpoint.FAULT_STATUS, answer, status))
    found = await refusal(stage, stage.faults.await_running, age=stage.plan.timeouts.fault_running)
    assert (found.type, found.non_retryable) == (ErrorCode.FAULT_NOT_RUNNING, True)
    assert words in found.message


async def test_deleting_is_repeated_until_the_fault_is_gone(stage: Stage) -> None:
    """A refused deletion is not the last one."""
    order = order_of(stage)
    await stage.do(stage.faults.inject, order)
    refused = [Instruction(endpoint=Endpoint.FAULT_DELETE, action=Action.REFUSE_500, nth=nth) for nth in (1, 2)]
    trouble(stage, *refused)
    closing = await stage.do(stage.faults.recover, order)
    assert (closing.verified, stage.lab.state().faults) == (True, {})


async def test_what_cannot_be_deleted_is_told_by_its_name(stage: Stage) -> None:
    """When the time is over; with the command that deletes it by hand."""
    order = order_of(stage)
    await stage.do(stage.faults.inject, order)
    trouble(stage, Instruction(endpoint=Endpoint.FAULT_DELETE, action=Action.LIE))
    closing = await stage.do(stage.faults.recover, order, age=stage.plan.timeouts.recovery)
    assert not closing.verified
    by_hand = f"curl -X DELETE {stage.lab.addresses.faults}/api/faults/{order.fault_name}"
    assert closing.detail == f"fault {order.fault_name} is still there; by hand: {by_hand}"


async def test_a_replay_is_sent_once(stage: Stage) -> None:
    """It is made of real business requests: when its answer is lost, nobody asks again."""
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
async def test_trouble_after_a_replay_repeats_no_replay(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, *, passes: bool
) -> None:
    """The look at the fault is repeated while there is time, and the activity never."""
    proxy, order = Replaying(), order_of(stage)
    monkeypatch.setattr(stage.tools, "proxy", lambda _: proxy)
    await stage.tools.store.save_exchanges(order.execution_id, [exchange(SERVICE, path="/api/reviews")])
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
async def test_a_replay_that_says_nothing_is_no_failure_of_the_service(stage: Stage, answer: Any) -> None:
    """A code, and nothing is stored: a rule made of it would be made up."""
    trouble(stage, told(Endpoint.REPLAY, answer), told(Endpoint.FAULT_STATUS, RUNNING))
    execution_id = stage.execution.execution_id
    await stage.tools.store.save_exchanges(execution_id, [exchange(SERVICE, path="/api/reviews")])
    found = await refusal(stage, stage.faults.replay)
    assert (found.type, found.non_retryable) == (ErrorCode.REPLAY_FAILED, True)
    assert found.message
    assert await stage.tools.store.captured(execution_id) == []


def failing(path: str) -> dict[str, Any]:
    answer = {"url": f"http://localhost:1{path}", "method": "GET", "statusCode": 0, "errorMessage": "503 Unavailable"}
    return {"success": True, "data": [answer]}


async def test_a_path_that_no_rule_can_match_is_its_own_services_trouble(stage: Stage) -> None:
    """The proxy would take the rule, and it would never act. At the upsert it would cost all services their rules."""
    trouble(stage, told(Endpoint.REPLAY, failing("/api/a=b")), told(Endpoint.FAULT_STATUS, RUNNING))
    await stage.tools.store.save_exchanges(stage.execution.execution_id, [exchange(SERVICE, path="/api/a=b")])
    found = await refusal(stage, stage.faults.replay)
    assert (found.type, found.non_retryable) == (ErrorCode.RULES_REJECTED, True)
    assert "reviews GET /api/a=b" in found.message


async def test_a_substitute_for_a_status_is_told(stage: Stage) -> None:
    """In the row, and in the run's log: nobody has seen this status."""
    unseen = failing("/api/reviews")
    unseen["data"][0]["errorMessage"] = "Connection refused"
    trouble(stage, told(Endpoint.REPLAY, unseen), told(Endpoint.FAULT_STATUS, RUNNING))
    execution_id = stage.execution.execution_id
    await stage.tools.store.save_exchanges(execution_id, [exchange(SERVICE, path="/api/reviews")])
    captured = await stage.do(stage.faults.replay, order_of(stage))
    wanted = stage.plan.service(SERVICE).substitute_status
    assert (captured.status, captured.substituted) == (wanted, True)
    assert [(one.status, one.substituted) for one in await stage.tools.store.captured(execution_id)] == [(wanted, True)]
    log = [one.message for one in await stage.tools.store.log_entries(execution_id)]
    assert any(f"status {wanted}, the plan's substitute" in line for line in log)
