"""A proxy before the entry that counts who is inside: what the system really sees of all load workers together."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web

SLOW = 0.02
"""Minimum seconds of each request, so that permitted requests really overlap."""


class Turnstile:
    """Passes requests on, with every header, and counts."""

    def __init__(self, entry: str) -> None:
        self.url = ""
        self.most = 0
        """The most requests that were in flight at once."""
        self.begun: Counter[str] = Counter()
        """Requests by baggage header."""
        self.holding: set[str] = set()
        """Baggage headers whose requests are kept inside until it opens."""
        self.held: Counter[str] = Counter()
        """Requests that are, or were, kept inside."""
        self.opened = asyncio.Event()
        self._entry = entry
        self._inside = 0

    async def pass_on(self, request: web.Request) -> web.Response:
        """Pass on one request."""
        self._inside += 1
        self.most = max(self.most, self._inside)
        baggage = request.headers.get("baggage", "")
        self.begun[baggage] += 1
        try:
            if baggage in self.holding:
                self.held[baggage] += 1
                await self.opened.wait()
            async with aiohttp.ClientSession(trust_env=False) as client:
                headers = {name: value for name, value in request.headers.items() if name.lower() != "host"}
                address = self._entry + request.path_qs
                async with client.request(request.method, address, headers=headers) as answer:
                    await asyncio.sleep(SLOW)
                    return web.Response(status=answer.status, body=await answer.read())
        finally:
            self._inside -= 1


@asynccontextmanager
async def turnstile(entry: str) -> AsyncIterator[Turnstile]:
    """Open a turnstile before this address, on a free port."""
    counting = Turnstile(entry)
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", counting.pass_on)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    counting.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield counting
    finally:
        await runner.cleanup()
