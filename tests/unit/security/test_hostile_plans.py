"""Plans that try to reach what runs Holdfast are refused in every spelling, whatever worker and plan allow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import product
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import yarl

from clients.http.requests import PreparedRequest
from clients.load.encoding import encode
from domain.addresses import Address, address_of
from domain.guardrails.check import outside
from domain.guardrails.model import Guardrails
from domain.plans.addresses import EACH, Place, address_places
from domain.plans.plan import Plan
from domain.plans.validation.validate import check_plan
from tests.support.plans.builders import good

NEVER = [
    *("localhost:7233", "localhost:8233", "localhost:5432", "localhost:80"),
    *("temporal.platform.svc:7233", "10.0.0.9:5432", "[2001:db8::9]:7233"),
]
"""Addresses of Temporal, its Web UI and a store, here and in a cluster."""

SPELLINGS = [
    *("127.0.0.1", "127.0.0.2", "127.1", "127.255.255.254", "0.0.0.0", "0", "127.0.1", "2130706433", "0x7f000001"),
    *("0177.0.0.1", "017700000001", "0x7f.1", "127.000.000.001", "localhost", "LOCALHOST", "LocalHost.localdomain"),
    *("shop.localhost", "ip6-localhost", "[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]"),
    *("[::FFFF:127.9.9.9]", "[::ffff:0:0]", "[0000::0001]"),
]
"""Spellings of this machine."""

OTHERS = [
    *("http://temporal.platform.svc:7233", "http://TEMPORAL.platform.SVC:7233/", "https://temporal.platform.svc:7233"),
    *("http://10.0.0.9:5432", "http://10.9:5432", "http://0xa000009:5432", "http://[::ffff:10.0.0.9]:5432"),
    *("http://[2001:db8::9]:7233", "http://[2001:DB8:0:0:0:0:0:9]:07233"),
]

SETTINGS = [
    [f"{host}:1-65535" for host in ("localhost", "*.platform.svc", "10.0.0.9", "[2001:db8::9]")],
    ["127.0.0.1:7233", "localhost:8233", "[::1]:5432", "localhost", "*.svc:7233", "10.0.0.9:5432"],
]
"""Settings of workers that allow all of these addresses."""


def urls() -> Iterator[str]:
    """Yield each forbidden address in some form, with paths and queries that mean something to what listens there."""
    paths = ("/api/v1/namespaces/default/workflows/x", "", "/?next=http://shop.example/")
    for position, host in enumerate(SPELLINGS):
        yield f"http://{host}:{(8233, 7233, 5432)[position % 3]}{paths[position % 3]}"
    yield from ("http://127.0.0.1", "HTTP://localhost/", "http://0x7f.1:080/x", "https://127.1:8233")
    yield from OTHERS


def plan_with_url(place: Place, url: str) -> tuple[dict[str, Any], str]:
    """Return the good plan, which allows itself everything, with this URL at that place; and the place's path."""
    document: Any = good()
    host = _host(url)
    document["safety"]["allowed_hosts"] = ["127.0.0.1", f"[{host}]" if ":" in host else host]
    inner, path = document, ".".join(place).replace(EACH, "reviews")
    for part in place[:-1]:
        inner = inner.setdefault(part, {})
    # A base address has no query.
    base = place[0] == "system"
    inner["reviews" if place[-1] == EACH else place[-1]] = url.partition("?")[0] if base else url
    return document, path


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


CASES = list(product(address_places(), urls(), range(len(SETTINGS))))


@pytest.mark.parametrize("place", address_places(), ids=".".join)
def test_no_plan_reaches_holdfasts_own_services_whatever_is_allowed(place: Place) -> None:
    """At every place of a plan, in every spelling: refused as an address that no setting opens, or no plan at all."""
    refused = 0
    for _, url, setting in (case for case in CASES if case[0] == place):
        document, path = plan_with_url(place, url)
        plan, problems = check_plan(document)
        if plan is None:
            assert path in {problem.path for problem in problems}, url
            continue
        rails = Guardrails(hosts=[*SETTINGS[setting], "127.0.0.1:18080-18105"], never=NEVER)
        found = {problem.path: problem.hint for problem in outside(plan, rails)}
        assert set(found) == {path}, (url, found)
        assert "no setting allows this one" in found[path], url
        refused += 1
    assert refused > 50


