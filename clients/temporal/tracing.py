"""Traces of this process: of what Temporal's SDK does, and of what we send.

Temporal's interceptor makes the spans of workflows. They last as long as what they stand for, and are exported once,
however often a workflow is replayed.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from temporalio.api.common.v1 import Payload
from temporalio.client import OutboundInterceptor, QueryWorkflowInput
from temporalio.contrib.opentelemetry import OpenTelemetryInterceptor, create_tracer_provider
from temporalio.converter import PayloadConverter
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    ExecuteWorkflowInput,
    HandleQueryInput,
    HandleSignalInput,
    HandleUpdateInput,
    WorkflowInterceptorClassInput,
)

from clients.telemetry.safe_export import SafeExporter
from clients.telemetry.spans import Spans
from clients.telemetry.trace_settings import TraceSettings
from clients.telemetry.tracing import TRACEPARENT, TRACESTATE, set_spans
from domain.errors import ErrorCode, HoldfastError

HEADER = "_tracer-data"
"""Header of a workflow, activity, signal or update in which the interceptor passes the trace on."""

_LONGEST_VALUE = 512
"""Most characters of a value in it. W3C Trace Context asks for no more of a `tracestate`."""


def start_tracing(settings: TraceSettings, service: str) -> None:
    """Trace this process under this name until `end_tracing`. Call it once a process.

    Raises:
        HoldfastError: VALIDATION_ERROR when the exporter is not installed, a variable cannot be used, or somebody else
            traces this process already.
    """
    # The exporter logs each failure several times, and may quote its headers. Ours logs when sending begins to fail.
    for name in ("opentelemetry.exporter", "opentelemetry.util.re"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        exporter = SafeExporter(_exporter(settings), settings.receiver)
        processor = BatchSpanProcessor(exporter)
        ours = Resource.create({"service.name": service, "service.version": _version()})
        # The variables' own name for the service wins.
        provider = create_tracer_provider(resource=ours.merge(OTELResourceDetector().detect()), shutdown_on_exit=False)
    except HoldfastError:
        raise
    except Exception as error:
        # Not quoted: the variables may hold a password.
        raise HoldfastError(
            ErrorCode.VALIDATION_ERROR,
            f"the OTEL_* variables cannot be used: {type(error).__name__}",
            hint="check its numbers, and the files that they name",
        ) from error
    provider.add_span_processor(processor)
    trace.set_tracer_provider(provider)
    if trace.get_tracer_provider() is not provider:
        raise HoldfastError(
            ErrorCode.VALIDATION_ERROR,
            "something else traces this process already",
            hint="start it without opentelemetry-instrument, or unset the OTEL_* variables",
        )
    set_spans(Spans(trace.get_tracer("holdfast"), settings.load_share, exporter.keep_out, processor.shutdown))


def _exporter(settings: TraceSettings) -> SpanExporter:
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise HoldfastError(
            ErrorCode.VALIDATION_ERROR,
            "the OTEL_* variables ask for traces, but their exporter is not installed",
            hint="pip install 'holdfast[otlp]', or unset the variables",
        ) from error
    return OTLPSpanExporter(timeout=settings.patience)


def _version() -> str:
    try:
        return version("holdfast")
    except PackageNotFoundError:
        return "unknown"


def only_a_trace(headers: Mapping[str, Payload]) -> Mapping[str, Payload]:
    """Return headers whose trace the interceptor can read, or none.

    Anybody who reaches Temporal can send a signal with any header. An error while it is read would fail the workflow's
    task, again and again, and so keep a window from closing.
    """
    if HEADER not in headers:
        return headers
    rest = {name: value for name, value in headers.items() if name != HEADER}
    try:
        [carrier] = PayloadConverter.default.from_payloads([headers[HEADER]])
        # Baggage as well could be passed on in this way, and would be copied into every further header.
        found = {name: carrier[name] for name in (TRACEPARENT, TRACESTATE) if name in carrier}
    except Exception:
        return rest
    if not all(isinstance(value, str) and len(value) <= _LONGEST_VALUE for value in found.values()):
        return rest
    return {**rest, HEADER: PayloadConverter.default.to_payloads([found])[0]}


class TracingInterceptor(OpenTelemetryInterceptor):
    """Traces starts, workflows, activities, signals and updates, but no queries: a live view asks several a second."""

    def __init__(self) -> None:
        super().__init__(add_temporal_spans=True)

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:  # noqa: A002 - the library's name
        """Trace all calls of a client but its queries."""
        return _PlainQueries(super().intercept_client(next), next)

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        """Trace activities, whatever their headers are."""
        return _CheckedHeaders(super().intercept_activity(next))

    def workflow_interceptor_class(self, input: WorkflowInterceptorClassInput) -> type[Any]:  # noqa: A002
        """Trace everything that a workflow handles but queries, whatever the headers are."""
        traced: Any = super().workflow_interceptor_class(input)

        class Checked(traced):  # type: ignore[misc]
            async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:  # noqa: A002
                input.headers = only_a_trace(input.headers)
                return await super().execute_workflow(input)

            async def handle_signal(self, input: HandleSignalInput) -> None:  # noqa: A002
                input.headers = only_a_trace(input.headers)
                await super().handle_signal(input)

            def handle_update_validator(self, input: HandleUpdateInput) -> None:  # noqa: A002
                input.headers = only_a_trace(input.headers)
                super().handle_update_validator(input)

            async def handle_update_handler(self, input: HandleUpdateInput) -> Any:  # noqa: A002
                input.headers = only_a_trace(input.headers)
                return await super().handle_update_handler(input)

            async def handle_query(self, input: HandleQueryInput) -> Any:  # noqa: A002
                return await self.next.handle_query(input)

        return Checked


class _PlainQueries(OutboundInterceptor):
    def __init__(self, traced: OutboundInterceptor, plain: OutboundInterceptor) -> None:
        super().__init__(traced)
        self._plain = plain

    async def query_workflow(self, input: QueryWorkflowInput) -> Any:  # noqa: A002 - the library's name
        return await self._plain.query_workflow(input)


class _CheckedHeaders(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 - the library's name
        input.headers = only_a_trace(input.headers)
        return await super().execute_activity(input)
