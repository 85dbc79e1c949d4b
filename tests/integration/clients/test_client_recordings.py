"""Recordings: what a service received, as the proxy lists it while the recording is active."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import aiohttp
import pytest

from clients.peers.proxy import ProxyClient
from domain.errors import ErrorCode, HoldfastError
from domain.traffic.driving import RecordedEntry
from lab import Lab, LabSettings, PortChoice, load_topology
from lab.misbehaviour.misbehave import Action, Instruction, Misbehaviour
from lab.misbehaviour.names import Endpoint
from tests.support.clients.fixtures import Peer
from tests.support.paths import EXAMPLES

SECONDS = timedelta(seconds=5)
SHOP = EXAMPLES / "shop-topology.yaml"
QUICK = LabSettings(rollout=0.02, collect_every=0, hang_limit=1)
ENTRIES = "GET /api/recordings/rec-1/entries"


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    async with Lab(load_topology(SHOP), settings=QUICK, ports=PortChoice.FREE) as lab:
        yield lab


def entry(**changes: Any) -> dict[str, Any]:
    """Build an entry as the peer sends it, with these fields changed."""
    return {
        "recordingId": "rec-1",
        "serviceName": "reviews",
        "path": "/api/re%20views/1?q=%2F",
        "method": "GET",
        "status": 200,
        "requestHeaders": {":path": "/api/re%20views/1?q=%2F", ":method": "GET", "Accept": "*/*", "x": ["1", "2"]},
        "responseHeaders": {":status": "200", "content-type": "application/json"},
        "requestBody": None,
        "responseBody": '{"a": 1}',
        "requestTruncated": False,
        **changes,
    }


async def listed(peer: Peer, *entries: Any, limit: int = 50) -> list[RecordedEntry]:
    peer.answers[ENTRIES] = {"success": True, "data": list(entries)}
    async with ProxyClient(peer.url) as proxy:
        return await proxy.recorded("rec-1", 0, limit)


async def test_the_start_call_records_every_path_and_method(peer: Peer) -> None:
    peer.answers["POST /api/recordings/start"] = {"success": True, "data": {"recordingId": "rec-1"}}
    async with ProxyClient(peer.url) as proxy:
        started = await proxy.start_recording(namespace="shop", service="a", duration_seconds=90, longest=SECONDS)
    assert started == "rec-1"
    assert json.loads(peer.seen[0][3]) == {
        "namespace": "shop",
        "serviceName": "a",
        "rules": [{"path": "/", "method": method} for method in ("GET", "POST", "PUT", "DELETE", "PATCH")],
        "durationSec": 90,
    }


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ({"success": False, "error": {"code": "500", "message": "no"}}, ErrorCode.PEER_ERROR),
        ({"success": True}, ErrorCode.PEER_GARBAGE),
        ({"success": True, "data": {"recordingId": None}}, ErrorCode.PEER_GARBAGE),
        ({"success": True, "data": {"recordingId": ""}}, ErrorCode.PEER_GARBAGE),
        ({"success": True, "data": {"recordingId": 7}}, ErrorCode.PEER_GARBAGE),
    ],
)
async def test_a_recording_without_an_id_is_an_error(peer: Peer, answer: dict[str, Any], code: ErrorCode) -> None:
    """It could be neither read nor stopped."""
    peer.answers["POST /api/recordings/start"] = answer
    async with ProxyClient(peer.url) as proxy:
        with pytest.raises(HoldfastError) as raised:
            await proxy.start_recording(namespace="shop", service="a", duration_seconds=90, longest=SECONDS)
    assert raised.value.code is code


async def test_an_entry_keeps_its_raw_path_and_real_headers(peer: Peer) -> None:
    """Percent-encoding stays, the query is not part of the path, and pseudo headers are left out."""
    (read,) = await listed(peer, entry())
    assert (read.service, read.method, read.path) == ("reviews", "GET", "/api/re%20views/1")
    assert read.target == "/api/re%20views/1?q=%2F"
    assert read.request_headers == {"accept": "*/*", "x": "1,2"}
    assert read.response_headers == {"content-type": "application/json"}
    assert (read.request_body, read.response_body, read.request_truncated) == ("", '{"a": 1}', False)


async def test_null_fields_are_read_like_absent_fields(peer: Peer) -> None:
    """Method and path then come from the pseudo headers. An answer that never came has no status."""
    gone = dict.fromkeys(
        ("path", "method", "status", "responseHeaders", "responseBody", "requestTruncated", "serviceName")
    )
    absent = {name: value for name, value in entry().items() if name not in gone}
    for read in await listed(peer, entry(**gone), absent):
        assert (read.method, read.target, read.status) == ("GET", "/api/re%20views/1?q=%2F", None)
        assert (read.response_headers, read.response_body, read.request_truncated) == ({}, "", False)


@pytest.mark.parametrize(
    "broken",
    [
        {"status": "200"},
        {"status": True},
        {"status": 1 << 40},
        {"method": 1},
        {"path": ["/api"]},
        {"requestHeaders": [":path"]},
        {"requestTruncated": "no"},
        {"path": None, "requestHeaders": None},
        {"method": "", "requestHeaders": {}},
    ],
)
async def test_an_unreadable_entry_is_an_error_and_not_left_out(peer: Peer, broken: dict[str, Any]) -> None:
    """A call left out would be a call that nobody tests."""
    with pytest.raises(HoldfastError) as raised:
        await listed(peer, entry(), entry(**broken))
    assert raised.value.code is ErrorCode.PEER_GARBAGE


@pytest.mark.parametrize("data", [{"entries": []}, "none", [None], [[]]])
async def test_data_that_is_not_a_list_of_entries_is_garbage(peer: Peer, data: Any) -> None:
    peer.answers[ENTRIES] = {"success": True, "data": data}
    async with ProxyClient(peer.url) as proxy:
        with pytest.raises(HoldfastError) as raised:
            await proxy.recorded("rec-1", 0, 50)
    assert raised.value.code is ErrorCode.PEER_GARBAGE


async def test_more_entries_than_requested_are_refused(peer: Peer) -> None:
    with pytest.raises(HoldfastError, match="2 entries where at most 1 were requested") as raised:
        await listed(peer, entry(), entry(), limit=1)
    assert raised.value.code is ErrorCode.PEER_GARBAGE


async def test_a_recording_lists_the_requests_that_a_lab_service_received(lab: Lab) -> None:
    """Page by page, oldest first, including repetitions. Once it is stopped, the proxy forgets the recording."""
    namespace, address = lab.addresses.namespace, lab.addresses.services["reviews"]
    async with ProxyClient(lab.addresses.proxy) as proxy, aiohttp.ClientSession() as session:
        recording = await proxy.start_recording(
            namespace=namespace, service="reviews", duration_seconds=60, longest=SECONDS
        )
        for path in ("/api/reviews?n=1", "/nowhere", "/api/reviews?n=1"):
            async with session.post(address + path, headers={"X-Mark": "m"}, data=b"x" * 10_241) as answer:
                await answer.read()
        first, second = await proxy.recorded(recording, 0, 2), await proxy.recorded(recording, 2, 2)
        assert [read.target for read in [*first, *second]] == ["/api/reviews?n=1", "/nowhere", "/api/reviews?n=1"]
        assert (first[0].service, first[0].method, first[0].path) == ("reviews", "POST", "/api/reviews")
        assert first[0].request_headers["x-mark"] == "m"
        assert not [name for name in first[0].request_headers if name.startswith(":")]
        assert (len(first[0].request_body), first[0].request_truncated) == (10_240, True)
        assert (first[0].status, first[0].response_truncated) == (404, False)
        assert "not found" in first[0].response_body
        await proxy.stop_recording(recording)
        with pytest.raises(HoldfastError, match="Recording not found") as raised:
            await proxy.recorded(recording, 0, 2)
    assert raised.value.code is ErrorCode.PEER_ERROR
    assert lab.state().clean


async def test_an_unknown_service_cannot_be_recorded(lab: Lab) -> None:
    async with ProxyClient(lab.addresses.proxy) as proxy:
        with pytest.raises(HoldfastError, match="Service not found") as raised:
            await proxy.start_recording(namespace="shop", service="nobody", duration_seconds=60, longest=SECONDS)
    assert raised.value.code is ErrorCode.PEER_ERROR


@pytest.mark.parametrize("action", [Action.ACT_THEN_DROP, Action.ACT_THEN_TRUNCATE, Action.ACT_THEN_FLOOD])
async def test_a_start_whose_answer_is_lost_has_an_unknown_outcome(lab: Lab, action: Action) -> None:
    """The recording is active, and the list of sessions shows it."""
    lab.misbehave(Misbehaviour(instructions=[Instruction(endpoint=Endpoint.RECORDING_START, action=action)]))
    async with ProxyClient(lab.addresses.proxy) as proxy:
        with pytest.raises(HoldfastError) as raised:
            await proxy.start_recording(namespace="shop", service="reviews", duration_seconds=60, longest=SECONDS)
        assert raised.value.code is ErrorCode.PEER_GARBAGE
        assert [session.service for session in await proxy.active_sessions()] == ["reviews"]


async def test_an_endless_list_of_entries_is_not_read(lab: Lab) -> None:
    flood = Instruction(endpoint=Endpoint.RECORDING_ENTRIES, action=Action.ACT_THEN_FLOOD)
    lab.misbehave(Misbehaviour(instructions=[flood]))
    async with ProxyClient(lab.addresses.proxy) as proxy:
        with pytest.raises(HoldfastError, match="longer than the limit") as raised:
            await proxy.recorded("rec-1", 0, 50)
    assert raised.value.code is ErrorCode.PEER_GARBAGE
