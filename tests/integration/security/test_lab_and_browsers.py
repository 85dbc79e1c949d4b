"""Every endpoint of the lab refuses whatever a web page on the developer's machine can send to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest
from aiohttp import web

from lab import Lab, PortChoice, load_topology
from tests.support.paths import EXAMPLES

SHOP = EXAMPLES / "shop-topology.yaml"
PAGES = {
    "a rebound name": {"Host": "evil.example:8103"},
    "a name that ends like ours": {"Host": "127.0.0.1.evil.example"},
    "a name with ours before an @": {"Host": "127.0.0.1@evil.example"},
    "another machine": {"Host": "192.0.2.7"},
    "a nameless host": {"Host": ""},
    "another origin": {"Origin": "https://evil.example"},
    "another port of this machine": {"Origin": "http://127.0.0.1:3000"},
    "a sandboxed page": {"Origin": "null"},
    "an image": {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
    "a page of another port": {"Sec-Fetch-Site": "same-site"},
}
BODIES = ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/json"]


class Watched(Lab):
    """A lab that remembers its applications, so that no endpoint is missed."""

    def __init__(self) -> None:
        super().__init__(load_topology(SHOP), ports=PortChoice.FREE)
        self.served: list[tuple[str, web.Application]] = []

    async def _run(self, app: web.Application, sock: object) -> None:
        self.served.append((f"http://127.0.0.1:{sock.getsockname()[1]}", app))  # type: ignore[attr-defined]
        await super()._run(app, sock)  # type: ignore[arg-type]

    def endpoints(self) -> Iterator[tuple[str, str]]:
        for base, app in self.served:
            for route in app.router.routes():
                if route.resource is not None and route.method != "HEAD":
                    path = route.resource.canonical
                    for name in ("id", "name", "peer", "namespace", "service"):
                        path = path.replace(f"{{{name}}}", {"peer": "proxy", "id": "1"}.get(name, "cart"))
                    yield route.method, base + path


@pytest.fixture
async def lab() -> AsyncIterator[Watched]:
    async with Watched() as started:
        yield started


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.mark.parametrize("headers", PAGES.values(), ids=PAGES)
async def test_every_endpoint_refuses_the_requests_that_a_page_can_send(
    lab: Watched, http: aiohttp.ClientSession, headers: dict[str, str]
) -> None:
    before = lab.counters.model_dump(), dict(lab.calls), lab.state()
    endpoints = list(lab.endpoints())
    assert len(endpoints) > 30
    for method, url in endpoints:
        async with http.request(method, url, headers=headers) as answer:
            assert answer.status == 403, (method, url)
            assert "Access-Control-Allow-Origin" not in answer.headers
    assert (lab.counters.model_dump(), dict(lab.calls), lab.state()) == before


@pytest.mark.parametrize("kind", BODIES)
async def test_every_endpoint_refuses_a_body_that_a_form_can_send(
    lab: Watched, http: aiohttp.ClientSession, kind: str
) -> None:
    for method, url in lab.endpoints():
        async with http.request(method, url, data=b"{}", headers={"Content-Type": kind}) as answer:
            assert answer.status == 415, (method, url)
    assert not lab.calls
    assert lab.state().clean


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST:80", "[::1]:80"])
async def test_programs_on_this_machine_are_served_by_any_of_its_names(
    lab: Watched, http: aiohttp.ClientSession, host: str
) -> None:
    for base, path in ((lab.addresses.admin, "/lab/state"), (lab.addresses.proxy, "/api/interceptions/active"),
                       (lab.addresses.faults, "/api/faults")):  # fmt: skip
        async with http.get(base + path, headers={"Host": host, "Sec-Fetch-Site": "none"}) as answer:
            assert answer.status == 200
