"""Two real services: the front asks the back at a given address, and does without it when there is no answer."""

from typing import Any, Self

import aiohttp
from aiohttp import web

ITEMS = {"items": [1, 2, 3]}
PATIENCE = 1.0


class RealPair:
    """`front` at `/page`, and `back` at `/shelf/items`, each on a free port of this machine."""

    def __init__(self) -> None:
        self.back_as_front_knows_it = ""
        self.forwards_baggage = True
        self.asked_back = 0
        self.urls: dict[str, str] = {}
        self._runners: list[web.AppRunner] = []
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession()
        for name, path, handler in (("front", "/page", self._page), ("back", "/shelf/items", self._items)):
            app = web.Application()
            app.add_routes([web.get(path, handler)])
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
            await runner.setup()
            self._runners.append(runner)
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self.urls[name] = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        for runner in self._runners:
            await runner.cleanup()
        if self._session is not None:
            await self._session.close()

    async def _page(self, request: web.Request) -> web.Response:
        baggage = request.headers.get("baggage")
        headers = {"baggage": baggage} if baggage is not None and self.forwards_baggage else {}
        return web.json_response({"shelf": await self._shelf(headers)})

    async def _shelf(self, headers: dict[str, str]) -> Any:
        assert self._session is not None
        timeout = aiohttp.ClientTimeout(total=PATIENCE)
        url = f"{self.back_as_front_knows_it}/shelf/items?n=3"
        try:
            async with self._session.get(url, headers=headers, timeout=timeout) as response:
                return await response.json() if response.status < 400 else f"without: {response.status}"
        except aiohttp.ClientConnectorError:
            return "without: refused"
        except TimeoutError:
            return "without: too late"

    async def _items(self, _request: web.Request) -> web.Response:
        self.asked_back += 1
        return web.json_response(ITEMS)
