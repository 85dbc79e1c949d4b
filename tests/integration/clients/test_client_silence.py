"""A peer accepts every connection and never completes an answer: none of our calls waits without a limit."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from clients.http.control import PeerClient
from clients.http.requests import PreparedRequest
from clients.load.engine import LoadGenerator
from clients.peers import canary, fixtures, stability
from clients.peers.canary import CanaryClient
from clients.peers.faults import FaultClient
from clients.peers.proxy import ProxyClient
from clients.peers.stability import HttpStabilityClient, answer_of
from domain.errors import ErrorCode, HoldfastError
from domain.faults.chaosblade.experiment import Experiment
from domain.faults.driving import FaultIntent
from domain.plans.system import HttpStability
from domain.traffic.exchange import Rule

SHORT = timedelta(milliseconds=200)
RULE = Rule(service="a", method="GET", path="/x", token="chaos.a.remove=1", status=503)  # noqa: S106 - a baggage token
EXPERIMENT = Experiment(scope="pod", target="cpu", action="load", matchers={"cpu-percent": ["80"]})
INTENT = FaultIntent(fault="remove", service="a", namespace="shop")
WHERE = {"namespace": "shop", "service": "a"}

CALLS: dict[type[PeerClient], dict[str, dict[str, Any]]] = {
    ProxyClient: {
        "analyze": {
            "req_def_id": 1, "namespace": "shop", "services": ["a"], "execution_id": 1, "duration_seconds": 1,
        },
        "analysis": {"task_id": "t"},
        "replay": {"execution_id": 1, "longest": SHORT, **WHERE},
        "check": WHERE,
        "active_sessions": {},
        "start_recording": {"duration_seconds": 1, "longest": SHORT, **WHERE},
        "recorded": {"recording_id": "r", "offset": 0, "limit": 10},
        "stop_recording": {"recording_id": "r", "longest": SHORT},
        "upsert_rules": {"namespace": "shop", "record_id": "r", "ttl_seconds": 1, "rules": [RULE], "longest": SHORT},
        "rules_active": {"record_id": "r", "services": ["a"]},
        "delete_rules": {"record_id": "r"},
    },
    FaultClient: {
        "inject": {"name": "f", "ttl": SHORT, "intent": INTENT},
        "execute": {"name": "f", "ttl_seconds": 1, "experiment": EXPERIMENT},
        "status": {"name": "f"},
        "delete": {"name": "f"},
        "names": {"prefix": "hf-"},
        "namespaces": {"name": "f"},
    },
}  # fmt: skip


@pytest.fixture(params=["silent", "dripping"])
async def silent(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """Yield an address that never answers, or only ever sends one more byte."""
    there: list[asyncio.StreamWriter] = []

    async def keep(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there.append(writer)
        if request.param == "dripping":
            writer.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
            while not writer.is_closing():
                writer.write(b"x")
                await asyncio.sleep(0.02)

    server = await asyncio.start_server(keep, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()
    for writer in there:
        writer.close()
    await server.wait_closed()


@pytest.mark.parametrize("kind", CALLS, ids=lambda kind: kind.__name__)
def test_every_call_of_a_peer_is_in_the_table(kind: type[PeerClient]) -> None:
    """A new call must be tested as well."""
    own = {name for name, value in inspect.getmembers(kind, inspect.iscoroutinefunction) if not name.startswith("_")}
    assert own - {"aclose"} == set(CALLS[kind])


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in CALLS.items() for name in names])
async def test_no_call_waits_for_a_silent_peer(
    silent: str, monkeypatch: pytest.MonkeyPatch, kind: Any, name: str
) -> None:
    """Each ends by itself with the code of a timeout. Calls with their own limit are given a short one."""
    monkeypatch.setattr(fixtures, "DELETE_TIMEOUT", SHORT)
    async with kind(silent, call_timeout=SHORT) as client:
        with pytest.raises(HoldfastError) as raised:
            await getattr(client, name)(**CALLS[kind][name])
    assert raised.value.code is ErrorCode.PEER_TIMEOUT


async def test_no_request_waits_for_a_silent_service(silent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Canary, readiness, health and the plan's request have limits as well."""
    monkeypatch.setattr(canary, "TIMEOUT", SHORT.total_seconds())
    monkeypatch.setattr(stability, "SAMPLE_TIMEOUT", SHORT.total_seconds())
    async with CanaryClient() as client:
        with pytest.raises(HoldfastError) as raised:
            await client.intercepted(silent, "hf1x", "a", "t=1")
    assert raised.value.code is ErrorCode.PEER_UNREACHABLE
    waiting = HttpStabilityClient({"a": silent}, HttpStability())
    assert not (await waiting.wait_until_stable("a", longest=SHORT, every=SHORT)).stable
    assert "Time" in await answer_of(silent, SHORT)
    request = PreparedRequest(method="GET", url=f"{silent}/x", headers={}, body=None, timeout=SHORT.total_seconds())
    async with LoadGenerator() as load:
        done = await load.measure(request, requests=2, concurrency=2)
    assert [sample.error_kind for sample in done.samples] == ["timeout"] * 2
