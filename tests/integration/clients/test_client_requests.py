"""The plan's request as bytes, for any headers a plan may have, and what is refused before it is sent."""

from __future__ import annotations

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from clients.http.requests import PreparedRequest, prepare
from clients.load.engine import LoadGenerator
from clients.secrets.values import Secrets
from domain.errors import ErrorCode, HoldfastError
from domain.plans.request import Request
from domain.plans.validation.request_rules import FORM_TYPE
from domain.plans.validation.validate import check_plan
from tests.support.clients.fixtures import Peer
from tests.support.plans.builders import good

NAMES = st.text("abcXYZ-", min_size=1, max_size=8) | st.sampled_from(["baggage", "Baggage", "BAGGAGE", "content-TYPE"])
VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="$"), max_size=12)
TOKENS = st.none() | st.lists(st.sampled_from(["chaos.a.remove=1", "chaos.b.error=1"]), min_size=1).map(",".join)


def request(address: str, **changes: object) -> PreparedRequest:
    plain: dict[str, object] = {"method": "GET", "url": address, "headers": {}, "body": None, "timeout": 2.0}
    return PreparedRequest.model_validate(plain | changes)


@given(headers=st.dictionaries(NAMES, VALUES), token=TOKENS, body=st.none() | st.just({"a": 1}))
def test_our_baggage_header_replaces_any_that_the_plan_has(
    headers: dict[str, str], token: str | None, body: object
) -> None:
    """The baseline has none, however the plan spells its own. Nothing else is lost or changed."""
    plan = Request.model_validate({"url": "http://a/x", "headers": headers, "json": body})
    sent = prepare(plan, Secrets({}), token).headers
    assert [value for name, value in sent.items() if name.lower() == "baggage"] == ([] if token is None else [token])
    kept = {name: value for name, value in headers.items() if name.lower() != "baggage"}
    assert {name: sent[name] for name in kept} == kept
    types = [name for name in sent if name.lower() == "content-type"]
    assert bool(types) == (body is not None or any(name.lower() == "content-type" for name in kept))


@given(headers=st.dictionaries(NAMES, VALUES), token=TOKENS)
def test_analysis_and_load_send_the_same_request_except_for_the_baggage(
    headers: dict[str, str], token: str | None
) -> None:
    """The measured request is the recorded request (`peer-contract` property 36)."""
    plan = Request.model_validate({"url": "http://a/x?b=%2F", "headers": headers, "query": {"q": "1"}, "json": [1]})
    measured, recorded = prepare(plan, Secrets({}), token), prepare(plan, Secrets({}), "holdfast.analysis=x")
    without = {"headers": {name: value for name, value in measured.headers.items() if name != "baggage"}}
    assert measured.model_dump() | without == recorded.model_dump() | without


@pytest.mark.parametrize(
    ("address", "query", "expected"),
    [
        ("http://a/x", {"q": "a b"}, "http://a/x?q=a+b"),
        ("http://a/x?f=1", {"q": "1"}, "http://a/x?f=1&q=1"),
        ("http://a/x#top?f=1", {"q": "1"}, "http://a/x?q=1"),
        ("http://a/x?", {"q": "1"}, "http://a/x?q=1"),
        ("http://a/x?f=1&", {"q": "1"}, "http://a/x?f=1&q=1"),
        ("http://a/%7Ex?f=%2f", {}, "http://a/%7Ex?f=%2f"),
    ],
)
def test_the_query_is_merged_into_the_address_and_the_fragment_is_dropped(
    address: str, query: dict[str, str], expected: str
) -> None:
    """Behind a fragment the query would never arrive. Encoded parts stay as they are written."""
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
async def test_a_request_that_would_be_sent_as_a_different_request_is_refused(changes: dict[str, object]) -> None:
    """Otherwise a mistake in a secret would be measured as a failing system, or become a second header."""
    async with LoadGenerator() as load:
        with pytest.raises(HoldfastError) as raised:
            await load.send_once(request("http://127.0.0.1:1/x", **changes))
    assert raised.value.code is ErrorCode.LOAD_TARGET_INVALID
    assert "x-evil" not in str(raised.value)


