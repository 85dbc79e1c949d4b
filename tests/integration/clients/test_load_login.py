"""Logins use one token for all requests, renew it once, and keep it out of everything that is stored."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from clients.http.requests import PreparedRequest, prepare
from clients.load import logins
from clients.load.engine import LoadGenerator
from clients.load.pace import Closed, Open
from clients.secrets.values import REDACTED, Secrets, redactor_for
from domain.cases.tokens import analysis_marker, calls_marker
from domain.errors import ErrorCode, HoldfastError
from domain.plans.request import Request
from domain.plans.validation.validate import check_plan
from tests.support.clients.fixtures import Peer
from tests.support.plans.builders import good

PASSWORD = "correct-horse-77"  # noqa: S105 - what is looked for
SECRETS = {"PASSWORD": PASSWORD, "HOLDFAST_SECRETS": "PASSWORD"}
HOUR_US = 3_600_000_000


@dataclass
class Guard:
    """Admits requests with a valid token, and makes a token for each login."""

    valid: set[str] = field(default_factory=set)
    logins: int = 0
    refused: int = 0
    opens: bool = True
    """Whether the token of a login is valid."""

    def at(self, peer: Peer) -> None:
        peer.answers["POST /login"] = self.login
        peer.answers["GET /x"] = self.serve

    async def login(self, request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(0.02)
        assert (await request.json())["password"] == PASSWORD
        self.logins += 1
        token = f"token-number-{self.logins}"
        if self.opens:
            self.valid.add(token)
        return web.json_response({"data": {"tokens": [token]}})

    async def serve(self, request: web.Request) -> web.StreamResponse:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in self.valid:
            self.refused += 1
            return web.Response(status=401)
        return web.Response(text=f"hello, {token}")


@pytest.fixture
def guard(peer: Peer) -> Guard:
    guard = Guard()
    guard.at(peer)
    return guard


def plan_request(peer: Peer, **login: Any) -> Request:
    plain = {"url": f"{peer.url}/login", "json": {"password": "${env:PASSWORD}"}, "token": "data.tokens.0"}
    return Request.model_validate({"url": f"{peer.url}/x", "login": plain | login})


def prepared(peer: Peer, baggage: str | None = None, **login: Any) -> PreparedRequest:
    return prepare(plan_request(peer, **login), Secrets(SECRETS), baggage)


async def test_one_login_serves_every_request(peer: Peer, guard: Guard) -> None:
    """Requests of a block, of another case's block, and single requests."""
    async with LoadGenerator() as load:
        samples = await load.block(prepared(peer), Closed(8), 40)
        samples += await load.block(prepared(peer, "chaos.a.remove=1"), Open(500, "constant"), 10)
        samples.append(await load.send_once(prepared(peer)))
        _, body = await load.send_and_read(prepared(peer))
    assert {sample.status for sample in samples} == {200}
    assert body == "hello, token-number-1"
    assert (guard.logins, guard.refused) == (1, 0)


async def test_concurrent_requests_renew_an_expired_token_only_once(peer: Peer, guard: Guard) -> None:
    """Requests answered with 401 side by side log in once, and each is sent again once: none is an error."""
    async with LoadGenerator() as load:
        await load.send_once(prepared(peer))
        guard.valid.clear()
        samples = await load.block(prepared(peer), Closed(8), 40)
    assert [sample.error_kind for sample in samples] == [""] * 40
    assert guard.logins == 2
    assert 1 <= guard.refused <= 8


async def test_the_time_of_a_renewal_is_not_part_of_the_latency(peer: Peer, guard: Guard, monkeypatch: Any) -> None:
    """Users do not log in whenever our token expires: that is not a latency of the system."""
    usual, clock, passed = logins.Logins._logged_in, time.perf_counter_ns, 0

    async def slowly(self: logins.Logins, login: Any) -> str:
        nonlocal passed
        passed += HOUR_US * 1_000
        return await usual(self, login)

    monkeypatch.setattr(logins.Logins, "_logged_in", slowly)
    monkeypatch.setattr(time, "perf_counter_ns", lambda: clock() + passed)
    async with LoadGenerator() as load:
        first = await load.send_once(prepared(peer))
        guard.valid.clear()
        renewed = (await load.block(prepared(peer), Closed(1), 1))[0]
    assert (first.status, renewed.status, guard.logins) == (200, 200, 2)
    assert 0 <= first.latency_us < HOUR_US
    assert 0 <= renewed.latency_us < HOUR_US


async def test_persistent_401_answers_do_not_cause_repeated_logins(peer: Peer, guard: Guard) -> None:
    """As with an authorization service that is made to fail: the answers are errors, and the load is unchanged."""
    guard.opens = False
    async with LoadGenerator() as load:
        samples = await load.block(prepared(peer), Closed(4), 40)
    assert [sample.error_kind for sample in samples] == ["status 401"] * 40
    assert (guard.logins, guard.refused) == (1, 40)


