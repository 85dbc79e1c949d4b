"""The proxy's wire contract, from the client's side."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from clients.peers.fixtures import refuse_unsound
from clients.peers.proxy import ProxyClient
from domain.errors import ErrorCode, HoldfastError
from domain.traffic.driving import AnalysisStatus
from domain.traffic.exchange import Rule
from tests.support.clients.fixtures import Peer
from tests.support.paths import SHARED

SECONDS = timedelta(seconds=5)
UPSERT = SHARED / "train-ticket" / "fixtures-upsert-exec-8.json"


def rule(service: str = "a", member: str = "chaos.a.remove=1", **changes: Any) -> Rule:
    return Rule(**({"service": service, "method": "GET", "path": "/api/x", "token": member, "status": 503} | changes))


async def analyze(peer: Peer, answer: dict[str, Any], execution_id: int = 42) -> Any:
    peer.answers["POST /api/request-patterns/analyze"] = answer
    async with ProxyClient(peer.url) as proxy:
        return await proxy.analyze(
            req_def_id=7, namespace="shop", services=["a", "b"], execution_id=execution_id, duration_seconds=600
        )


async def test_the_analyze_call_has_exactly_the_contracted_fields(peer: Peer) -> None:
    """The typo `excution_id` is the peer's key, and the peer rejects any field that it does not know."""
    await analyze(peer, {"success": True, "data": {"taskId": "task_1", "status": "INITIALIZING", "execution_id": 42}})
    assert json.loads(peer.seen[0][3]) == {
        "reqDefId": 7,
        "namespace": "shop",
        "serviceList": ["a", "b"],
        "excution_id": 42,
        "durationSec": 600,
        "autoTriggerRequest": False,
        "requestDelaySeconds": 0,
        "requestCount": 1,
    }


async def test_an_analysis_of_another_execution_is_a_conflict(peer: Peer) -> None:
    """The proxy deduplicates across executions: taking its answer for ours would mix two runs."""
    with pytest.raises(HoldfastError) as raised:
        await analyze(peer, {"success": True, "data": {"taskId": "t", "status": "X", "execution_id": 41}})
    assert raised.value.code is ErrorCode.ANALYZE_CONFLICT


async def test_a_placeholder_without_an_execution_is_accepted(peer: Peer) -> None:
    """A repetition within the deduplication time may get a reply whose execution is null."""
    task = await analyze(
        peer, {"success": True, "data": {"taskId": "t", "status": "ROLLING_UPDATE", "execution_id": None}}
    )
    assert task.task_id == "t"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ({"success": False, "error": {"code": "500", "message": "no"}}, ErrorCode.ANALYZE_FAILED),
        ({"success": True, "data": {"status": "X"}}, ErrorCode.ANALYZE_FAILED),
        ({"success": True, "data": [1]}, ErrorCode.PEER_GARBAGE),
        ({"success": True}, ErrorCode.PEER_GARBAGE),
    ],
)
async def test_an_analysis_that_did_not_start_is_an_error(peer: Peer, answer: dict[str, Any], code: ErrorCode) -> None:
    """An analysis that never began is not polled for ten minutes."""
    with pytest.raises(HoldfastError) as raised:
        await analyze(peer, answer)
    assert raised.value.code is code


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("NOT_FOUND", AnalysisStatus.NOT_FOUND),
        ("COMPLETED", AnalysisStatus.COMPLETED),
        ("WHATEVER_COMES", AnalysisStatus.OTHER),
        (None, AnalysisStatus.OTHER),
    ],
)
async def test_an_unknown_task_or_state_is_not_an_error(
    peer: Peer, status: str | None, expected: AnalysisStatus
) -> None:
    """An unknown task is a state, and an unknown state does not crash."""
    peer.answers["GET /api/request-patterns/tasks/t"] = {"success": True, "data": {"taskId": "t", "status": status}}
    async with ProxyClient(peer.url) as proxy:
        assert (await proxy.analysis("t")).status is expected


