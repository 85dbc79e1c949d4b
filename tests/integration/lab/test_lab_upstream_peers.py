"""Proxy and faults act on real services where calls go through the lab's addresses, and nowhere else."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from lab import Lab, LabSettings, PortChoice, Topology
from tests.support.lab.driver import Answer, Driver, Json
from tests.support.lab.real_pair import ITEMS, RealPair

FAULTS = [
    ("container container remove", {}, "without: refused"),
    ("container jvm throwCustomException", {}, "without: 500"),
    ("pod network delay", {"time": "60000"}, "without: too late"),
]
"""Each fault, and what it leaves to the caller of the broken service."""

RULE: Json = {
    "serviceName": "back",
    "method": "GET",
    "path": "/shelf/items",
    "baggageTokens": ["chaos.back=1"],
    "respStatus": 418,
    "respHeaders": {},
    "respBody": '"captured"',
}


@pytest.fixture
async def pair() -> AsyncIterator[RealPair]:
    async with RealPair() as services:
        yield services


@pytest.fixture
async def through(pair: RealPair, settings: LabSettings) -> AsyncIterator[Driver]:
    """Yield a lab in front of both services.

    The front knows its neighbour by the lab's address.
    """
    topology = Topology.model_validate(
        {
            "namespace": "test",
            "entry": "front",
            "entry_path": "/page",
            "services": [{"name": name, "upstream": url} for name, url in pair.urls.items()],
        }
    )
    async with Lab(topology, settings=settings, ports=PortChoice.FREE) as lab, aiohttp.ClientSession() as session:
        pair.back_as_front_knows_it = lab.addresses.services["back"]
        yield Driver(lab, session)


async def page(driver: Driver, baggage: str | None = None) -> object:
    """Return what the page got from its shelf."""
    answer = await driver.service("front", "/page", baggage)
    assert answer.status == 200
    return answer.json["shelf"]


async def direct(driver: Driver, pair: RealPair) -> Answer:
    """Ask the service behind as if there were no lab."""
    return await driver.ask("GET", pair.urls["back"] + "/shelf/items")


@pytest.mark.parametrize(("kind", "matchers", "left_with"), FAULTS, ids=["remove", "error", "delay"])
async def test_a_fault_acts_in_front_of_the_real_service_and_ends(
    through: Driver, pair: RealPair, kind: str, matchers: dict[str, str], left_with: str
) -> None:
    """Callers meet it. The service itself is never touched, and never even asked."""
    assert await page(through) == ITEMS
    await through.inject("f1", "back", kind, **matchers)
    asked = pair.asked_back
    assert await page(through) == left_with
    assert pair.asked_back == asked
    assert (await direct(through, pair)).json == ITEMS
    await through.recover("f1")
    await through.ready()
    assert await page(through) == ITEMS


async def test_real_traffic_is_recorded_whatever_its_path(through: Driver) -> None:
    """One pattern for each service, with query, headers and answer. Requests for health are not traffic."""

    async def request() -> None:
        await through.service("back", "/health")
        await page(through, "holdfast=probe")

    task = await through.analyzed(request)
    patterns = {found["serviceName"]: found["requestMode"] for found in task["requestPatterns"]}
    assert [len(patterns[name]) for name in ("front", "back")] == [1, 1]
    recorded = patterns["back"][0]
    assert (recorded["method"], recorded["url"].partition("/shelf")[2]) == ("GET", "/items?n=3")
    assert recorded["requestHeaders"]["baggage"] == "holdfast=probe"
    assert (recorded["responseStatus"], recorded["responseBody"]) == (200, '{"items": [1, 2, 3]}')


async def test_a_replay_asks_the_real_service_or_meets_its_fault(through: Driver) -> None:
    """The answer of a healthy service comes back. With a fault, the replay shows how the service fails."""
    await through.analyzed(lambda: page(through))
    (well,) = await through.replay("back")
    assert (well["statusCode"], well["responseBody"]) == (200, '{"items": [1, 2, 3]}')
    await through.inject("f1", "back")
    (refused,) = await through.replay("back")
    assert "Connection refused" in refused["errorMessage"]
    await through.recover("f1")
    await through.inject("f2", "back", "container jvm throwCustomException")
    (thrown,) = await through.replay("back")
    assert thrown["errorMessage"].startswith("500 Internal Server Error")


async def test_rules_answer_in_place_of_the_real_service(through: Driver, pair: RealPair) -> None:
    """Only requests with the token are answered, and the service is not asked. Afterwards everything is as before."""
    await through.rules_on("r1x", RULE)
    asked = pair.asked_back
    assert await page(through, "a=b,chaos.back=1") == "without: 418"
    assert pair.asked_back == asked
    assert await page(through) == ITEMS
    assert (await through.service("back", "/shelf/items", "chaos.back=1")).json == "captured"
    await through.proxy("DELETE", "/api/fixtures/record/r1x")
    await through.ready()
    assert await page(through, "chaos.back=1") == ITEMS
    assert (await through.state()).clean


async def test_calls_around_the_lab_are_not_affected(through: Driver, pair: RealPair) -> None:
    """A service that is asked directly is neither recorded, nor intercepted, nor broken."""
    pair.back_as_front_knows_it = pair.urls["back"]
    task = await through.analyzed(lambda: page(through))
    assert [len(found["requestMode"]) for found in task["requestPatterns"]] == [1, 0]
    await through.rules_on("r1x", RULE)
    assert await page(through, "chaos.back=1") == ITEMS
    await through.inject("f1", "back")
    assert await page(through) == ITEMS


async def test_without_forwarded_baggage_faults_act_and_rules_do_not(through: Driver, pair: RealPair) -> None:
    """The token never reaches the service behind."""
    pair.forwards_baggage = False
    await through.rules_on("r1x", RULE)
    assert await page(through, "chaos.back=1") == ITEMS
    await through.proxy("DELETE", "/api/fixtures/record/r1x")
    await through.inject("f1", "back")
    assert await page(through, "chaos.back=1") == "without: refused"
