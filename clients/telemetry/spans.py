"""Spans of what this process sends, and facts about the span in progress.

Names and attributes follow OpenTelemetry's semantic conventions for HTTP clients; ours begin with `holdfast.`. Neither
bodies nor headers nor queries are among them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import NamedTuple
from urllib.parse import urlsplit, urlunsplit

from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer

Facts = Mapping[str, str | int]
Redact = Callable[[str], str]

_PORTS = {"http": 80, "https": 443}
_FIRST_ERROR = 400
"""Lowest status that is an error for a client, by the semantic conventions."""


class SpanIds(NamedTuple):
    """What names a span, in hex."""

    trace_id: str
    span_id: str


class RequestSpan:
    """One request, with its span if it is traced."""

    __slots__ = ("_span", "traceparent")

    def __init__(self, traceparent: str, span: Span | None) -> None:
        self.traceparent = traceparent
        """Value of the header."""
        self._span = span

    def end(self, status: int | None, error: str) -> None:
        """End the span, if there is one, with an HTTP status or a kind of error."""
        span = self._span
        if span is None:
            return
        if status is not None:
            span.set_attribute("http.response.status_code", status)
            error = error or (str(status) if status >= _FIRST_ERROR else "")
        if error:
            span.set_attribute("error.type", error)
            span.set_status(StatusCode.ERROR)
        span.end()


class RequestSpans:
    """The spans of one request that is sent many times, in the trace of the activity that sends it.

    Every request carries the id of the trace. Those without a span ask the services to record none either: a load test
    would fill their store.
    """

    def __init__(self, tracer: Tracer, parent: Context, share: float, method: str, facts: Facts) -> None:
        """Trace the first request, and then this share of all."""
        self._tracer = tracer
        self._parent = parent
        self._method = method
        self._facts = {"http.request.method": method, **facts}
        self._share = share
        self._due = 1.0 if share else 0.0
        self._trace_id = trace.format_trace_id(trace.get_current_span(parent).get_span_context().trace_id)

    def next(self) -> RequestSpan:
        """Begin the span of the next request, unless it gets none."""
        if self._due < 1:
            self._due += self._share
            return RequestSpan(f"00-{self._trace_id}-{os.urandom(8).hex()}-00", None)
        self._due += self._share - 1
        span = self._tracer.start_span(self._method, self._parent, SpanKind.CLIENT, self._facts)
        made = span.get_span_context()
        flags = "01" if made.trace_flags.sampled else "00"
        return RequestSpan(f"00-{self._trace_id}-{trace.format_span_id(made.span_id)}-{flags}", span)


class Spans:
    """The spans of this process."""

    def __init__(
        self, tracer: Tracer, load_share: float, keep_out: Callable[[Redact], None], close: Callable[[], None]
    ) -> None:
        self._tracer = tracer
        self._load_share = load_share
        self.close = close
        """Send what is left. Takes as long as the receiver does."""
        self.keep_out = keep_out
        """Pass every text of a span through this redaction before it leaves the process, from now on."""

    def ids(self) -> SpanIds | None:
        """Return the ids of the span in progress, if there is one."""
        found = trace.get_current_span().get_span_context()
        if not found.is_valid:
            return None
        return SpanIds(trace.format_trace_id(found.trace_id), trace.format_span_id(found.span_id))

    def describe(self, facts: Facts) -> None:
        """Add facts to the span in progress."""
        trace.get_current_span().set_attributes(facts)

    def requests(self, method: str, url: str, facts: Facts, *, every: bool) -> RequestSpans | None:
        """Return the spans of a request that is sent once or many times. None outside of any trace.

        With `every`, each request is traced, not only the share of a load test.
        """
        if self.ids() is None:
            return None
        share = 1.0 if every else self._load_share
        return RequestSpans(self._tracer, context.get_current(), share, method, {**_where(url), **facts})


def _where(url: str) -> dict[str, str | int]:
    """Return the attributes of an address, without its query and password."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return {}
    netloc = parts.netloc.rpartition("@")[2]
    found: dict[str, str | int] = {"url.full": urlunsplit((parts.scheme, netloc, parts.path, "", ""))}
    if host:
        found["server.address"] = host
    if port:
        found["server.port"] = port
    return found
