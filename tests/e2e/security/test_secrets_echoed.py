"""A hostile service echoes its input in every spelling, and uses the secret in the paths that it requests."""

from __future__ import annotations

import base64
import html
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import quote

import aiohttp
import pytest
from aiohttp import web
from temporalio.client import Client

from lab import Lab, PortChoice, Topology
from reports.build.gather import gather
from reports.forms import as_html, as_json, as_junit, as_markdown
from tests.support.runs.bench import Bench
from tests.support.runs.fixtures import QUICK
from tests.support.security.spellings import SPELLINGS

IN_PATH = "p4th s3cret/é-zXq"
PASSWORD = "pa55word-s3cret-Wkp"  # noqa: S105 - the point of the test
TOKEN = "t0ken-of-a-login-Qvb"  # noqa: S105 - the point of the test


class Echo:
    """Entry and neighbour in one program.

    The entry calls the neighbour by the lab's address, under a secret path.
    """

    def __init__(self) -> None:
        self.inner = ""
        self.renewed = 0
        self.seen: list[str] = []

    def token(self) -> str:
        return f"{TOKEN}-{self.renewed}"

    async def answer(self, request: web.Request) -> web.Response:
        if request.path == "/login":
            assert PASSWORD in await request.text()
            self.renewed += 1
            return web.json_response({"access_token": self.token()})
        if request.path == "/health":
            return web.Response()
        self.seen.append(request.raw_path)
        given = request.headers.get("authorization", "")
        echoed = {name: write(f"{given} {IN_PATH}") for name, write in SPELLINGS.items()}
        status = 200
        if request.path.startswith("/entry") and self.inner:
            headers = {name: request.headers[name] for name in ("baggage", "authorization") if name in request.headers}
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"{self.inner}/inner/{quote(IN_PATH, safe='')}", headers=headers) as answer,
            ):
                status = 200 if answer.status < 500 else 503
        return web.json_response({"echo": echoed, "pad": "x" * 3_000, "again": echoed}, status=status)


@pytest.fixture
async def echo() -> AsyncIterator[tuple[Echo, str]]:
    service = Echo()
    application = web.Application()
    application.router.add_route("*", "/{rest:.*}", service.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield service, f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_secrets_echoed_by_a_service_are_stored_nowhere(
    temporal: Client, tmp_path: Path, echo: tuple[Echo, str]
) -> None:
    """Every file of the store, the log, every history and every form of report is searched, for every spelling."""
    service, address = echo
    names = ("storefront", "inner")
    services = [{"name": name, "upstream": address, "upstream_health": "/health"} for name in names]
    topology = Topology.model_validate({"namespace": "shop", "entry": "storefront", "ports": {}, "services": services})
    async with AsyncExitStack() as stack:
        lab = await stack.enter_async_context(Lab(topology, settings=QUICK, ports=PortChoice.FREE))
        bench = await stack.enter_async_context(Bench(temporal, lab, tmp_path))
        service.inner = lab.addresses.services["inner"]
        entry = lab.addresses.services["storefront"]
        await bench.worker(
            PATH_KEY=IN_PATH.replace(" ", "%20").replace("/", "%2F").replace("é", "%C3%A9"),
            PASSWORD=PASSWORD,
            HOLDFAST_SECRETS="PATH_KEY PASSWORD",
        )
        plan = bench.plan(services=[{"name": name, "fault": "error"} for name in names])
        login = {"url": f"{entry}/login", "json": {"password": "${env:PASSWORD}"}}
        plan["request"] = {"url": f"{entry}/entry/${{env:PATH_KEY}}/x", "login": login}
        handle = await bench.start(plan)
        summary = await handle.result()
        await bench.lock_ended(handle)
        assert summary.cases.measured == 4
        execution = summary.execution_id
        # The inner service's rule acted, so its path was restored as it was on the wire.
        by_case = {result.case_id: result.measurement for result in await bench.store.results.all(execution)}
        assert by_case["inner"] is not None
        assert by_case["inner"].successes == 0
        assert any("PATH_KEY" in exchange.path for exchange in await bench.store.traffic.exchanges(execution, "inner"))
        report = await gather(bench.store, execution)
        forms = [form.render(report) for form in (as_html, as_json, as_junit, as_markdown)]
        haystacks = {f"report {number}": form for number, form in enumerate(forms)}
        with sqlite3.connect(tmp_path / "holdfast.db") as database:
            haystacks["rows"] = "\n".join(database.iterdump())
        for path in tmp_path.iterdir():
            haystacks[path.name] = path.read_bytes().decode(errors="replace")
        ids = [handle.id, f"recording/{execution}", f"rules/{execution}", f"load/{execution}/0"]
        for workflow_id in [*ids, *(f"fault/{execution}/{name}" for name in names)]:
            history = await temporal.get_workflow_handle(workflow_id).fetch_history()
            haystacks[workflow_id] = history.to_json() + _payloads(history.to_json())
    assert service.seen
    needles = {write(secret) for write in SPELLINGS.values() for secret in (IN_PATH, PASSWORD, TOKEN)}
    # These encode other text around the secret, and what they leave of it is not the secret.
    needles = {needle for needle in needles if not needle.startswith(("dTp", "dXN", "eyJ"))} | {
        html.escape(TOKEN),
        TOKEN[:12],
    }
    for name, content in haystacks.items():
        assert [needle for needle in needles if needle in content] == [], name


def _payloads(history: str) -> str:
    """Decode what a history holds in base64."""
    found: list[str] = []
    ahead = [json.loads(history)]
    while ahead:
        node = ahead.pop()
        ahead += node.values() if isinstance(node, dict) else node if isinstance(node, list) else []
        if isinstance(node, dict) and isinstance(node.get("data"), str):
            found.append(base64.b64decode(node["data"]).decode(errors="replace"))
    return "\n".join(found)
