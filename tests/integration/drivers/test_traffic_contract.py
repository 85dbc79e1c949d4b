"""What every traffic driver must keep: windows, closing and the sweeper rely on nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta

import aiohttp
import pytest

from clients.drivers.driver import DriverType
from clients.drivers.traffic_driver import TrafficDriver
from clients.drivers.traffic_drivers import TRAFFIC_DRIVERS, traffic_driver
from clients.peers.proxy import ProxyClient
from domain.names import record_id
from domain.traffic.driving import Can
from domain.traffic.exchange import Rule
from lab import Lab, LabSettings, PortChoice, load_topology
from tests.support.paths import EXAMPLES
from tests.support.runs.bench import until

SECONDS = timedelta(seconds=5)
TOKEN = "chaos.reviews.remove=1"  # noqa: S105 - a baggage token
RECORD = record_id(7)
RULE = Rule(service="reviews", method="GET", path="/api/reviews", token=TOKEN, status=503)


class Place:
    """A driver, the system on which it acts, and how to send a request."""

    def __init__(self, driver: TrafficDriver, lab: Lab, session: aiohttp.ClientSession) -> None:
        self.driver = driver
        self.namespace = lab.addresses.namespace
        self._address = lab.addresses.services["reviews"]
        self._session = session

    async def status(self, baggage: str = "", path: str = "/api/reviews") -> int:
        headers = {"baggage": baggage} if baggage else {}
        async with self._session.get(f"{self._address}{path}", headers=headers) as answer:
            return answer.status

    async def rules_on(self, seconds: int) -> None:
        await self.driver.upsert_rules(
            namespace=self.namespace, record_id=RECORD, ttl_seconds=seconds, rules=[RULE], longest=SECONDS
        )
        await until(self._fails, "an answer by the rule")

    async def _fails(self) -> bool:
        return await self.status(TOKEN) == 503

    async def is_free(self) -> bool:
        taken = (await self.driver.check(namespace=self.namespace, service="reviews")).recording
        return not taken and await self.driver.active_sessions() == []


@pytest.fixture(params=["proxy"])
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    """Each driver that acts on the lab. Another one is a further parameter."""
    settings = LabSettings(rollout=0.05, collect_quiet=0.15, collect=0.8)
    async with AsyncExitStack() as stack:
        topology = load_topology(EXAMPLES / "shop-topology.yaml")
        lab = await stack.enter_async_context(Lab(topology, settings=settings, ports=PortChoice.FREE))
        driver = await stack.enter_async_context(traffic_driver(lab.addresses.proxy))
        yield Place(driver, lab, await stack.enter_async_context(aiohttp.ClientSession()))


async def test_rules_answer_for_requests_with_their_token_until_they_are_deleted(place: Place) -> None:
    assert await place.is_free()
    await place.rules_on(60)
    assert await place.driver.rules_active(record_id=RECORD, services=["reviews", "shipping"]) == {"reviews"}
    assert [session.service for session in await place.driver.active_sessions()] == ["reviews"]
    assert await place.status() == 200
    assert await place.status("chaos.other.remove=1") == 200
    await place.driver.delete_rules(RECORD)
    await until(place.is_free, "the end of the rules")
    assert await place.status(TOKEN) == 200


async def test_a_rule_answers_for_its_path_alone(place: Place) -> None:
    """Unless the driver says that it can match any path, and is then asked to."""
    await place.rules_on(60)
    assert await place.status(TOKEN, "/health") == 200
    assert Can.ANY_PATH not in place.driver.can
    await place.driver.delete_rules(RECORD)


async def test_rules_end_by_themselves_after_their_time(place: Place) -> None:
    await place.rules_on(1)
    await until(place.is_free, "the end of the rules")
    assert await place.status(TOKEN) == 200


async def test_deleting_rules_that_are_not_there_does_no_harm(place: Place) -> None:
    await place.driver.delete_rules(RECORD)
    assert await place.driver.rules_active(record_id=RECORD, services=["reviews"]) == set()


async def test_a_recording_has_what_a_service_receives_until_it_is_stopped(place: Place) -> None:
    recording = await place.driver.start_recording(
        namespace=place.namespace, service="reviews", duration_seconds=60, longest=SECONDS
    )
    assert (await place.driver.check(namespace=place.namespace, service="reviews")).recording
    assert await place.status("holdfast.calls=1") == 200
    (entry,) = await until(lambda: place.driver.recorded(recording, 0, 10), "an entry")
    assert (entry.service, entry.method, entry.path, entry.status) == ("reviews", "GET", "/api/reviews", 200)
    assert "holdfast.calls=1" in entry.request_headers["baggage"]
    assert await place.driver.recorded(recording, 1, 10) == []
    await place.driver.stop_recording(recording)
    await until(place.is_free, "the end of the recording")


async def test_the_command_for_a_person_names_the_rules(place: Place) -> None:
    assert RECORD in place.driver.by_hand(RECORD)
    assert place.driver.address


def test_an_address_that_no_other_driver_serves_is_a_proxy() -> None:
    served: list[str] = []

    def serves(address: str) -> bool:
        served.append(address)
        return address.startswith("other:")

    other = DriverType[TrafficDriver](serves=serves, at=lambda *_: ProxyClient("http://127.0.0.1:2"))
    with TRAFFIC_DRIVERS.registered(other):
        assert traffic_driver("other:1").address == "http://127.0.0.1:2"
        assert traffic_driver("http://127.0.0.1:1").address == "http://127.0.0.1:1"
    assert type(traffic_driver("other:1")) is ProxyClient
    assert served == ["other:1", "http://127.0.0.1:1"]
