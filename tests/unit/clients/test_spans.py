"""Spans of requests, and what of a span leaves the process."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import cast

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler
from opentelemetry.trace import Tracer

from clients.telemetry import tracing
from clients.telemetry.safe_export import SafeExporter
from clients.telemetry.spans import RequestSpans, Spans
from clients.telemetry.tracing import current_spans, end_tracing, set_spans, traced_call

URL = "https://user:password@shop.internal/api/home?key=${env:KEY}"


class Traces:
    """A process that traces into memory."""

    def __init__(self, sampler: Sampler = ALWAYS_ON) -> None:
        self.kept = InMemorySpanExporter()
        self.exporter = SafeExporter(self.kept, "collector:4318")
        provider = TracerProvider(sampler=sampler)
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer: Tracer = provider.get_tracer("tests")
        self.spans = Spans(self.tracer, 0.25, self.exporter.keep_out, provider.shutdown)

    @property
    def exported(self) -> Sequence[ReadableSpan]:
        return self.kept.get_finished_spans()


def test_outside_of_a_trace_nothing_is_traced() -> None:
    traces = Traces()
    assert traces.spans.requests("GET", URL, {}, every=True) is None
    assert traces.spans.ids() is None


@pytest.mark.parametrize(("every", "traced"), [(True, 8), (False, 2)])
def test_the_first_request_and_a_share_of_the_others_have_spans(every: bool, traced: int) -> None:
    traces = Traces()
    with traces.tracer.start_as_current_span("activity"):
        requests = traces.spans.requests("GET", URL, {"holdfast.case": "baseline"}, every=every)
        assert requests is not None
        headers = []
        for _ in range(8):
            span = requests.next()
            headers.append(span.traceparent)
            span.end(200, "")
    (*sent, activity) = traces.exported
    assert activity.context is not None
    trace_id = f"{activity.context.trace_id:032x}"
    assert all(header.startswith(f"00-{trace_id}-") for header in headers)
    assert [header.endswith("-01") for header in headers].index(True) == 0
    named = {header[36:52] for header in headers if header.endswith("-01")}
    assert named == {f"{span.context.span_id:016x}" for span in sent if span.context}
    assert len(named) == traced
    # Services would take the same id for the same request.
    assert len({header[36:52] for header in headers}) == len(headers)


def test_without_a_share_no_request_of_a_load_test_is_traced() -> None:
    traces = Traces()
    none = Spans(traces.tracer, 0.0, traces.exporter.keep_out, traces.exporter.shutdown)
    with traces.tracer.start_as_current_span("activity"):
        requests = none.requests("GET", URL, {}, every=False)
        assert requests is not None
        assert all(requests.next().traceparent.endswith("-00") for _ in range(200))


def test_a_trace_that_is_not_sampled_asks_services_to_record_nothing() -> None:
    traces = Traces(ALWAYS_OFF)
    with traces.tracer.start_as_current_span("activity"):
        requests = traces.spans.requests("GET", URL, {}, every=True)
        assert requests is not None
        assert requests.next().traceparent.endswith("-00")
    assert not traces.exported


def test_a_requests_span_has_the_standards_attributes_and_no_query() -> None:
    traces = Traces()
    with traces.tracer.start_as_current_span("activity"):
        requests = traces.spans.requests("POST", URL, {}, every=True)
        assert requests is not None
        requests.next().end(503, "")
        requests.next().end(None, "timeout")
        requests.next().end(404, "")
    failed, silent, missing, _ = traces.exported
    assert failed.name == "POST"
    assert dict(failed.attributes or {}) == {
        "http.request.method": "POST",
        "url.full": "https://shop.internal/api/home",
        "server.address": "shop.internal",
        "server.port": 443,
        "http.response.status_code": 503,
        "error.type": "503",
    }
    assert (silent.attributes or {})["error.type"] == "timeout"
    assert (missing.attributes or {})["error.type"] == "404"
    assert not any(span.status.is_ok for span in (failed, silent, missing))


def test_a_single_call_is_traced_with_its_outcome() -> None:
    traces = Traces()
    set_spans(traces.spans)
    try:
        with traces.tracer.start_as_current_span("activity"):
            with traced_call("DELETE", URL) as call:
                assert call.headers["traceparent"].endswith("-01")
                call.status = 204
            with pytest.raises(TimeoutError), traced_call("GET", URL):
                raise TimeoutError
        with traced_call("GET", URL) as outside:
            assert not outside.headers
    finally:
        set_spans(None)
    deleted, failed, _ = traces.exported
    assert (deleted.attributes or {})["http.response.status_code"] == 204
    assert (failed.attributes or {})["error.type"] == "TimeoutError"


def test_texts_and_secrets_stay_in_the_process() -> None:
    """A span's error names its type and code. Its text and its stack may quote a service's answer."""
    traces = Traces()
    traces.spans.keep_out(lambda text: text.replace("hunter2", "***"))

    class ApplicationError(Exception):
        pass

    with (
        pytest.raises(ApplicationError),
        traces.tracer.start_as_current_span("hunter2", attributes={"at": "/login/hunter2", "times": [1, 2]}),
    ):
        raise ApplicationError("PEER_REJECTED: the proxy answers 500: a body of hunter2")
    with pytest.raises(ValueError, match="HUNTER"), traces.tracer.start_as_current_span("other"):
        raise ValueError("HUNTER")
    span, other = traces.exported
    assert other.status.description == "ValueError"
    assert span.name == "***"
    assert dict(span.attributes or {}) == {"at": "/login/***", "times": (1, 2)}
    assert span.status.description == "ApplicationError: PEER_REJECTED"
    assert not span.events


class Broken(SpanExporter):
    """An exporter whose receiver is away at times."""

    def __init__(self) -> None:
        self.works = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return SpanExportResult.SUCCESS if self.works else SpanExportResult.FAILURE

    def shutdown(self) -> None:
        pass


def test_a_receiver_that_is_away_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    broken = Broken()
    exporter = SafeExporter(broken, "collector:4318")
    with caplog.at_level("INFO", "holdfast.tracing"):
        for works in (False, False, True, True, False):
            broken.works = works
            exporter.export([])
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO", "WARNING"]
    assert "collector:4318" in caplog.text


def test_a_process_that_ends_does_not_wait_long_for_a_receiver_that_does_not_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answered = threading.Event()
    traces = Traces()
    monkeypatch.setattr(tracing, "PATIENCE_AT_END", 0.05)
    set_spans(Spans(traces.tracer, 0.25, traces.exporter.keep_out, answered.wait))
    end_tracing()
    assert not answered.is_set()
    assert current_spans() is None
    answered.set()


def test_an_error_of_tracing_fails_no_call() -> None:
    class Defective:
        def requests(self, *_: object, **__: object) -> RequestSpans:
            raise RuntimeError

    set_spans(cast("Spans", Defective()))
    try:
        with traced_call("DELETE", URL) as call:
            assert not call.headers
    finally:
        set_spans(None)