@pytest.mark.parametrize("place", address_places(), ids=".".join)
def test_nothing_is_reached_where_nothing_is_allowed(place: Place) -> None:
    """On a worker without the setting and without a lab."""
    for url in ("http://127.0.0.1:8080", "http://localhost", "http://shop.example", "http://169.254.169.254/"):
        plan, _ = check_plan(plan_with_url(place, url)[0])
        assert plan is not None
        assert plan_with_url(place, url)[1] in {problem.path for problem in outside(plan, Guardrails())}, url


DISGUISED = [
    "http://shop.example:80@127.0.0.1:8233/",
    "http://shop.example\\@127.0.0.1:8233/",
    "http://127.0.0.1:8233\\.shop.example",
    "http://shop.example#@127.0.0.1:8233/",
    "http://shop.example?@127.0.0.1:8233/",
    "http:///127.0.0.1:8233/",
    "http:127.0.0.1:8233/",
    "//127.0.0.1:8233/",
    "http://shop.example:8233:80/",
    "http://[::1",
    "http://[::1]x:80/",
    "http://shop.example:\uff18\uff10/",
    "http://127.0.0.1:+8233/",
    "http://127.0.0.1:8_233/",
    "http://127.0.0.1: 8233/",
    "http://127.0.0.1\t:8233/",
    "http://\u2488\u2488/",
    "http://\uff4cocalhost:8233",
    "http://%6cocalhost:8233/",
    "http://127.0.0.1%00.shop.example/",
    "http://shop.example%2f@127.0.0.1/",
    "http://127\u30020\u30020\u30021:8233",
    "file:///etc/passwd",
    "gopher://127.0.0.1:7233/_x",
    "unix:///var/run/docker.sock",
    "http://${env:HOST}:8233/",
    "http://127.0.0.1:8233\r\nhost: shop.example/",
    "http://.:8233/",
    "http://127.0.0.1.:8233/",
    "http://::1:8233/",
]
"""Addresses that two parsers may read differently."""


@pytest.mark.parametrize("place", address_places(), ids=".".join)
def test_no_disguise_gets_past_the_check(place: Place) -> None:
    """It is not a plan, or it is judged by the very address that the clients connect to."""
    for url in DISGUISED:
        document, path = plan_with_url(place, url)
        plan, problems = check_plan(document)
        if plan is None:
            assert path in {problem.path for problem in problems}, url
            continue
        _same_address(url)
        rails = Guardrails(hosts=["shop.example", "127.0.0.1:18080-18105"], never=NEVER)
        allowed = path not in {problem.path for problem in outside(plan, rails)}
        assert not allowed or address_of(url).host == "shop.example", url


def _same_address(url: str) -> int:
    """Assert that the address that is judged is the one that every client connects to, if it connects at all.

    Returns how many of the clients would connect.
    """
    judged = address_of(url)
    connecting = 0
    for read in (_of_httpx, _of_yarl, _of_load_client):
        try:
            host, port = read(url)
        except (httpx.InvalidURL, ValueError):
            continue
        assert judged == Address.of(host, port), (url, read)
        connecting += 1
    return connecting


def _of_httpx(url: str) -> tuple[str, int]:
    return httpx.URL(url).host, httpx.URL(url).port or _default_port(url)


def _of_yarl(url: str) -> tuple[str, int]:
    return yarl.URL(url, encoded=True).host or "", yarl.URL(url, encoded=True).port or _default_port(url)


def _default_port(url: str) -> int:
    return 443 if url.lower().startswith("https") else 80


def _of_load_client(url: str) -> tuple[str, int]:
    origin = encode(PreparedRequest(method="GET", url=url, headers={}, body=None, timeout=1)).origin
    return origin.host, origin.port


def test_the_check_and_the_clients_read_every_address_alike() -> None:
    assert all(_same_address(url) for url in urls())


def test_a_stored_plan_is_judged_as_strictly_as_a_new_plan() -> None:
    """It is read leniently, from a snapshot that was made under other rules."""
    document, path = plan_with_url(("request", "url"), "http://[::ffff:127.0.0.1]:8233/")
    plan = Plan.model_validate_json(json.dumps(document))
    rails = Guardrails(hosts=["127.0.0.1:1-65535"], never=NEVER)
    assert [problem.path for problem in outside(plan, rails)] == [path]
