"""The load generator accounts for every request, and each is the same as in the analysis."""

from __future__ import annotations

import asyncio
import json

import pytest
from aiohttp import web

from clients.http.requests import PreparedRequest, prepare
from clients.load.engine import LoadGenerator
from clients.load.sending import KEPT_BODY
from clients.secrets.values import Secrets
from domain.errors import ErrorCode, HoldfastError
from domain.plans.request import Request
from tests.support.clients.fixtures import Peer


def request(address: str, **changes: object) -> PreparedRequest:
    plain: dict[str, object] = {"method": "GET", "url": address, "headers": {}, "body": None, "timeout": 2.0}
    return PreparedRequest.model_validate(plain | changes)


async def test_there_are_as_many_samples_as_requests(peer: Peer) -> None:
    """Every request gives a sample, whatever its outcome. Errors are distinguished by kind."""
    count = 0

    async def moody(asked: web.Request) -> web.StreamResponse:
        nonlocal count
        count += 1
        if count % 4 == 1:
            assert asked.transport is not None
            asked.transport.abort()
        if count % 4 == 2:
            await asyncio.sleep(5)
        return web.Response(status=503 if count % 4 == 3 else 200, text="x" * 9000)

    peer.answers["GET /x"] = moody
    async with LoadGenerator() as load:
        done = await load.measure(request(f"{peer.url}/x", timeout=0.3), requests=8, concurrency=1)
    kinds = sorted(sample.error_kind for sample in done.samples)
    assert kinds == ["", "", "disconnected", "disconnected", "status 503", "status 503", "timeout", "timeout"]
    assert len(done.last_body) == KEPT_BODY
    assert all(sample.latency_us > 0 for sample in done.samples)


async def test_the_plans_concurrency_is_a_bound_and_is_reached(peer: Peer) -> None:
    active, most = 0, 0

    async def slow(_: web.Request) -> web.StreamResponse:
        nonlocal active, most
        active += 1
        most = max(most, active)
        await asyncio.sleep(0.02)
        active -= 1
        return web.Response()

    peer.answers["GET /x"] = slow
    async with LoadGenerator() as load:
        await load.measure(request(f"{peer.url}/x"), requests=20, concurrency=4)
    assert most == 4


async def test_a_redirect_is_counted_as_an_answer_and_not_followed(peer: Peer) -> None:
    peer.answers["GET /x"] = (302, "")
    async with LoadGenerator() as load:
        sample = await load.send_once(request(f"{peer.url}/x"))
    assert (sample.status, sample.error_kind) == (302, "")
    assert len(peer.seen) == 1


async def test_a_refused_connection_is_a_sample() -> None:
    """This is what a removed service looks like."""
    async with LoadGenerator() as load:
        sample = await load.send_once(request("http://127.0.0.1:9/x"))
    assert (sample.status, sample.error_kind) == (None, "connect")


@pytest.mark.parametrize("changes", [{"headers": {"a": "b\r\nc"}}, {"url": "/relative"}, {"url": "ftp://127.0.0.1/x"}])
async def test_a_request_that_cannot_be_sent_is_refused_before_any_is_sent(
    peer: Peer, changes: dict[str, object]
) -> None:
    """It does not count as a failure of the system."""
    async with LoadGenerator() as load:
        with pytest.raises(HoldfastError) as raised:
            await load.measure(request(peer.url, **changes), requests=3, concurrency=1)
    assert raised.value.code is ErrorCode.LOAD_TARGET_INVALID


async def test_the_plans_request_is_sent_with_its_query_body_secrets_and_our_baggage(peer: Peer) -> None:
    """Our baggage replaces the configured one."""
    plan = Request.model_validate(
        {
            "method": "POST",
            "url": f"{peer.url}/x?fixed=%2F",
            "headers": {"Baggage": "theirs=1", "Authorization": "Bearer ${env:TOKEN}"},
            "query": {"q": "a b&c"},
            "json": {"deep": ["${env:TOKEN}"]},
            "repeatable": True,
        }
    )
    secrets = Secrets({"TOKEN": "s3cret", "HOLDFAST_SECRETS": "TOKEN"})
    peer.answers["POST /x"] = {}
    async with LoadGenerator() as load:
        await load.send_once(prepare(plan, secrets, "chaos.a.remove=1"))
        await load.send_once(prepare(plan, secrets, None))
    (_, path, headers, body), (_, _, baseline, _) = peer.seen
    assert path == "/x?fixed=%2F&q=a+b%26c"
    assert headers["baggage"] == "chaos.a.remove=1"
    assert headers["Authorization"] == "Bearer s3cret"
    assert {name.lower(): value for name, value in headers.items()}["content-type"] == "application/json"
    assert json.loads(body) == {"deep": ["s3cret"]}
    assert not [name for name in baseline if name.lower() == "baggage"]


def test_a_prepared_request_does_not_show_its_secrets() -> None:
    """Neither when printed nor in an error."""
    prepared = request("http://127.0.0.1/x", headers={"Authorization": "Bearer s3cret"})
    assert "s3cret" not in f"{prepared} {prepared!r}"