async def test_every_request_is_counted_whatever_the_library_raises(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There are as many samples as requests, even after an exception that nobody planned for."""

    def broken(*_: object, **__: object) -> object:
        raise LookupError("nobody expects this")

    async with LoadGenerator() as load:
        monkeypatch.setattr("clients.load.wire.Wire.exchange", broken)
        done = await load.measure(request(peer.url), requests=5, concurrency=2)
    assert [sample.error_kind for sample in done.samples] == ["other"] * 5


async def test_a_generator_that_is_not_open_raises_an_error(peer: Peer) -> None:
    """A mistake of ours is not an error of the system."""
    with pytest.raises(RuntimeError, match="not open"):
        await LoadGenerator().send_once(request(peer.url))


async def test_the_last_body_is_readable_because_no_compression_is_requested(peer: Peer) -> None:
    """Recordings and reports show bodies as they came."""

    async def compressing(_: web.Request) -> web.StreamResponse:
        response = web.Response(text="hello" * 100)
        response.enable_compression()
        return response

    peer.answers["GET /x"] = compressing
    async with LoadGenerator() as load:
        done = await load.measure(request(f"{peer.url}/x"), requests=1, concurrency=1)
    assert done.last_body == "hello" * 100
    assert "Accept-Encoding" not in peer.seen[0][2]


BODIES: list[tuple[dict[str, object], bytes, str]] = [
    ({"form": {"a": "1", "b": "x y&z=ü"}}, b"a=1&b=x+y%26z%3D%C3%BC", FORM_TYPE),
    ({"form": {"tag": ["b", "a", "b"], "n": 3, "yes": True}}, b"tag=b&tag=a&tag=b&n=3&yes=true", FORM_TYPE),
    ({"form": {"secret": "${env:TOKEN}", "${env:TOKEN}": "x"}}, b"secret=t+k%26%3D&%24%7Benv%3ATOKEN%7D=x", FORM_TYPE),
    ({"form": {}}, b"", FORM_TYPE),
    ({"form": {"a": ""}, "headers": {"Content-Type": f"{FORM_TYPE}; x=y"}}, b"a=", f"{FORM_TYPE}; x=y"),
    ({"raw": "ü\r\n${env:TOKEN}\n"}, "ü\r\nt k&=\n".encode(), "text/plain; charset=utf-8"),
    ({"raw": "<a/>", "headers": {"content-type": "application/xml"}}, b"<a/>", "application/xml"),
    ({"raw": ""}, b"", "text/plain; charset=utf-8"),
    ({"json": {"a": "${env:TOKEN}", "b": [1.5, None]}}, b'{"a": "t k&=", "b": [1.5, null]}', "application/json"),
    ({"json": [], "headers": {"CONTENT-TYPE": "application/x+json"}}, b"[]", "application/x+json"),
    ({"json": False}, b"false", "application/json"),
]


@pytest.mark.parametrize(("parts", "body", "kind"), BODIES, ids=lambda value: str(value)[:30])
async def test_bodies_are_sent_byte_for_byte(peer: Peer, parts: dict[str, object], body: bytes, kind: str) -> None:
    """Each has one content type and its length, the same every time and for every case."""
    peer.answers["POST /x"] = "ok"
    plan = Request.model_validate({"method": "POST", "url": f"{peer.url}/x", "repeatable": True} | parts)
    async with LoadGenerator() as load:
        for token in (None, "chaos.a.remove=1"):
            done = await load.measure(
                prepare(plan, Secrets({"TOKEN": "t k&=", "HOLDFAST_SECRETS": "TOKEN"}), token),
                requests=2,
                concurrency=1,
            )
            assert [sample.status for sample in done.samples] == [200, 200]
    assert [seen[3] for seen in peer.seen] == [body] * 4
    for method, _, headers, _ in peer.seen:
        assert method == "POST"
        assert [value for name, value in headers.items() if name.lower() == "content-type"] == [kind]
        assert headers["Content-Length"] == str(len(body))
        assert "Transfer-Encoding" not in headers


@pytest.mark.parametrize(
    ("query", "sent"),
    [
        ({"tag": ["a", "b", "a"], "limit": 3}, "/x?tag=a&tag=b&tag=a&limit=3"),
        ({"q": "a b+c&d=ü%2F"}, "/x?q=a+b%2Bc%26d%3D%C3%BC%252F"),
        ({"token": ["${env:TOKEN}", "plain"]}, "/x?token=t+k%26%3D&token=plain"),
        ({"empty": ""}, "/x?empty="),
    ],
)
async def test_queries_are_sent_encoded_once(peer: Peer, query: dict[str, object], sent: str) -> None:
    """Lists become repeated fields, in their order."""
    plan = Request.model_validate({"url": f"{peer.url}/x", "query": query})
    async with LoadGenerator() as load:
        await load.send_once(prepare(plan, Secrets({"TOKEN": "t k&=", "HOLDFAST_SECRETS": "TOKEN"}), None))
    assert peer.seen[0][1] == sent


async def test_headers_are_sent_as_the_plan_spells_them(peer: Peer) -> None:
    """Numbers become text, and secrets are put in. Of ours there is only what HTTP needs, and the baggage."""
    headers = {"X-Number": 3, "x-flag": True, "Accept": "a/b;q=0.5, */*", "Authorization": "Bearer ${env:TOKEN}"}
    plan = Request.model_validate({"url": f"{peer.url}/x", "headers": headers | {"Host": "shop.example"}})
    async with LoadGenerator() as load:
        await load.send_once(prepare(plan, Secrets({"TOKEN": "t-k", "HOLDFAST_SECRETS": "TOKEN"}), "chaos.a.remove=1"))
    seen = {name: value for name, value in peer.seen[0][2].items() if name != "User-Agent"}
    assert seen == {
        "X-Number": "3",
        "x-flag": "true",
        "Accept": "a/b;q=0.5, */*",
        "Authorization": "Bearer t-k",
        "Host": "shop.example",
        "baggage": "chaos.a.remove=1",
    }
    assert peer.seen[0][3] == b""


async def test_a_form_of_a_plan_file_arrives_as_a_form(peer: Peer) -> None:
    """From the text of the plan to what a server's own parser reads."""
    form = {"a": [1, "ü &"], "b": True}
    request = {"method": "PUT", "url": f"{peer.url}/x", "repeatable": True, "form": form}
    plan, problems = check_plan(good() | {"request": request})
    assert plan is not None, problems
    read: list[object] = []

    async def reading(request: web.Request) -> web.StreamResponse:
        read.extend((await request.post()).items())
        return web.Response()

    peer.answers["PUT /x"] = reading
    async with LoadGenerator() as load:
        await load.send_once(prepare(plan.request, Secrets({}), None))
    assert read == [("a", "1"), ("a", "ü &"), ("b", "true")]