async def test_an_old_token_is_renewed_even_if_it_never_worked(
    peer: Peer, guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have expired before its first use."""
    guard.opens = False
    async with LoadGenerator() as load:
        await load.send_once(prepared(peer))
        guard.opens = True
        monkeypatch.setattr(logins, "FRESH_SECONDS", 0.0)
        assert (await load.send_once(prepared(peer))).status == 200
    assert guard.logins == 2


async def test_different_logins_have_different_tokens(peer: Peer, guard: Guard) -> None:
    """Two plans of one worker do not share tokens."""
    async with LoadGenerator() as load:
        await load.send_once(prepared(peer))
        await load.send_once(prepared(peer, headers={"x-user": "ada"}))
    assert guard.logins == 2


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ((503, "busy"), "login status 503"),
        ((302, ""), "login status 302"),
        ((200, "no JSON"), "login without a token"),
        ({"data": {"tokens": []}}, "login without a token"),
        ({"data": {"tokens": [17]}}, "login without a token"),
        ({"data": {"tokens": ["two\nlines"]}}, "login without a token"),
        ({"data": {"tokens": [""]}}, "login without a token"),
        ({"data": ["tokens"]}, "login without a token"),
    ],
)
async def test_a_failed_login_is_not_a_measurement(peer: Peer, guard: Guard, answer: Any, kind: str) -> None:
    """A single request reports it as its kind of error, and a block of load does not begin."""
    peer.answers["POST /login"] = answer
    async with LoadGenerator() as load:
        sample = await load.send_once(prepared(peer))
        with pytest.raises(HoldfastError) as raised:
            await load.block(prepared(peer), Closed(2), 10)
    assert (sample.status, sample.error_kind) == (None, kind)
    assert raised.value.code is ErrorCode.LOGIN_FAILED
    assert kind.removeprefix("login ") in str(raised.value)
    assert not [call for call in peer.seen if call[1] == "/x"]


@pytest.mark.parametrize("pace", [Closed(4), Open(2_000, "constant")])
async def test_a_failed_renewal_ends_the_block(peer: Peer, guard: Guard, pace: Closed | Open) -> None:
    """Later requests would be measured without a token. The activity is tried again."""
    async with LoadGenerator() as load:
        await load.send_once(prepared(peer))
        guard.valid.clear()
        peer.answers["POST /login"] = (500, "")
        with pytest.raises(HoldfastError) as raised:
            await load.block(prepared(peer), pace, 40)
    assert raised.value.code is ErrorCode.LOGIN_FAILED


async def test_the_login_carries_the_markers_baggage_and_never_that_of_a_case(peer: Peer, guard: Guard) -> None:
    """No rule may answer the login, and unmarked traffic would look like lost baggage while the proxy records."""
    analysed = analysis_marker("hf1x")
    # The login's calls are not among those that the plan's request causes, whatever is broken.
    for baggage, carried in (
        ("chaos.a.remove=1", None),
        (analysed, analysed),
        (calls_marker("hf1x", 3, 1), None),
        (None, None),
    ):
        peer.seen.clear()
        async with LoadGenerator() as load:
            await load.send_once(prepared(peer, baggage))
        assert [(path, headers.get("baggage")) for _, path, headers, _ in peer.seen] == [
            ("/login", carried),
            ("/x", baggage),
        ]


async def test_a_login_can_send_a_form(peer: Peer) -> None:
    """As in OAuth, with its own name for the token."""
    read: dict[str, Any] = {}

    async def token(request: web.Request) -> web.StreamResponse:
        read.update(await request.post())
        return web.json_response({"access_token": "abcd1234", "token_type": "Bearer"})

    peer.answers |= {"POST /token": token, "GET /x": "ok"}
    login = {"url": f"{peer.url}/token", "form": {"grant_type": "password", "password": "${env:PASSWORD}"}}
    request = Request.model_validate({"url": f"{peer.url}/x", "login": login})
    async with LoadGenerator() as load:
        await load.send_once(prepare(request, Secrets(SECRETS), None))
    assert read == {"grant_type": "password", "password": PASSWORD}
    assert peer.seen[1][2]["Authorization"] == "Bearer abcd1234"


async def test_secrets_and_tokens_are_not_kept_anywhere(
    peer: Peer, guard: Guard, caplog: pytest.LogCaptureFixture
) -> None:
    """They are not logged, not printed, and redacted in a body that quotes them, as is another worker's token."""
    caplog.set_level(logging.DEBUG)
    secrets = Secrets(SECRETS)
    document = good() | {"request": json.loads(plan_request(peer).model_dump_json(by_alias=True, exclude_none=True))}
    plan, problems = check_plan(document)
    assert plan is not None, problems
    request = prepare(plan.request, secrets, None)
    async with LoadGenerator(secrets.learn) as load:
        _, body = await load.send_and_read(request)
        assert "token-number-1" in body
        redactor = redactor_for(plan, secrets)
        assert redactor.text(body) == f"hello, {REDACTED}"
        assert redactor.text(f"password {PASSWORD}") == f"password {REDACTED}"
        assert secrets.redact(body) == f"hello, {REDACTED}"
        shown = f"{request} {request!r} {request.login} {request.login!r} {vars(load)} {caplog.text}"
    assert PASSWORD not in shown
    assert "token-number-1" not in shown
    renamed = plan.model_copy(update={"request": plan_request(peer, token="data.jwt")})  # noqa: S106
    elsewhere = redactor_for(renamed, Secrets({}))
    assert elsewhere.body('{"data": {"jwt": "another workers"}}') == '{"data":{"jwt":"[redacted]"}}'
