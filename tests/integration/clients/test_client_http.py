"""Control calls: every error is translated, and answers are checked in a fixed order."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from aiohttp import web

from clients.http.control import LARGEST_ANSWER, PeerHttp, translate
from clients.http.reader import Limits, NoAnswerError, Trouble
from domain.errors import ErrorCode, HoldfastError
from tests.support.clients.fixtures import Peer

LIMITS = Limits(seconds=2)


@pytest.mark.parametrize("trouble", Trouble)
def test_every_trouble_has_a_code(trouble: Trouble) -> None:
    """The message never quotes the library's text, which may quote a request."""
    found = translate(NoAnswerError(trouble, "Name"), "proxy GET /x", "http://127.0.0.1:1", LIMITS)
    assert found.code in {
        ErrorCode.PEER_UNREACHABLE,
        ErrorCode.PEER_TIMEOUT,
        ErrorCode.PEER_GARBAGE,
        ErrorCode.PEER_REJECTED,
    }
    assert "proxy GET /x" in str(found)


def client(peer: Peer, seconds: float = 5) -> PeerHttp:
    return PeerHttp("proxy", peer.url, timedelta(seconds=seconds))


async def code_of(peer: Peer, answer: object, seconds: float = 5) -> HoldfastError:
    peer.answers["GET /x"] = answer
    http = client(peer, seconds)
    with pytest.raises(HoldfastError) as raised:
        (await http.call("GET", "/x")).data(ErrorCode.REPLAY_FAILED)
    return raised.value


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        ({"success": False, "error": {"code": "500", "message": "no sidecar"}}, ErrorCode.REPLAY_FAILED, "no sidecar"),
        ((500, {"success": False, "error": {"code": "X", "message": "boom"}}), ErrorCode.PEER_ERROR, "boom"),
        ((503, "<html>gateway</html>"), ErrorCode.PEER_ERROR, "gateway"),
        ((404, {"success": False}), ErrorCode.PEER_REJECTED, "404"),
        ("not json", ErrorCode.PEER_GARBAGE, "not JSON"),
        ([1, 2], ErrorCode.PEER_GARBAGE, "not an object"),
        ({"data": {"a": 1}}, ErrorCode.PEER_GARBAGE, "without an envelope"),
        ({"success": "yes"}, ErrorCode.PEER_GARBAGE, "without an envelope"),
        ((302, ""), ErrorCode.PEER_REJECTED, "302"),
    ],
)
async def test_answers_are_checked_in_a_fixed_order(peer: Peer, answer: object, code: ErrorCode, words: str) -> None:
    """Status, JSON, object, then success: an envelope that reports failure never looks like an empty result."""
    error = await code_of(peer, answer)
    assert error.code is code
    assert words in str(error)


async def test_data_may_be_absent(peer: Peer) -> None:
    """`success` without a payload is a success."""
    peer.answers["GET /x"] = {"success": True}
    http = client(peer)
    assert (await http.call("GET", "/x")).data(ErrorCode.PEER_ERROR) is None


async def test_a_silent_peer_is_a_timeout(peer: Peer) -> None:
    """A black-holed call ends within its total time."""

    async def silent(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(30)
        raise AssertionError

    assert (await code_of(peer, silent, 0.3)).code is ErrorCode.PEER_TIMEOUT


async def test_a_dripping_peer_is_a_timeout(peer: Peer) -> None:
    """Bytes that keep coming do not keep a call alive: the total time counts."""

    async def dripping(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(100):
            await response.write(b" ")
            await asyncio.sleep(0.05)
        return response

    assert (await code_of(peer, dripping, 0.4)).code is ErrorCode.PEER_TIMEOUT


async def test_a_huge_answer_is_refused(peer: Peer) -> None:
    """The peer must not be able to fill the worker's memory."""

    async def huge(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range((LARGEST_ANSWER >> 20) + 2):
            await response.write(b"x" * (1 << 20))
        return response

    assert (await code_of(peer, huge, 20)).code is ErrorCode.PEER_GARBAGE


async def test_a_peer_with_nothing_listening_is_unreachable() -> None:
    """Nothing was sent, hence nothing happened."""
    http = PeerHttp("fault service", "http://127.0.0.1:9", timedelta(seconds=2))
    with pytest.raises(HoldfastError) as raised:
        await http.call("GET", "/x")
    assert raised.value.code is ErrorCode.PEER_UNREACHABLE
    assert "127.0.0.1:9" in str(raised.value)


async def test_a_dropped_connection_is_not_a_success(peer: Peer) -> None:
    """The outcome is unknown, which is not the same as failed."""

    async def drop(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    assert (await code_of(peer, drop)).code in {ErrorCode.PEER_GARBAGE, ErrorCode.PEER_UNREACHABLE}


async def test_proxy_environment_variables_are_ignored(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Control calls go where the plan says."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    peer.answers["GET /x"] = {"success": True, "data": 1}
    http = client(peer)
    assert (await http.call("GET", "/x")).data(ErrorCode.PEER_ERROR) == 1
