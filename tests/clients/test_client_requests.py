"""The plan's request as bytes, for whatever headers a plan may have, and what is refused before it is sent."""

from __future__ import annotations

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from clients.load import LoadGenerator
from clients.requests import PreparedRequest, prepare
from clients.secrets import Secrets
from tests.clients.conftest import Peer
from workflows.contracts.errors import ErrorCode, HoldfastError
from workflows.contracts.request import Request

NAMES = st.text("abcXYZ-", min_size=1, max_size=8) | st.sampled_from(["baggage", "Baggage", "BAGGAGE", "content-TYPE"])
VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="$"), max_size=12)
TOKENS = st.none() | st.lists(st.sampled_from(["chaos.a.remove=1", "chaos.b.error=1"]), min_size=1).map(",".join)


def request(address: str, **changes: object) -> PreparedRequest:
    plain: dict[str, object] = {"method": "GET", "url": address, "headers": {}, "body": None, "timeout": 2.0}
    return PreparedRequest.model_validate(plain | changes)


@given(headers=st.dictionaries(NAMES, VALUES), token=TOKENS, body=st.none() | st.just({"a": 1}))
def test_there_is_one_baggage_header_and_it_is_ours(headers: dict[str, str], token: str | None, body: object) -> None:
    """Or none for the baseline, however the plan spells its own; nothing else is lost or changed."""
    plan = Request.model_validate({"url": "http://a/x", "headers": headers, "json": body})
    sent = prepare(plan, Secrets({}), token).headers
    assert [value for name, value in sent.items() if name.lower() == "baggage"] == ([] if token is None else [token])
    kept = {name: value for name, value in headers.items() if name.lower() != "baggage"}
    assert {name: sent[name] for name in kept} == kept
    types = [name for name in sent if name.lower() == "content-type"]
    assert bool(types) == (body is not None or any(name.lower() == "content-type" for name in kept))


@given(headers=st.dictionaries(NAMES, VALUES), token=TOKENS)
def test_analysis_and_load_send_the_same_but_for_the_baggage(headers: dict[str, str], token: str | None) -> None:
    """What is measured is what was recorded (`peer-contract` property 36)."""
    plan = Request.model_validate({"url": "http://a/x?b=%2F", "headers": headers, "query": {"q": "1"}, "json": [1]})
    one, other = prepare(plan, Secrets({}), token), prepare(plan, Secrets({}), "holdfast.analysis=x")
    without = {"headers": {name: value for name, value in one.headers.items() if name != "baggage"}}
    assert one.model_dump() | without == other.model_dump() | without


@pytest.mark.parametrize(
    ("address", "query", "expected"),
    [
        ("http://a/x", {"q": "a b"}, "http://a/x?q=a+b"),
        ("http://a/x?f=1", {"q": "1"}, "http://a/x?f=1&q=1"),
        ("http://a/x#top?f=1", {"q": "1"}, "http://a/x?q=1"),
        ("http://a/%7Ex?f=%2f", {}, "http://a/%7Ex?f=%2f"),
    ],
)
def test_the_query_is_merged_where_it_is_sent(address: str, query: dict[str, str], expected: str) -> None:
    """Behind a fragment it would never arrive; what is encoded stays as it is written."""
    assert prepare(Request.model_validate({"url": address, "query": query}), Secrets({}), None).url == expected


@pytest.mark.parametrize(
    "changes",
    [
        {"headers": {"a b": "x"}},
        {"headers": {"a\r\nb": "x"}},
        {"headers": {"": "x"}},
        {"headers": {"a": "x\x01"}},
        {"headers": {"a": "x\ud800"}},
        {"headers": {"Transfer-Encoding": "chunked"}, "method": "POST", "body": b"x"},
        {"headers": {"content-length": "5"}, "method": "POST", "body": b"x"},
        {"url": "http://127.0.0.1:1/x?q=a b"},
        {"url": "http://127.0.0.1:1/x?q=a\r\nx-evil: 1"},
        {"url": "http://127.0.0.1:1/ü"},
        {"url": "http://127.0.0.1:1/x?secret=a#b"},
        {"url": "http://127.0.0.1:99999/x"},
    ],
)
async def test_what_would_be_sent_as_something_else_is_refused(changes: dict[str, object]) -> None:
    """Else a mistake in a secret is measured as a failing system, or becomes a second header."""
    async with LoadGenerator() as load:
        with pytest.raises(HoldfastError) as raised:
            await load.send_once(request("http://127.0.0.1:1/x", **changes))
    assert raised.value.code is ErrorCode.LOAD_TARGET_INVALID
    assert "x-evil" not in str(raised.value)


async def test_every_request_is_counted_whatever_the_library_raises(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Samples equal requests even when the cause is nobody's plan."""

    def broken(*_: object, **__: object) -> object:
        raise LookupError("nobody expects this")

    async with LoadGenerator() as load:
        monkeypatch.setattr("aiohttp.ClientSession.request", broken)
        done = await load.measure(request(peer.url), requests=5, concurrency=2)
    assert [sample.error_kind for sample in done.samples] == ["other"] * 5


async def test_a_generator_that_is_not_open_measures_nothing(peer: Peer) -> None:
    """A mistake of ours is no error of the system."""
    with pytest.raises(RuntimeError, match="not open"):
        await LoadGenerator().send_once(request(peer.url))


async def test_the_last_body_can_be_read(peer: Peer) -> None:
    """Nothing compressed is asked for, because recordings and reports show bodies as they came."""

    async def compressing(_: web.Request) -> web.StreamResponse:
        response = web.Response(text="hello" * 100)
        response.enable_compression()
        return response

    peer.answers["GET /x"] = compressing
    async with LoadGenerator() as load:
        done = await load.measure(request(f"{peer.url}/x"), requests=1, concurrency=1)
    assert done.last_body == "hello" * 100
    assert "Accept-Encoding" not in peer.seen[0][2]
