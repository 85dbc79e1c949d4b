"""Topologies are checked when they are read, and services behave as their topology describes."""

from pathlib import Path

import aiohttp
import pytest
from pydantic import ValidationError

from lab import Lab, LabSettings, PortChoice, Topology, load_topology
from tests.support.lab.driver import Driver, Json

SETTINGS = LabSettings(rollout=0.02, fault_start=0.02, fault_stop=0.02)


def service(name: str, **fields: object) -> Json:
    return {"name": name, "latency": "1ms", "routes": [{"path": "/api/x", "body": {"from": name}}], **fields}


def topology(*services: Json) -> Topology:
    return Topology.model_validate({"namespace": "test", "entry": "a", "services": list(services)})


async def ask(wanted: Topology, fault: str | None = None, baggage: str = "m=1") -> tuple[int, Json, Json]:
    async with Lab(wanted, settings=SETTINGS, ports=PortChoice.FREE) as lab, aiohttp.ClientSession() as session:
        driver = Driver(lab, session)
        if fault is not None:
            await driver.inject("f1", fault)
        answer = await driver.service("a", "/api/x", baggage)
        return answer.status, answer.json, (await driver.admin("GET", "/counters")).json


async def test_a_failed_required_call_makes_the_caller_answer_503(shop: Topology) -> None:
    """The answer names the dependency."""
    wanted = topology(service("a", calls=[{"service": "b", "path": "/api/x", "required": True}]), service("b"))
    assert (await ask(wanted))[0] == 200
    status, body, _ = await ask(wanted, fault="b")
    assert (status, body["dependency"]) == (503, "b")


async def test_a_fallback_service_takes_over_from_a_failed_service() -> None:
    call = {"service": "b", "path": "/api/x", "fallback_service": "c"}
    status, body, _ = await ask(topology(service("a", calls=[call]), service("b"), service("c")), fault="b")
    assert (status, body["b"]) == (200, {"from": "c"})


async def test_a_fallback_service_is_asked_for_its_own_path() -> None:
    """It may know the answer under a different path."""
    call = {"service": "b", "path": "/api/x", "fallback_service": "c", "fallback_path": "/api/y"}
    stand_in = service("c", routes=[{"path": "/api/y", "body": {"stands": "in"}}])
    status, body, _ = await ask(topology(service("a", calls=[call]), service("b"), stand_in), fault="b")
    assert (status, body["b"]) == (200, {"stands": "in"})


async def test_a_leaf_route_makes_no_calls() -> None:
    """Two services may call each other if one of the answers needs no further call."""
    routes = [{"path": "/api/x", "body": {"from": "b"}}]
    calling = service("a", calls=[{"service": "b", "path": "/api/x", "required": True}])
    calling["routes"].append({"path": "/api/leaf", "body": {"leaf": 1}, "leaf": True})
    called = service("b", routes=routes, calls=[{"service": "a", "path": "/api/leaf", "required": True}])
    status, body, counters = await ask(topology(calling, called))
    assert (status, body["b"]) == (200, {"from": "b", "a": {"leaf": 1}})
    assert counters["services"]["b"]["requests"] == {"GET /api/x": 1}


async def test_a_failed_call_is_retried() -> None:
    """Once for each retry: an app that throws sees all of them."""
    call = {"service": "b", "path": "/api/unknown", "retries": 2, "backoff": "1ms", "fallback": {}}
    _, _, counters = await ask(topology(service("a", calls=[call]), service("b")))
    assert counters["services"]["b"]["requests"] == {"GET /api/unknown": 3}