async def test_recorded_requests_keep_their_raw_path(peer: Peer) -> None:
    """Percent-encoding stays, the query is not part of the path, and nulls and lists are read."""
    mode = {
        "method": "GET",
        "url": "http://a:8080/api/x%20y/1?q=%2F",
        "requestHeaders": {"baggage": ["m=1", "n=2"], "accept": "*/*", "x": None},
        "responseStatus": None,
        "responseHeaders": None,
        "responseBody": None,
        "requestBody": None,
    }
    peer.answers["GET /api/request-patterns/tasks/t"] = {
        "success": True,
        "data": {
            "status": "COMPLETED",
            "requestPatterns": [{"serviceName": "a", "requestMode": [mode]}, {"serviceName": "b", "requestMode": None}],
        },
    }
    async with ProxyClient(peer.url) as proxy:
        patterns = (await proxy.analysis("t")).patterns
    (exchange,) = patterns[0].exchanges
    assert exchange.path == "/api/x%20y/1"
    assert exchange.request_headers == {"baggage": "m=1,n=2", "accept": "*/*"}
    assert (exchange.response_status, exchange.response_body) == (200, "")
    assert patterns[1].exchanges == []


@pytest.mark.parametrize(
    ("data", "count"),
    [([], 0), (None, 0), ({"url": "http://localhost:1/a", "method": "GET", "statusCode": 200}, 1), ([{}, {}], 2)],
)
async def test_replays_are_read_in_any_shape(peer: Peer, data: Any, count: int) -> None:
    """A list, one object, nothing, or objects full of nulls; never an exception, which would skip recovery."""
    peer.answers["POST /api/request-patterns/replay"] = {"success": True, "data": data}
    async with ProxyClient(peer.url) as proxy:
        answers = await proxy.replay(execution_id=42, namespace="shop", service="a", longest=SECONDS)
    assert len(answers) == count
    assert json.loads(peer.seen[0][3]) == {"excution_id": 42, "namespace": "shop", "service_name": "a"}


async def test_a_refused_replay_is_a_failure(peer: Peer) -> None:
    """200 with success=false is a failure, reported in the peer's own words."""
    peer.answers["POST /api/request-patterns/replay"] = {
        "success": False,
        "error": {"code": "500", "message": "no pod"},
    }
    async with ProxyClient(peer.url) as proxy:
        with pytest.raises(HoldfastError, match="no pod") as raised:
            await proxy.replay(execution_id=42, namespace="shop", service="a", longest=SECONDS)
    assert raised.value.code is ErrorCode.REPLAY_FAILED


async def test_an_upsert_has_only_the_listed_fields_and_one_token_per_item(peer: Peer) -> None:
    """Of the headers only the content type is sent, and a body has no line breaks."""
    peer.answers["POST /api/fixtures/upsert"] = {"upserted": 1, "expiresAt": "2025-09-05T11:40:00Z"}
    headers = {"Content-Type": "application/json", "set-cookie": "x"}
    async with ProxyClient(peer.url) as proxy:
        sent = await proxy.upsert_rules(
            namespace="shop",
            record_id="hf1x",
            ttl_seconds=60,
            rules=[rule(headers=headers, body='{\n "a": 1\r\n}')],
            longest=SECONDS,
        )
    assert sent == 1
    assert json.loads(peer.seen[0][3]) == {
        "namespace": "shop",
        "recordId": "hf1x",
        "ttlSec": 60,
        "items": [
            {
                "serviceName": "a",
                "method": "GET",
                "path": "/api/x",
                "baggageTokens": ["chaos.a.remove=1"],
                "respStatus": 503,
                "respHeaders": {"Content-Type": ["application/json"]},
                "respBody": '{  "a": 1 }',
            }
        ],
    }


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ((400, ""), ErrorCode.RULES_REJECTED),
        ((500, ""), ErrorCode.PEER_ERROR),
        ({"oops": 1}, ErrorCode.PEER_GARBAGE),
    ],
)
async def test_refused_and_failed_upserts_get_different_codes(peer: Peer, answer: Any, code: ErrorCode) -> None:
    """A 400 is a refusal. After a 500, some rules may be active."""
    peer.answers["POST /api/fixtures/upsert"] = answer
    async with ProxyClient(peer.url) as proxy:
        with pytest.raises(HoldfastError) as raised:
            await proxy.upsert_rules(
                namespace="shop", record_id="hf1x", ttl_seconds=60, rules=[rule()], longest=SECONDS
            )
    assert raised.value.code is code


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ([], "no rules"),
        ([rule(status=0)], "status 0"),
        ([rule(status=600)], "status 600"),
        ([rule(member="a b")], "token"),
        ([rule(path="/a&b")], "escapes"),
        ([rule(path="/a b")], "it would never act"),
        ([rule(path="/ä")], "it would never act"),
        ([rule(path="")], "it would never act"),
        ([rule(path="/a?b")], "it would never act"),
        ([rule(member="chaos.a"), rule("b", member="chaos.a.b")], "part of"),
    ],
)
def test_rules_that_would_not_act_are_refused_before_sending(rules: list[Rule], words: str) -> None:
    """The proxy would accept each of them, and do something other than intended."""
    with pytest.raises(HoldfastError, match=words) as raised:
        refuse_unsound(rules)
    assert raised.value.code is ErrorCode.RULES_REJECTED


