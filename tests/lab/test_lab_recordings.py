"""Recordings, replays and faults together: what passes a sidecar, what does not, and what each leaves behind."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from lab import Lab, LabSettings, PortChoice, Topology
from tests.lab.driver import Answer, Driver, Json, rule, until

REVIEWS = "/api/reviews"


@pytest.fixture
async def slow(shop: Topology, settings: LabSettings) -> AsyncIterator[Driver]:
    """A lab that collects what its recordings saw twice a second."""
    unhurried = settings.model_copy(update={"collect_every": 0.5})
    async with Lab(shop, settings=unhurried, ports=PortChoice.FREE) as lab, aiohttp.ClientSession() as session:
        yield Driver(lab, session)


async def recorded(driver: Driver, service: str = "reviews") -> str:
    body = {"namespace": "shop", "serviceName": service, "rules": [{"path": "/", "method": "GET"}], "durationSec": 60}
    answer = await driver.proxy("POST", "/api/recordings/start", body)
    recording: str = answer.json["data"]["recordingId"]
    return recording


async def entries(driver: Driver, recording: str, query: str = "") -> Answer:
    return await driver.proxy("GET", f"/api/recordings/{recording}/entries{query}")


async def seen(driver: Driver, recording: str) -> list[Json]:
    """Its entries, once there are any."""

    async def there() -> list[Json]:
        found: list[Json] = (await entries(driver, recording)).json["data"]
        return found

    found: list[Json] = await until(there, "entries")
    return found


async def removed(driver: Driver, *containers: str) -> None:
    experiment = driver.experiment("reviews")
    experiment["matchers"] = [
        {**matcher, "value": list(containers)} if matcher["name"] == "container-names" else matcher
        for matcher in experiment["matchers"]
    ]
    await driver.execute("f1", experiment)
    await driver.reaches("f1", "Running")


async def test_an_entry_is_flat_and_leaves_out_what_is_null(driver: Driver) -> None:
    recording = await recorded(driver)
    headers = {"traceparent": "00-1-2-01", "baggage": "m=1"}
    await driver.ask("GET", f"{driver.at.services['reviews']}{REVIEWS}?a=%20", headers=headers)
    (entry,) = await seen(driver, recording)
    assert (entry["recordingId"], entry["namespace"], entry["serviceName"]) == (recording, "shop", "reviews")
    assert (entry["method"], entry["path"], entry["status"]) == ("GET", f"{REVIEWS}?a=%20", 200)
    assert entry["requestHeaders"][":path"] == f"{REVIEWS}?a=%20"
    assert entry["requestHeaders"][":method"] == "GET"
    assert {":authority", ":scheme"} < entry["requestHeaders"].keys()
    assert (entry["requestHeaders"]["baggage"], entry["traceparent"]) == ("m=1", "00-1-2-01")
    assert "host" not in entry["requestHeaders"]
    assert (entry["requestTruncated"], entry["responseTruncated"]) == (False, False)
    assert not {"xRequestId", "requestBody"} & entry.keys()
    assert None not in entry.values()


async def test_bodies_are_cut_and_flagged(driver: Driver) -> None:
    recording = await recorded(driver)
    for length in (10_240, 10_241):
        await driver.ask("GET", driver.at.services["reviews"] + REVIEWS, data=b"x" * length)

    async def both() -> list[Json] | None:
        found: list[Json] = (await entries(driver, recording)).json["data"]
        return found if len(found) == 2 else None

    whole, cut = await until(both, "both entries")
    assert (len(whole["requestBody"]), whole["requestTruncated"], whole["reqBytes"]) == (10_240, False, 10_240)
    assert (len(cut["requestBody"]), cut["requestTruncated"], cut["reqBytes"]) == (10_240, True, 10_241)


async def test_entries_are_paged_in_order_and_repeated(driver: Driver) -> None:
    recording = await recorded(driver)
    for number in (1, 2, 2):
        await driver.service("reviews", f"{REVIEWS}?n={number}")

    async def all_there() -> bool:
        return len((await entries(driver, recording)).json["data"]) == 3

    await until(all_there, "three entries")
    page = (await entries(driver, recording, "?offset=1&limit=2")).json["data"]
    assert [entry["path"] for entry in page] == [f"{REVIEWS}?n=2", f"{REVIEWS}?n=2"]
    assert (await entries(driver, recording, "?offset=3")).json["data"] == []


async def test_an_exchange_is_visible_only_after_the_next_collection(slow: Driver) -> None:
    """What was asked between two collections appears all at once."""
    recording = await recorded(slow)
    await slow.service("reviews", f"{REVIEWS}?n=first")
    assert [entry["path"] for entry in await seen(slow, recording)] == [f"{REVIEWS}?n=first"]
    for number in range(3):
        await slow.service("reviews", f"{REVIEWS}?n={number}")
    assert len((await entries(slow, recording)).json["data"]) == 1

    async def more() -> int:
        found = len((await entries(slow, recording)).json["data"])
        return found if found > 1 else 0

    assert await until(more, "the next collection") == 4


async def test_entries_are_gone_once_the_recording_is_stopped(driver: Driver) -> None:
    """The recording itself can still be looked at."""
    recording = await recorded(driver)
    await driver.service("reviews", REVIEWS)
    await seen(driver, recording)
    await driver.proxy("POST", f"/api/recordings/{recording}/stop")
    answer = await entries(driver, recording)
    assert (answer.status, answer.json["success"]) == (200, False)
    assert "Recording not found" in answer.json["error"]["message"]
    stopped = (await driver.proxy("GET", f"/api/recordings/{recording}")).json["data"]
    assert (stopped["status"], stopped["entryCount"]) == ("STOPPED", 1)


async def test_a_replay_goes_past_a_recording_sidecar(driver: Driver) -> None:
    """A removed app refuses it, although the sidecar answers at the service's address; nothing is recorded of it."""
    await driver.analyzed(driver.home, serviceList=["reviews"])
    recording = await recorded(driver)
    (well,) = await driver.replay("reviews")
    assert well["statusCode"] == 200
    await removed(driver, "reviews")
    assert (await driver.service("reviews", REVIEWS)).status == 503
    (refused,) = await driver.replay("reviews")
    assert refused["errorMessage"].endswith("Connection refused")
    assert [entry["status"] for entry in await seen(driver, recording)] == [503]