@pytest.mark.parametrize(("forwards", "hit"), [(True, True), (False, False)])
async def test_baggage_is_forwarded_unless_the_topology_forbids_it(forwards: bool, hit: bool) -> None:
    """A service that does not forward baggage hides the rules of the services behind it."""
    wanted = topology(
        service("a", forwards_baggage=forwards, calls=[{"service": "b", "path": "/api/x", "fallback": "fell back"}]),
        service("b"),
    )
    async with Lab(wanted, settings=SETTINGS, ports=PortChoice.FREE) as lab, aiohttp.ClientSession() as session:
        driver = Driver(lab, session)
        item = {"serviceName": "b", "method": "GET", "path": "/api/x", "baggageTokens": ["t=1"], "respStatus": 503}
        await driver.rules_on("r1x", {**item, "respBody": ""})
        assert ((await driver.service("a", "/api/x", "t=1")).json["b"] == "fell back") is hit


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"entry": "z"}, "entry 'z'"),
        ({"services": [service("a"), service("a")]}, "same name"),
        ({"services": [service("a", calls=[{"service": "q", "path": "/api/x"}])]}, "unknown services: q"),
        ({"services": [service("a", needs_one_of=[["b"]]), service("b")]}, "does not call"),
        ({"services": [service("a", latency="fast")]}, "is not a duration"),
        ({"services": [service("a", surprise=1)]}, "surprise"),
        (
            {"services": [service("a", calls=[{"service": "a", "path": "/api/x", "fallback_path": "/api/y"}])]},
            "is for a fallback_service",
        ),
        ({"services": [service("a", routes=[{"path": "/x"}])]}, "pattern"),
        (
            {"services": [service("a", calls=[{"service": "a", "path": "/api/x", "required": True, "fallback": 1}])]},
            "exclude each other",
        ),
    ],
)
def test_topologies_that_cannot_work_are_refused_with_the_reason(change: Json, problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        Topology.model_validate({"namespace": "test", "entry": "a", "services": [service("a")], **change})


def test_latencies_are_read_with_a_unit_or_as_plain_seconds(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_text(
        "namespace: n\nentry: a\nservices:\n"
        "- {name: a, latency: 700ms, routes: [{path: /api/x}]}\n"
        "- {name: b, latency: 0.25, routes: [{path: /api/x}]}\n"
    )
    assert [found.latency for found in load_topology(path).services] == [0.7, 0.25]


@pytest.mark.parametrize(
    ("service", "problem"),
    [
        ({"upstream": "https://127.0.0.1:1"}, "the lab speaks plain HTTP"),
        ({"upstream": "127.0.0.1:8000"}, "write it like http://127.0.0.1:8000"),
        ({"upstream": "http://127.0.0.1:99999"}, "is not an address"),
        ({"upstream": "http://user:word@h"}, "is not an address"),
        ({"upstream": "http://h/shop"}, "paths come from the requests, write 'http://h'"),
        ({"upstream": "http://h/?a=1"}, "paths come from the requests"),
        ({"upstream": "http://h", "routes": [{"path": "/api/x"}]}, "'a' is real, the upstream decides about routes"),
        ({"upstream": "http://h", "latency": "1s"}, "'a' is real, the upstream decides about latency"),
        ({"upstream": "http://localhost:7001", "port": 7001}, "'a': its upstream .* the lab listens on itself"),
        ({"upstream": "http://h", "upstream_health": "ready"}, "upstream_health"),
        ({"routes": [{"path": "/api/x"}], "upstream_health": "/x"}, "upstream_health is for an upstream"),
        ({}, "needs routes, or the upstream that answers for it"),
    ],
)
def test_mistakes_about_a_real_service_are_reported(service: Json, problem: str) -> None:
    """Each message gives the service and what to write instead."""
    document = {"namespace": "test", "entry": "a", "services": [{"name": "a", **service}]}
    with pytest.raises(ValidationError, match=problem):
        Topology.model_validate(document)


def test_an_upstream_address_is_kept_without_its_trailing_slash() -> None:
    """A slash at the end is not a path."""
    real = {"name": "a", "upstream": "http://127.0.0.1:8000/"}
    assert topology(real).upstreams() == {"a": "http://127.0.0.1:8000"}
