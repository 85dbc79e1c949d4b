"""Calls made only while something is broken, and the real outcome that the lab reports when it is."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from itertools import combinations

import aiohttp
import pytest
from pydantic import ValidationError

from lab import Broken, Lab, LabSettings, PortChoice, RealOutcome, Topology, load_topology
from tests.support.lab.driver import Driver, Json
from tests.support.paths import EXAMPLES

SETTINGS = LabSettings(rollout=0.02, fault_start=0.02, fault_stop=0.02)
B, C = {"b": Broken.REMOVE}, {"c": Broken.REMOVE}


def system(call: Json, **more: object) -> Topology:
    """Build a topology where `a` makes one call, to `b`.

    `b`, `c` and `d` each know /api/x and, with another answer, /api/y.
    """
    routes = [{"path": "/api/x", "body": {"by": "x"}}, {"path": "/api/y", "body": {"by": "y"}}]
    caller = {
        "name": "a",
        "latency": "1ms",
        "routes": [{"path": "/api/a"}],
        "calls": [{"service": "b", "path": "/api/x", **call}],
        **more,
    }
    others = [{"name": name, "latency": "1ms", "routes": routes} for name in "bcd"]
    return Topology.model_validate({"namespace": "test", "entry": "a", "services": [caller, *others]})


async def asked(topology: Topology, broken: Mapping[str, Broken]) -> tuple[RealOutcome, dict[str, dict[str, int]]]:
    """Return the real outcome, and the requests of each service but the entry."""
    async with Lab(topology, settings=SETTINGS, ports=PortChoice.FREE) as lab:
        outcome = await lab.truth(broken)
        assert lab.state().clean
        return outcome, {name: dict(seen.requests) for name, seen in lab.counters.services.items() if name != "a"}


CHAIN = {"fallbacks": [{"service": "c", "path": "/api/y"}, {"service": "b", "path": "/api/y"}]}


@pytest.mark.parametrize(
    ("broken", "by", "requests"),
    [
        ({}, "x", {"b": {"GET /api/x": 1}, "c": {}, "d": {}}),
        ({"b": Broken.ERROR}, "y", {"b": {"GET /api/x": 1}, "c": {"GET /api/y": 1}, "d": {}}),
        (
            {"b": Broken.ERROR, "c": Broken.ERROR},
            None,
            {"b": {"GET /api/x": 1, "GET /api/y": 1}, "c": {"GET /api/y": 1}, "d": {}},
        ),
    ],
)
async def test_fallbacks_are_asked_in_order(
    broken: dict[str, Broken], by: str | None, requests: dict[str, dict[str, int]]
) -> None:
    """Each is asked only after the previous call failed, even at the first service again if the topology wants that."""
    outcome, seen = await asked(system(CHAIN, needs_one_of=[["b"]]), broken)
    assert (outcome.status, f'"{by}"' in outcome.body) == ((200, True) if by else (503, False))
    assert seen == requests


async def test_a_fallback_of_a_fallback_saves_the_answer() -> None:
    chain = {"fallbacks": [{"service": "c", "path": "/api/y"}, {"service": "d", "path": "/api/y"}]}
    outcome, seen = await asked(system(chain, needs_one_of=[["b"]]), B | C)
    assert (outcome.status, seen["d"]) == (200, {"GET /api/y": 1})


async def test_only_retries_ask_for_the_retry_path() -> None:
    call = {"retries": 2, "retry_path": "/api/y", "fallback": "none"}
    assert (await asked(system(call), {}))[1]["b"] == {"GET /api/x": 1}
    outcome, seen = await asked(system(call), {"b": Broken.ERROR})
    assert (outcome.status, seen["b"]) == (200, {"GET /api/x": 1, "GET /api/y": 2})


@pytest.mark.parametrize(
    ("covers", "broken", "status"),
    [
        ("any", Broken.REMOVE, 200),
        ("any", Broken.ERROR, 200),
        ("status", Broken.REMOVE, 503),
        ("status", Broken.ERROR, 200),
        ("no_answer", Broken.REMOVE, 200),
        ("no_answer", Broken.ERROR, 503),
    ],
)
@pytest.mark.parametrize("way", [{"fallback": "none"}, {"fallback_service": "c"}, CHAIN])
async def test_a_fallback_covers_only_failures_of_its_kind(way: Json, covers: str, broken: Broken, status: int) -> None:
    """Any other failure is as fatal as that of a required call."""
    outcome, seen = await asked(system({**way, "fallback_on": covers}), {"b": broken})
    assert outcome.status == status
    assert bool(seen["c"]) is (status == 200 and "fallback" not in way)


async def test_an_answer_that_comes_too_late_is_no_answer() -> None:
    call = {"timeout": "100ms", "fallback": "none", "fallback_on": "no_answer"}
    async with (
        Lab(system(call), settings=SETTINGS, ports=PortChoice.FREE) as lab,
        aiohttp.ClientSession() as session,
    ):
        driver = Driver(lab, session)
        await driver.inject("f1", "b", "pod network delay", time="60000")
        assert (await driver.service("a", "/api/a")).json["b"] == "none"


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        ({"fallbacks": [{"service": "q", "path": "/api/x"}]}, "unknown services: q"),
        (
            {"fallbacks": [{"service": "c", "path": "/api/z"}]},
            "call to b: fallbacks asks c for GET /api/z, and it has no",
        ),
        ({"fallbacks": [{"service": "c"}]}, "path"),
        ({"method": "POST", "fallbacks": [{"service": "c", "path": "/api/x"}]}, "fallbacks asks c for POST /api/x"),
        ({"retries": 1, "retry_path": "/api/z", "fallback": 1}, "'a', call to b: retry_path asks b for GET /api/z"),
        ({"retry_path": "/api/y", "fallback": 1}, "retry_path is for a call with retries"),
        ({"fallback_on": "status"}, "fallback_on is for a call with a fallback"),
        ({"required": True, "fallback_on": "status"}, "fallback_on is for a call with a fallback"),
        ({"fallback": 1, "fallback_on": "timeout"}, "fallback_on"),
        ({"fallback_service": "c", "fallback_path": "/api/z"}, "fallback_path asks c for GET /api/z"),
        ({"fallback_service": "c", **CHAIN}, "exclude each other"),
        ({"fallback": 1, **CHAIN}, "exclude each other"),
        ({"required": True, **CHAIN}, "exclude each other"),
    ],
)
def test_rare_calls_that_cannot_work_are_refused(call: Json, problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        system(call)


def test_a_query_is_not_part_of_a_route() -> None:
    call = {"retries": 1, "retry_path": "/api/y?again=1", "fallbacks": [{"service": "c", "path": "/api/y?for=b"}]}
    assert system(call).services[0].calls[0].retry_path == "/api/y?again=1"


async def test_the_truth_can_be_asked_only_while_nothing_else_is_active() -> None:
    """Neither somebody's fault nor a sidecar may be active."""
    async with (
        Lab(system({"fallback": 1}), settings=SETTINGS, ports=PortChoice.FREE) as lab,
        aiohttp.ClientSession() as session,
    ):
        driver = Driver(lab, session)
        await driver.inject("f1", "c")
        with pytest.raises(RuntimeError, match="nothing else is on"):
            await lab.truth(B)
        await driver.recover("f1")
        body = {"namespace": "test", "serviceName": "c", "rules": [{"path": "/", "method": "GET"}]}
        recording = (await driver.proxy("POST", "/api/recordings/start", body)).json["data"]["recordingId"]
        with pytest.raises(RuntimeError, match="nothing else is on"):
            await lab.truth(B)
        await driver.proxy("POST", f"/api/recordings/{recording}/stop")
        assert (await lab.truth(B)).status == 200
        assert lab.state().clean


