"""A receiver of traces: what a collector takes over HTTP, kept in memory."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.support.runs.bench import until

LARGEST = 64 * 1024 * 1024


class Seen(NamedTuple):
    """One span as it arrived."""

    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    """Empty for the first one of a trace."""
    began: int
    ended: int
    """Times, in nanoseconds."""
    attributes: dict[str, str | int]
    error: str | None
    """Description of its status. None: the span is no error."""


class Receiver:
    """Every span that arrived, and every byte."""

    def __init__(self) -> None:
        self.url = ""
        self.spans: list[Seen] = []
        self.raw = b""

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        body = gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
        self.raw += body
        for group in ExportTraceServiceRequest.FromString(body).resource_spans:
            service = next(fact.value.string_value for fact in group.resource.attributes if fact.key == "service.name")
            self.spans += [seen(service, span) for scope in group.scope_spans for span in scope.spans]
        return web.Response(content_type="application/x-protobuf")

    async def settled(self, name: str) -> None:
        """Wait until a span of this name has arrived."""

        async def look() -> bool:
            return any(span.name == name for span in self.spans)

        await until(look, f"the span {name}")


def value_of(value: AnyValue) -> str | int:
    return value.int_value if value.HasField("int_value") else value.string_value


def seen(service: str, span: Span) -> Seen:
    return Seen(
        service,
        span.name,
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        {fact.key: value_of(fact.value) for fact in span.attributes},
        span.status.message if span.status.code else None,
    )


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application(client_max_size=LARGEST)
    app.router.add_post("/v1/traces", receiver.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        receiver.url = f"http://{host}:{port}"
        yield receiver
    finally:
        await runner.cleanup()
