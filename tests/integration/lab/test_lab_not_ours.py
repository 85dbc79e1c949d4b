"""Datasette, a service that is not ours, gives the same answers through the lab and gets the same faults."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from lab import Lab, LabSettings, PortChoice
from tests.support.lab.bookshop import Bookshop
from tests.support.lab.driver import Driver

ASKED = [
    ("GET", "/"),
    ("HEAD", "/books/books.json?_shape=array"),
    ("GET", "/books/books.json?_shape=array&title__contains=Left%20Hand"),
    ("GET", "/books/books/2.json?_shape=array"),
    ("GET", "/books/books.csv?_stream=1"),
    ("GET", "/books/books/"),
    ("GET", "/x%2Fy"),
    ("GET", "/-/static/app.css"),
    ("GET", "/books.json?_shape=array&sql=select+%27%C3%A9%27+as+e"),
    ("GET", "/-/logout"),
    ("POST", "/-/logout"),
    ("GET", "/nobody/nothing.json"),
]
"""Pages, JSON, streamed CSV, static files, redirects, the cookies of a form, and errors."""

SECRETS = {"date", "set-cookie", "link"}
"""Headers that contain the time, a random token, or the requested address."""


@pytest.fixture(scope="module")
async def shop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bookshop]:
    async with Bookshop(tmp_path_factory.mktemp("bookshop")) as bookshop:
        yield bookshop


@pytest.fixture
async def driver(shop: Bookshop, settings: LabSettings) -> AsyncIterator[Driver]:
    async with (
        Lab(shop.topology(), settings=settings, ports=PortChoice.FREE) as lab,
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
    ):
        yield Driver(lab, session)


async def told(method: str, url: str) -> tuple[int, list[tuple[str, str]], bytes, list[str]]:
    """Return the status, the comparable headers, the body and the names of cookies."""
    jar = aiohttp.DummyCookieJar()
    async with (
        aiohttp.ClientSession(cookie_jar=jar) as session,
        session.request(method, url, allow_redirects=False) as response,
    ):
        headers = [(name.lower(), value) for name, value in response.headers.items()]
        kept = sorted(pair for pair in headers if pair[0] not in {*SECRETS, "transfer-encoding", "content-length"})
        cookies = [value.partition("=")[0] for name, value in headers if name == "set-cookie"]
        return response.status, kept, await response.read(), cookies


@pytest.mark.parametrize(("method", "target"), ASKED, ids=lambda part: part)
async def test_datasettes_answers_are_the_same_through_the_lab(
    driver: Driver, shop: Bookshop, method: str, target: str
) -> None:
    """Status, headers, body and cookies.

    An answer that contains the service's address names the address behind the lab.
    """
    direct = await told(method, shop.urls["books"] + target)
    assert await told(method, driver.at.services["books"] + target) == direct


async def test_datasettes_redirects_stay_in_the_lab(driver: Driver) -> None:
    """A client that follows them does not leave the lab."""
    async with aiohttp.ClientSession() as session, session.get(driver.at.services["books"] + "/books/books/") as page:
        assert page.status == 200
        assert str(page.url) == driver.at.services["books"] + "/books/books"


async def test_faults_and_rules_of_the_lab_act_on_datasette(driver: Driver, shop: Bookshop) -> None:
    """Through the lab the service is gone and comes back, and only requests with the token are intercepted."""
    path = "/books/books/2.json"
    await driver.inject("f1", "books")
    with pytest.raises(aiohttp.ClientConnectorError):
        await driver.service("books", path)
    assert (await told("GET", shop.urls["books"] + path))[0] == 200
    await driver.recover("f1")
    await driver.ready()
    items = {"serviceName": "books", "method": "GET", "path": path, "baggageTokens": ["t=1"], "respStatus": 418}
    assert (await driver.upsert("r1x", {**items, "respBody": ""})).status == 200
    await driver.ready()
    assert (await driver.service("books", path, "t=1")).status == 418
    assert (await driver.service("books", path)).json["rows"] == [[2, "Invisible Cities"]]
