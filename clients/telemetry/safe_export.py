"""Spans on their way out of the process: without secrets, and without texts that may quote anybody."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from functools import cache

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import Status
from opentelemetry.util.types import AttributeValue

from domain.errors import ErrorCode

logger = logging.getLogger("holdfast.tracing")

_ERROR = re.compile(rf"[A-Za-z]{{1,60}}(: ({'|'.join(ErrorCode)})(?=:|$))?")
"""An error's type and, if there is one, our stable code. What follows may quote a peer's answer."""

_LONGEST = 1_000
"""Most characters of an attribute."""


class SafeExporter(SpanExporter):
    """Exports redacted copies of spans by another exporter.

    Events are left out: the SDK's interceptor makes one of every exception, with its text and its stack. An error's
    text is in the run's history, where the span's workflow id and run id lead.
    """

    def __init__(self, exporter: SpanExporter, receiver: str) -> None:
        """Wrap an exporter; `receiver` names where it sends to, for the log."""
        self._exporter = exporter
        self._receiver = receiver
        self._redact: Callable[[str], str] | None = None
        self._failing = False

    def keep_out(self, redact: Callable[[str], str]) -> None:
        """Redact secrets in everything that is exported from now on."""
        self._redact = redact

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export copies. The first failure in a row is logged."""
        # Most texts of a batch are the same few: redact each only once.
        cleaned = cache(self._text)
        result = self._exporter.export([_copied(span, cleaned) for span in spans])
        failing = result is not SpanExportResult.SUCCESS
        if failing and not self._failing:
            logger.warning("spans cannot be sent to %s and are lost until that works again", self._receiver)
        elif self._failing and not failing:
            logger.info("spans are sent to %s again", self._receiver)
        self._failing = failing
        return result

    def shutdown(self) -> None:
        """Close the exporter."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Send what the exporter holds back."""
        return self._exporter.force_flush(timeout_millis)

    def _text(self, text: str) -> str:
        return (self._redact(text) if self._redact else text)[:_LONGEST]


def _copied(span: ReadableSpan, cleaned: Callable[[str], str]) -> ReadableSpan:
    def value_of(value: AttributeValue) -> AttributeValue:
        return cleaned(value) if isinstance(value, str) else value

    return ReadableSpan(
        name=cleaned(span.name),
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes={name: value_of(value) for name, value in (span.attributes or {}).items()},
        links=span.links,
        kind=span.kind,
        status=_without_text(span.status),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _without_text(status: Status) -> Status:
    found = _ERROR.match(status.description or "")
    return Status(status.status_code, found[0] if found else None)