async def test_a_replay_goes_past_rules(driver: Driver) -> None:
    await driver.analyzed(lambda: driver.home("chaos.reviews=1"), serviceList=["reviews"])
    await driver.rules_on("r1x", rule("reviews"))
    (replayed,) = await driver.replay("reviews")
    assert replayed["statusCode"] == 200


@pytest.mark.parametrize(
    ("kind", "matchers", "error"),
    [
        ("container jvm throwCustomException", {}, "500 Internal Server Error"),
        ("pod network loss", {"percent": "100"}, "Read timed out"),
        ("container process kill", {}, "Connection refused"),
    ],
)
async def test_faults_act_on_a_replay_behind_a_sidecar(
    shop: Topology, settings: LabSettings, kind: str, matchers: dict[str, str], error: str
) -> None:
    lasting = settings.model_copy(update={"replay_timeout": 0.2, "restart_time": 30})
    async with Lab(shop, settings=lasting, ports=PortChoice.FREE) as lab, aiohttp.ClientSession() as session:
        driver = Driver(lab, session)
        await driver.analyzed(driver.home, serviceList=["reviews"])
        await recorded(driver)
        await driver.inject("f1", "reviews", kind, **matchers)
        (replayed,) = await driver.replay("reviews")
    assert error in replayed["errorMessage"]


async def test_removing_the_sidecar_as_well_refuses_connections(driver: Driver) -> None:
    """After recovery both are back: the app answers, and is recorded."""
    recording = await recorded(driver)
    await removed(driver, "reviews", "envoy")
    with pytest.raises(aiohttp.ClientConnectorError):
        await driver.service("reviews", REVIEWS)
    await driver.recover("f1")
    await driver.ready()
    assert (await driver.service("reviews", REVIEWS)).status == 200
    assert [entry["status"] for entry in await seen(driver, recording)] == [200]
    await driver.proxy("POST", f"/api/recordings/{recording}/stop")
    assert (await driver.state()).clean


async def test_naming_a_sidecar_that_is_not_there_removes_the_app(driver: Driver) -> None:
    await removed(driver, "reviews", "envoy")
    with pytest.raises(aiohttp.ClientConnectorError):
        await driver.service("reviews", REVIEWS)
    await driver.recover("f1")
    await driver.ready()
    assert (await driver.service("reviews", REVIEWS)).status == 200
