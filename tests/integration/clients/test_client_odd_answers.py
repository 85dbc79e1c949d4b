"""Every odd answer of a peer becomes a value or one of our error codes, never a foreign exception."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpcore
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clients.http.control import PeerHttp, translate
from clients.http.reader import Limits, NoAnswerError, trouble_of
from clients.peers.faults import FaultClient
from clients.peers.proxy import ProxyClient
from domain.errors import ErrorCode, HoldfastError
from tests.support.clients.fixtures import Peer

SECONDS = timedelta(seconds=5)
LIMITS = Limits(seconds=1)
TASK = "GET /api/request-patterns/tasks/t"
CHECK = "GET /api/interceptions/check/shop/a"
DETAILS = "GET /api/direct-tap/recordings/active/details"


def completed(*patterns: Any) -> dict[str, Any]:
    return {"success": True, "data": {"taskId": "t", "status": "COMPLETED", "requestPatterns": list(patterns)}}


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (httpcore.ConnectError, ErrorCode.PEER_UNREACHABLE),
        (httpcore.ConnectTimeout, ErrorCode.PEER_UNREACHABLE),
        (httpcore.ReadTimeout, ErrorCode.PEER_TIMEOUT),
        (httpcore.ReadError, ErrorCode.PEER_GARBAGE),
        (httpcore.WriteError, ErrorCode.PEER_GARBAGE),
        (httpcore.RemoteProtocolError, ErrorCode.PEER_GARBAGE),
        (UnicodeError, ErrorCode.PEER_REJECTED),
        (TimeoutError, ErrorCode.PEER_TIMEOUT),
        (ZeroDivisionError, ErrorCode.PEER_GARBAGE),
    ],
)
def test_unreachable_means_that_nothing_was_sent(kind: type[Exception], code: ErrorCode) -> None:
    """A broken connection may have carried the request: its outcome is unknown, which is a different code."""
    trouble = trouble_of(kind("x"))
    assert translate(NoAnswerError(trouble, kind.__name__), "proxy GET /x", "http://a", LIMITS).code is code


@pytest.mark.parametrize("body", ["[" * 200_000, '{"success":', "null", "\ufeff{}", ""])
async def test_no_text_from_a_peer_raises_a_foreign_exception(peer: Peer, body: str) -> None:
    """This includes JSON that is nested too deep for the parser."""
    peer.answers[CHECK] = (200, body)
    async with ProxyClient(peer.url) as proxy:
        with pytest.raises(HoldfastError) as raised:
            await proxy.check(namespace="shop", service="a")
    assert raised.value.code is ErrorCode.PEER_GARBAGE


async def test_unpaired_surrogates_are_replaced(peer: Peer) -> None:
    """They are legal in JSON, but no database would accept them."""
    peer.answers[TASK] = (
        200,
        '{"success":true,"data":{"status":"X","message":"a\\ud800b \\ud83d\\ude00"}}',
    )
    async with ProxyClient(peer.url) as proxy:
        assert (await proxy.analysis("t")).message == "a?b 😀"


async def test_an_analysis_that_reports_failure_is_not_asked_again(peer: Peer) -> None:
    """Otherwise it would be polled for ten minutes. After a 500 it is asked again."""
    async with ProxyClient(peer.url) as proxy:
        peer.answers[TASK] = {"success": False, "error": {"code": "500", "message": "lost"}}
        with pytest.raises(HoldfastError, match="lost") as raised:
            await proxy.analysis("t")
        assert (raised.value.code, raised.value.kind.retryable) == (ErrorCode.ANALYZE_FAILED, False)
        peer.answers[TASK] = (500, {"success": False})
        with pytest.raises(HoldfastError) as raised:
            await proxy.analysis("t")
    assert raised.value.kind.retryable


@pytest.mark.parametrize("bad", [None, "text", [None], [{"method": None, "url": None}], [{"method": "GET"}], [7]])
async def test_a_malformed_recording_affects_only_its_own_service(peer: Peer, bad: Any) -> None:
    """That service has no patterns, and the others keep theirs."""
    good = {"method": "GET", "url": "http://a/api/x"}
    peer.answers[TASK] = completed(
        {"serviceName": "bad", "requestMode": bad}, {"serviceName": "good", "requestMode": [good]}
    )
    async with ProxyClient(peer.url) as proxy:
        patterns = (await proxy.analysis("t")).patterns
    assert [(pattern.service, len(pattern.exchanges)) for pattern in patterns] == [("bad", 0), ("good", 1)]


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("http://a:8080/api/x%20y;v=1?q=/z#f", "/api/x%20y;v=1"),
        ("http://a:8080", "/"),
        ("http://a?q=1", "/"),
        ("/api/x?u=http://b/c", "/api/x"),
        ("//api/x", "//api/x"),
        ("http://[a/api/x", "/api/x"),
        ("http://a/api/x y\ta", "/api/x y\ta"),
    ],
)
async def test_paths_are_kept_as_recorded(peer: Peer, url: str, path: str) -> None:
    """A rule matches the raw path exactly: a path that was altered would never act."""
    peer.answers[TASK] = completed({"serviceName": "a", "requestMode": [{"method": "GET", "url": url}]})
    async with ProxyClient(peer.url) as proxy:
        assert (await proxy.analysis("t")).patterns[0].exchanges[0].path == path


async def test_bodies_and_headers_are_read_in_any_form(peer: Peer) -> None:
    """A body may be an object, and header values numbers or nulls. A recorded status 0 does not become 200."""
    mode = {
        "method": "POST",
        "url": "http://a/x",
        "requestBody": {"a": 1},
        "responseHeaders": {"n": 1, "l": ["x", None]},
        "responseStatus": 0,
    }
    peer.answers[TASK] = completed({"serviceName": "a", "requestMode": [mode]})
    async with ProxyClient(peer.url) as proxy:
        exchange = (await proxy.analysis("t")).patterns[0].exchanges[0]
    assert (exchange.request_body, exchange.response_status) == ('{"a": 1}', 0)
    assert exchange.response_headers == {"n": "1", "l": "x"}


async def test_a_null_among_replayed_answers_keeps_its_place(peer: Peer) -> None:
    """Answers are matched with the recorded requests by position."""
    answer = {"url": "http://localhost:1/x", "method": "POST", "statusCode": 200, "responseHeaders": {"a": ["1", None]}}
    peer.answers["POST /api/request-patterns/replay"] = {"success": True, "data": [None, answer]}
    async with ProxyClient(peer.url) as proxy:
        first, second = await proxy.replay(execution_id=1, namespace="shop", service="a", longest=SECONDS)
    assert (first.status, second.status, second.headers) == (None, 200, {"a": ["1"]})


async def test_sessions_are_read_in_any_form(peer: Peer) -> None:
    """With either name of the id, as a list or in an object. A session without an id could not be stopped anyway."""
    sessions = [{"recordingId": "r", "serviceName": "a", "namespace": "shop"}, {"id": 7}, {"serviceName": "b"}]
    async with ProxyClient(peer.url) as proxy:
        for data in (sessions, {"recordings": sessions}):
            peer.answers[DETAILS] = {"success": True, "data": data}
            assert [session.session_id for session in await proxy.active_sessions()] == ["r", "7"]
        peer.answers[CHECK] = {"success": True, "data": {"isRecording": True, "recordingId": 7}}
        assert (await proxy.check(namespace="shop", service="a")).recording_id == "7"


async def test_ids_from_a_peer_are_escaped_in_paths(peer: Peer) -> None:
    """An id is a single path segment, whatever it contains."""
    async with ProxyClient(peer.url) as proxy, FaultClient(peer.url) as faults:
        for call in (proxy.stop_recording("../x?y#z"), proxy.analysis("../x?y#z"), faults.delete("../x?y#z")):
            with pytest.raises(HoldfastError):
                await call
    assert [path for _, path, _, _ in peer.seen] == [
        "/api/recordings/..%2Fx%3Fy%23z/stop",
        "/api/request-patterns/tasks/..%2Fx%3Fy%23z",
        "/api/faults/..%2Fx%3Fy%23z",
    ]


async def test_an_error_names_the_call_the_cause_and_a_hint(peer: Peer) -> None:
    """Peer, method, path, status, the peer's own words cut short, and a hint. The cause stays attached."""
    http = PeerHttp("proxy", peer.url, SECONDS)
    peer.answers["GET /x"] = (500, {"success": False, "error": {"code": "1", "message": "w" * 5000}})
    with pytest.raises(HoldfastError) as raised:
        (await http.call("GET", "/x")).data(ErrorCode.PEER_ERROR)
    assert str(raised.value) == f"proxy GET /x failed (status 500): {'w' * 300}. {raised.value.hint}"
    assert raised.value.hint
    away = PeerHttp("proxy", "http://127.0.0.1:9", SECONDS)
    with pytest.raises(HoldfastError) as raised:
        await away.call("GET", "/x")
    assert isinstance(raised.value.__cause__, NoAnswerError)
    assert isinstance(raised.value.__cause__.__cause__, httpcore.ConnectError)


