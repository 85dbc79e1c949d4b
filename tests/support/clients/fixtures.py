"""A real local HTTP server with answers chosen by the test, and a stand-in for a cluster."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from clients.kubernetes.connection import Cluster
from tests.support.clients.cluster import StandIn, stand_in

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Peer:
    """Answers every request by its method and path, and remembers what it was asked."""

    url: str = ""
    answers: dict[str, Any] = field(default_factory=dict)
    """`"POST /path"` -> JSON body, (status, body), or a handler."""
    seen: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    """Method, path with query, headers, body."""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.seen.append((request.method, request.raw_path, dict(request.headers), body))
        found = self.answers.get(f"{request.method} {request.path}", (500, {"success": False}))
        if callable(found):
            return await found(request)  # type: ignore[no-any-return]
        status, content = found if isinstance(found, tuple) else (200, found)
        if isinstance(content, str):
            return web.Response(status=status, text=content)
        return web.json_response(content, status=status)


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    peer = Peer()
    app = web.Application()
    app.router.add_route("*", "/{any:.*}", peer.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    peer.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield peer
    await runner.cleanup()


@pytest.fixture
async def api() -> AsyncIterator[StandIn]:
    async with stand_in() as api:
        yield api


@pytest.fixture
async def cluster(api: StandIn, tmp_path: Path) -> AsyncIterator[Cluster]:
    cluster = Cluster({"KUBECONFIG": str(api.kubeconfig(tmp_path))})
    yield cluster
    await cluster.aclose()
