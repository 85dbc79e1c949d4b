"""Traces of the lab's services, as an instrumented system would make them, by the standard `OTEL_*` variables.

Each service is a service of its own in them. Unless a variable names a receiver, nothing is imported for this, and a
service only passes on what it got.
"""

import asyncio
import contextlib
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.trace import Tracer

TRACEPARENT = "traceparent"
TRACESTATE = "tracestate"

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PATIENCE_AT_END = 3.0
"""Seconds for sending what is left when the lab stops."""

_FIRST_ERROR = 500
"""Lowest status that is an error of the server itself, by the semantic conventions."""


@dataclass
class Served:
    """One request in progress."""

    headers: dict[str, str]
    """The trace, for the calls that it causes."""
    status: int = 0


class ServiceTraces:
    """The spans of one service."""

    def __init__(self, tracer: "Tracer | None" = None) -> None:
        """Without a tracer there are none."""
        self._tracer = tracer

    @contextlib.contextmanager
    def serving(self, method: str, route: str, headers: Mapping[str, str]) -> Iterator[Served]:
        """Trace a request with these headers while the block serves it and notes its status."""
        given = {name: headers[name] for name in (TRACEPARENT, TRACESTATE) if name in headers}
        if self._tracer is None:
            yield Served(given)
            return
        from opentelemetry.trace import SpanKind, StatusCode  # noqa: PLC0415
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

        propagator = TraceContextTextMapPropagator()
        facts = {"http.request.method": method, "http.route": route, "url.path": route, "url.scheme": "http"}
        with self._tracer.start_as_current_span(
            f"{method} {route}", propagator.extract(given), SpanKind.SERVER, facts
        ) as span:
            served = Served({})
            propagator.inject(served.headers)
            yield served
            span.set_attribute("http.response.status_code", served.status)
            if served.status >= _FIRST_ERROR:
                span.set_attribute("error.type", str(served.status))
                span.set_status(StatusCode.ERROR)


class LabTraces:
    """Sends the spans of all services of one lab."""

    def __init__(self, processor: "SpanProcessor | None" = None) -> None:
        self._processor = processor

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "LabTraces":
        """Send spans where the variables say, and nothing if they say nothing or the exporter is not installed."""
        off = environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or environ.get("OTEL_TRACES_EXPORTER") == "none"
        if off or not any(environ.get(name) for name in _ENDPOINTS):
            return cls()
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
            from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
        except ImportError:
            return cls()
        return cls(BatchSpanProcessor(OTLPSpanExporter(timeout=3)))

    def of(self, service: str, namespace: str) -> ServiceTraces:
        """Return the spans of a service."""
        if self._processor is None:
            return ServiceTraces()
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415

        resource = Resource({"service.name": service, "service.namespace": namespace})
        provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        provider.add_span_processor(self._processor)
        return ServiceTraces(provider.get_tracer("holdfast.lab"))

    async def close(self) -> None:
        """Send what is left, for at most `PATIENCE_AT_END`."""
        if self._processor is None:
            return
        # The library waits up to 30 s for a receiver that does not answer.
        sending = threading.Thread(target=self._processor.shutdown, daemon=True)
        sending.start()
        await asyncio.to_thread(sending.join, PATIENCE_AT_END)