async def test_a_cancelled_truth_leaves_nothing_broken() -> None:
    """However early it is cancelled, each service answers again."""
    topology = system({"fallback": 1, "timeout": "5s"})
    async with Lab(topology, settings=SETTINGS, ports=PortChoice.FREE) as lab, aiohttp.ClientSession() as session:
        for turns in range(12):
            asking = asyncio.ensure_future(lab.truth(B | C))
            for _ in range(turns):
                await asyncio.sleep(0)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            assert lab.state().clean
            assert (await Driver(lab, session).service("b", "/api/x")).status == 200


async def test_only_the_planted_pairs_of_the_shop_really_fail_or_are_slow() -> None:
    async with Lab(load_topology(EXAMPLES / "shop-topology.yaml"), settings=SETTINGS, ports=PortChoice.FREE) as lab:
        behind = [name for name in lab.addresses.services if name != lab.addresses.entry_service]
        found = {}
        for pair in combinations(sorted(behind), 2):
            found[pair] = await lab.truth(dict.fromkeys(pair, Broken.REMOVE))
    failing = {pair for pair, outcome in found.items() if outcome.status != 200}
    assert failing == {("bestsellers", "recommendations"), ("bestsellers", "reviews")}
    assert max(found, key=lambda pair: found[pair].seconds) == ("reviews", "shipping")
