"""Readiness of services, and proof that rules act."""

from __future__ import annotations

from datetime import timedelta

import pytest
from aiohttp import web

from clients.peers.canary import CanaryClient
from clients.peers.stability import HttpStabilityClient
from domain.errors import HoldfastError
from domain.faults.capture import canary_body, canary_path
from domain.plans.system import HttpStability
from tests.support.clients.fixtures import Peer

EVERY = timedelta(milliseconds=5)


async def test_a_service_is_stable_after_good_answers_in_a_row(peer: Peer) -> None:
    """One bad answer restarts the count: a service that flaps is not stable yet."""
    answers = iter([200, 200, 503, 200, 200, 200, 503])

    async def flapping(_: web.Request) -> web.StreamResponse:
        return web.Response(status=next(answers))

    peer.answers["GET /health"] = flapping
    client = HttpStabilityClient({"a": peer.url}, HttpStability())
    found = await client.wait_until_stable("a", longest=timedelta(seconds=5), every=EVERY)
    assert found.stable
    assert len(peer.seen) == 6


@pytest.mark.parametrize("answer", [(503, ""), (302, ""), (404, "")])
async def test_a_service_that_is_never_ready_is_reported_not_raised(peer: Peer, answer: tuple[int, str]) -> None:
    """When the time is over, the result shows what was seen last."""
    peer.answers["GET /health"] = answer
    client = HttpStabilityClient({"a": peer.url}, HttpStability())
    found = await client.wait_until_stable("a", longest=timedelta(milliseconds=50), every=EVERY)
    assert not found.stable
    assert str(answer[0]) in found.detail


async def test_an_unreachable_service_is_not_stable() -> None:
    """Refused connections are tolerated until the time is over."""
    client = HttpStabilityClient({"a": "http://127.0.0.1:9"}, HttpStability())
    found = await client.wait_until_stable("a", longest=timedelta(milliseconds=50), every=EVERY)
    assert (found.stable, "ConnectError" in found.detail) == (False, True)


@pytest.mark.parametrize("path", ["/a\x01b", "/" + "a" * 70_000, "/\ud800"])
async def test_a_path_that_cannot_be_requested_is_reported_at_once(path: str) -> None:
    """Plans of older versions may have such a path, and asking again would never help."""
    client = HttpStabilityClient({"a": "http://127.0.0.1:9"}, HttpStability.model_construct(path=path, consecutive=3))
    found = await client.wait_until_stable("a", longest=timedelta(minutes=5), every=EVERY)
    assert (found.stable, found.unaskable) == (False, True)
    assert "cannot be asked" in found.detail


@pytest.mark.parametrize(
    ("answer", "intercepted"),
    [
        (canary_body("hf1x", "a"), True),
        (canary_body("hf1x", "b"), False),
        (canary_body("hf2x", "a"), False),
        ("hello", False),
        ((503, canary_body("hf1x", "a")), False),
        ((404, "not found"), False),
    ],
)
async def test_only_the_answer_of_our_own_rule_is_proof(peer: Peer, answer: object, intercepted: bool) -> None:
    """A service that answers 200 to anything does not pass for an acting rule."""
    peer.answers[f"GET {canary_path('hf1x')}"] = answer
    async with CanaryClient() as canary:
        assert await canary.intercepted(peer.url, "hf1x", "a", "t=1") is intercepted
    assert peer.seen[0][2]["baggage"] == "t=1"


async def test_the_canary_of_an_unreachable_service_raises_an_error() -> None:
    """It proves neither that rules act nor that they do not."""
    async with CanaryClient() as canary:
        with pytest.raises(HoldfastError):
            await canary.intercepted("http://127.0.0.1:9", "hf1x", "a", "t=1")