async def test_a_partial_fault_is_neither_running_nor_failed(peer: Peer) -> None:
    """It runs in one pod of two, and the detail names the error of the other."""
    parts = [{"success": True, "resStatuses": [{"success": True}, {"success": False, "error": "no such pod"}]}]
    data = {"phase": "Running", "status": {"expStatuses": parts}}
    peer.answers["GET /api/faults/f/status"] = {"success": True, "data": data}
    async with FaultClient(peer.url) as faults:
        found = await faults.status("f")
    assert found is not None
    assert (found.running, found.failed) == (False, False)
    assert "no such pod" in found.detail


TASK_FIELDS = ["taskId", "status", "requestPatterns", "requestMode", "serviceName", "method", "url", "responseHeaders"]
OTHER_FIELDS = ["recordings", "recordingId", "isRecording", "phase", "expStatuses", "resStatuses", "success", "exists"]
FIELDS = [*TASK_FIELDS, *OTHER_FIELDS]
SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats(-1e9, 1e9)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=JSON, success=st.sampled_from([True, True, True, False, None]))
async def test_any_json_becomes_a_value_or_an_error_code(peer: Peer, data: Any, success: bool | None) -> None:
    """Whatever stands in place of the data, only a `HoldfastError` is raised."""
    answer = {"success": success, "data": data}
    for place in (TASK, CHECK, DETAILS, "GET /api/faults/f/status", "GET /api/faults"):
        peer.answers[place] = answer
    peer.answers["POST /api/request-patterns/replay"] = answer
    peer.answers["GET /api/fixtures/record/r-a/status"] = data
    async with ProxyClient(peer.url) as proxy, FaultClient(peer.url) as faults:
        calls = [
            proxy.analysis("t"),
            proxy.check(namespace="shop", service="a"),
            proxy.active_sessions(),
            proxy.replay(execution_id=1, namespace="shop", service="a", longest=SECONDS),
            proxy.rules_active(record_id="r", services=["a"]),
            faults.status("f"),
            faults.names("hf"),
        ]
        for call in calls:
            try:
                await call
            except HoldfastError:
                continue