@pytest.mark.parametrize(
    ("answer", "active"),
    [
        ({"recordId": "hf1x-a", "exists": True, "serviceName": "a"}, {"a"}),
        ({"recordId": "hf1x-a", "exists": True, "matches": [{"id": "hf1x-abc"}]}, set()),
        ({"recordId": "hf1x-a", "exists": False}, set()),
        ({"recordId": "hf1x-a", "exists": "yes", "serviceName": "a"}, set()),
    ],
)
async def test_only_an_exact_session_counts(peer: Peer, answer: Any, active: set[str]) -> None:
    """The peer searches by prefix: a longer match proves nothing about this service."""
    peer.answers["GET /api/fixtures/record/hf1x-a/status"] = answer
    async with ProxyClient(peer.url) as proxy:
        assert await proxy.rules_active(record_id="hf1x", services=["a"]) == active


async def test_the_name_of_a_session_is_escaped_in_the_path(peer: Peer) -> None:
    """Anybody may have chosen it."""
    peer.answers["DELETE /api/fixtures/record/../all"] = {"deleted": True}
    async with ProxyClient(peer.url) as proxy:
        await proxy.delete_rules("../all")
    assert peer.seen[0][1] == "/api/fixtures/record/..%2Fall"


async def test_a_check_without_a_clear_answer_is_an_error(peer: Peer) -> None:
    """Without a clear answer a service does not count as free of sidecars."""
    peer.answers["GET /api/interceptions/check/shop/a"] = {"success": True, "data": {}}
    async with ProxyClient(peer.url) as proxy:
        with pytest.raises(HoldfastError) as raised:
            await proxy.check(namespace="shop", service="a")
    assert raised.value.code is ErrorCode.PEER_GARBAGE


@pytest.mark.skipif(not UPSERT.exists(), reason="the recorded data is not beside the project")
def test_captured_rules_are_refused_only_for_their_invalid_status() -> None:
    """A body captured from the original: 8 of its 18 rules have status 0, which the proxy turns into 500."""
    items = json.loads(UPSERT.read_text())["items"]
    reasons = []
    for item in items:
        captured = rule(
            item["serviceName"],
            item["baggageTokens"][0],
            path=item["path"],
            status=item["respStatus"],
            body=item["respBody"],
        )
        try:
            refuse_unsound([captured])
        except HoldfastError as error:
            reasons.append(error.message)
    # Each is refused for exactly this reason. The ten others can be sent as they are.
    assert [reason.split(" has ", 1)[1] for reason in reasons] == ["status 0, which becomes 500"] * 8
    assert len(items) == 18
