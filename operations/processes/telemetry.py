"""What a process shows of itself: the log of the SDK's core, which is not Python, the endpoint for metrics, traces."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from temporalio.runtime import (
    LogForwardingConfig,
    LoggingConfig,
    PrometheusConfig,
    Runtime,
    TelemetryConfig,
    TelemetryFilter,
)

from clients.telemetry.listening import METRICS, listen_address
from clients.telemetry.metrics import DURATION_BUCKETS, DURATIONS, PREFIX
from clients.telemetry.trace_settings import trace_settings
from domain.errors import ErrorCode, HoldfastError


def set_up_telemetry(environ: Mapping[str, str]) -> None:
    """Let the core's warnings be lines of the worker's log, and serve metrics if that is set. Call it once a process.

    Raises:
        HoldfastError: VALIDATION_ERROR when the address for metrics cannot be used.
    """
    forwarding = LogForwardingConfig(logging.getLogger("temporalio.core"), append_target_to_name=False)
    logs = LoggingConfig(TelemetryFilter(core_level="WARN", other_level="ERROR"), forwarding)
    address = listen_address(environ, METRICS)
    try:
        Runtime.set_default(
            Runtime(telemetry=TelemetryConfig(logging=logs, metrics=_endpoint(address), attach_service_name=False)),
            error_if_already_set=False,
        )
    except (RuntimeError, ValueError) as error:
        raise HoldfastError(
            ErrorCode.VALIDATION_ERROR,
            f"metrics cannot be served at {address}: {error}",
            hint=f"set {METRICS} to a free port, or to host:port",
        ) from error


def _endpoint(address: str) -> PrometheusConfig | None:
    if not address:
        return None
    return PrometheusConfig(
        bind_address=address,
        counters_total_suffix=True,
        unit_suffix=True,
        durations_as_seconds=True,
        histogram_bucket_overrides={PREFIX + name: DURATION_BUCKETS for name in DURATIONS},
    )


def set_up_tracing(environ: Mapping[str, str], service: str) -> None:
    """Trace this process under this name, if the `OTEL_*` variables ask for it. Call it once a process.

    Raises:
        HoldfastError: VALIDATION_ERROR for variables that cannot be used, or without the exporter.
    """
    settings = trace_settings(environ)
    if settings is not None:
        from clients.temporal.tracing import start_tracing  # noqa: PLC0415 - it takes most of a second to import

        start_tracing(settings, service)
