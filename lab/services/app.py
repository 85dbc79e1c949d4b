"""What a demo service does with a request.

It does its own work, makes its calls in order, and uses its fallbacks.
"""

import asyncio
import json
from collections.abc import Callable

import aiohttp
from aiohttp import web
from pydantic import BaseModel, JsonValue

from lab.topology import Call, FailureKind, Route, Service
from lab.tracing import ServiceTraces


class CallResult(BaseModel):
    """The result of one call to another service.

    `ok` is false if only a fallback value stands in.
    """

    ok: bool
    value: JsonValue = None
    failure: FailureKind = FailureKind.ANY
    """Kind of failure, if the call failed."""
    fatal: bool = False
    """Whether the caller cannot do without the answer."""


def json_response(body: object, status: int = 200) -> web.Response:
    """Build a JSON answer, like those of every service here."""
    return web.Response(
        body=json.dumps(body, ensure_ascii=False).encode(),
        status=status,
        content_type="application/json",
    )


def raw_path(request: web.BaseRequest) -> str:
    """Return the path as sent: percent-encoded, without the query."""
    return request.raw_path.partition("?")[0]


class App:
    """One demo service, without any socket."""

    def __init__(
        self,
        service: Service,
        session: aiohttp.ClientSession,
        address_of: Callable[[str], str],
        traces: ServiceTraces,
    ) -> None:
        self._service = service
        self._traces = traces
        self._session = session
        self._address_of = address_of
        self._routes: dict[tuple[str, str], Route] = {(route.method, route.path): route for route in service.routes}

    async def answer(self, request: web.BaseRequest) -> web.Response:
        """Answer a business request."""
        route = self._routes.get((request.method, raw_path(request)))
        if route is None:
            return json_response({"error": "not found", "service": self._service.name}, 404)
        with self._traces.serving(request.method, route.path, request.headers) as served:
            response = await self._serve(route, request.headers.get("baggage"), served.headers)
            served.status = response.status
            return response

    async def healthy(self) -> bool:
        """Return whether it could answer: a simulated service always can."""
        return True

    async def _serve(self, route: Route, baggage: str | None, trace: dict[str, str]) -> web.Response:
        await asyncio.sleep(self._service.latency)
        if route.leaf:
            return json_response(route.body)
        # A service that does not copy the one header copies no other either.
        headers = {**({"baggage": baggage} if baggage is not None else {}), **trace}
        return await self._compose(route, headers if self._service.forwards_baggage else {})

    async def _compose(self, route: Route, headers: dict[str, str]) -> web.Response:
        results: dict[str, CallResult] = {}
        for call in self._service.calls:
            result = await self._call(call, headers)
            if result.fatal:
                return self._unavailable([call.service])
            results[call.service] = result
        for group in self._service.needs_one_of:
            if not any(results[name].ok for name in group):
                return self._unavailable(list(group))
        return json_response({**route.body, **{name: result.value for name, result in results.items()}})

    async def _call(self, call: Call, headers: dict[str, str]) -> CallResult:
        result = await self._attempt(call, call.service, call.path, headers)
        for _ in range(call.retries):
            if result.ok:
                break
            await asyncio.sleep(call.backoff)
            result = await self._attempt(call, call.service, call.retry_path or call.path, headers)
        if result.ok:
            return result
        if not call.covers(result.failure):
            return CallResult(ok=False, fatal=True)
        for stand_in in call.stand_ins:
            result = await self._attempt(call, stand_in.service, stand_in.path, headers)
            if result.ok:
                return result
        return CallResult(ok=False, value=call.fallback)

    async def _attempt(self, call: Call, service: str, path: str, headers: dict[str, str]) -> CallResult:
        try:
            async with self._session.request(
                call.method,
                self._address_of(service) + path,
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=call.timeout),
            ) as response:
                if response.status >= 400:
                    return CallResult(ok=False, failure=FailureKind.STATUS)
                return CallResult(ok=True, value=await response.json(content_type=None))
        except ValueError:
            # An answer that is no JSON counts like one with an error status.
            return CallResult(ok=False, failure=FailureKind.STATUS)
        except (aiohttp.ClientError, TimeoutError):
            return CallResult(ok=False, failure=FailureKind.NO_ANSWER)

    def _unavailable(self, dependencies: list[str]) -> web.Response:
        body = {
            "error": "dependency unavailable",
            "service": self._service.name,
            "dependency": "|".join(dependencies),
        }
        return json_response(body, 503)
