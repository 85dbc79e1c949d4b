"""A codec endpoint: decrypts what the Web UI and the `temporal` CLI show, for those who have its token.

It speaks Temporal's remote codec protocol: `POST /decode` and `/encode` with payloads as JSON.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Annotated

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from pydantic import BaseModel, BeforeValidator, Field, ValidationError
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec

from domain.errors import ErrorCode, HoldfastError

LOOPBACK = "127.0.0.1"

LARGEST_BODY = 16 * 1024 * 1024
"""Most bytes of a request. The server keeps at most 2 MiB of a payload; the UI sends those of a page together."""

Work = Callable[[Sequence[Payload]], Awaitable[list[Payload]]]


def _decoded(value: object) -> object:
    # Strictly: pydantic's own type leaves out characters that are not base64.
    return base64.b64decode(value, validate=True) if isinstance(value, str) else value


Bytes = Annotated[bytes, BeforeValidator(_decoded)]


class WirePayload(BaseModel):
    """A payload as protobuf writes it in JSON, where bytes are base64."""

    metadata: dict[str, Bytes] = {}
    data: Bytes = b""


class WirePayloads(BaseModel):
    """The body of a request."""

    payloads: list[WirePayload] = Field(default=[], max_length=10_000)


@asynccontextmanager
async def codec_endpoint(codec: PayloadCodec, token: str, port: int, origins: Collection[str]) -> AsyncIterator[int]:
    """Serve inside the block, to this machine alone. Yields the port.

    A request needs the token, as `Authorization: Bearer TOKEN` or as the first part of its path. Pages of these origins
    may ask, such as the Web UI's.

    Raises:
        HoldfastError: VALIDATION_ERROR when the port cannot be used.
    """
    app = web.Application(client_max_size=LARGEST_BODY, middlewares=[_cross_origin(origins)])
    for prefix in ("", "/{token}"):
        for name, work in (("decode", codec.decode), ("encode", codec.encode)):
            app.router.add_post(f"{prefix}/{name}", partial(_answer, work, token))
            app.router.add_options(f"{prefix}/{name}", _preflight)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        yield await _listen(runner, port)
    finally:
        await runner.cleanup()


def _cross_origin(origins: Collection[str]) -> Middleware:
    @web.middleware
    async def allow(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await handler(request)
        origin = request.headers.get("Origin", "")
        if origin in origins:
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Allow-Headers"] = "authorization, content-type, x-namespace"
            response.headers["Access-Control-Allow-Methods"] = "POST"
            response.headers["Vary"] = "Origin"
        return response

    return allow


async def _preflight(_request: web.Request) -> web.Response:
    return web.Response(status=204)


async def _answer(work: Work, token: str, request: web.Request) -> web.Response:
    given = request.match_info.get("token") or request.headers.get("Authorization", "").removeprefix("Bearer ")
    if not hmac.compare_digest(given.encode(errors="surrogateescape"), token.encode()):
        return web.json_response({"message": "the token is missing or wrong"}, status=401)
    try:
        asked = WirePayloads.model_validate_json(await request.read())
    except ValidationError:
        # Without its words, which quote the input.
        return web.json_response({"message": "the body must be payloads as JSON"}, status=400)
    payloads = [Payload(metadata=payload.metadata, data=payload.data) for payload in asked.payloads]
    return web.json_response({"payloads": [_written(payload) for payload in await work(payloads)]})


def _written(payload: Payload) -> dict[str, object]:
    metadata = {name: base64.b64encode(value).decode() for name, value in payload.metadata.items()}
    return {"metadata": metadata, "data": base64.b64encode(payload.data).decode()}


async def _listen(runner: web.AppRunner, port: int) -> int:
    try:
        await web.TCPSite(runner, LOOPBACK, port).start()
    except OSError as error:
        raise HoldfastError(
            ErrorCode.VALIDATION_ERROR,
            f"the codec cannot be served at port {port}: {error.strerror or error}",
            hint="give another --port, or 0 for a free one",
        ) from error
    return int(runner.addresses[0][1])
