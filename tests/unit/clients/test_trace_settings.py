"""The variables that ask for traces, and those that cannot be used."""

from __future__ import annotations

import pytest

from clients.telemetry.trace_settings import TraceSettings, trace_settings
from domain.errors import ErrorCode, HoldfastError


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"OTEL_SERVICE_NAME": "holdfast"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
        {"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"},
        {"OTEL_SDK_DISABLED": "TRUE", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"},
    ],
)
def test_traces_are_off_unless_a_receiver_is_named(environ: dict[str, str]) -> None:
    assert trace_settings(environ) is None


@pytest.mark.parametrize(
    ("environ", "receiver"),
    [
        ({"OTEL_TRACES_EXPORTER": "otlp"}, "localhost:4318"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "https://collector.internal"}, "collector.internal:443"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://[2001:db8::1]:4318/x"}, "[2001:db8::1]:4318"),
        (
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": "http://a:1",
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://user:password@b:2/v1/traces",
            },
            "b:2",
        ),
    ],
)
def test_the_receiver_is_what_the_standard_names(environ: dict[str, str], receiver: str) -> None:
    found = trace_settings(environ)
    assert found == TraceSettings(receiver=receiver, load_share=0.01, patience=3.0)


def test_a_time_limit_of_the_standard_replaces_ours() -> None:
    found = trace_settings({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_TIMEOUT": "10"})
    assert found is not None
    assert found.patience is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_TRACES_EXPORTER", "jaeger"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:port"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://collector"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "Authorization: Bearer planted"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "a=b,planted"),
        ("HOLDFAST_TRACE_LOAD", "1.5"),
        ("HOLDFAST_TRACE_LOAD", "nan"),
        ("HOLDFAST_TRACE_LOAD", "some"),
    ],
)
def test_what_cannot_be_used_is_named_with_what_to_write(name: str, value: str) -> None:
    with pytest.raises(HoldfastError) as raised:
        trace_settings({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", name: value})
    assert raised.value.code is ErrorCode.VALIDATION_ERROR
    assert raised.value.message.startswith(f"environment variable {name} ")
    assert raised.value.hint
    assert "planted" not in str(raised.value)


def test_an_address_is_never_quoted() -> None:
    """It may hold a password."""
    with pytest.raises(HoldfastError) as raised:
        trace_settings({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://user:password@collector:port"})
    assert "password" not in str(raised.value)
