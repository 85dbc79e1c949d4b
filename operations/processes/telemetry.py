"""What the SDK's core, which is not Python, tells the outside: its log, and the endpoint for metrics."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping

from temporalio.runtime import (
    LogForwardingConfig,
    LoggingConfig,
    PrometheusConfig,
    Runtime,
    TelemetryConfig,
    TelemetryFilter,
)

from clients.telemetry.metrics import DURATION_BUCKETS, DURATIONS, PREFIX
from domain.errors import ErrorCode, HoldfastError

METRICS = "HOLDFAST_METRICS"
"""Setting: the address at which this process serves its metrics, `host:port`, or a port of this machine alone."""

_ADDRESS = re.compile(r"(?:(?P<host>[A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\]):)?(?P<port>[0-9]{1,5})")
_LARGEST_PORT = 65_535


def set_up_telemetry(environ: Mapping[str, str]) -> None:
    """Let the core's warnings be lines of the worker's log, and serve metrics if that is set. Call it once a process.

    Raises:
        HoldfastError: VALIDATION_ERROR when the address for metrics cannot be used.
    """
    forwarding = LogForwardingConfig(logging.getLogger("temporalio.core"), append_target_to_name=False)
    logs = LoggingConfig(TelemetryFilter(core_level="WARN", other_level="ERROR"), forwarding)
    address = metrics_address(environ)
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


def metrics_address(environ: Mapping[str, str]) -> str:
    """Return the address for metrics as `host:port`, or an empty string if none are wanted.

    Raises:
        HoldfastError: VALIDATION_ERROR.
    """
    given = environ.get(METRICS, "").strip()
    if not given:
        return ""
    found = _ADDRESS.fullmatch(given)
    if found is None or int(found["port"]) not in range(1, _LARGEST_PORT + 1):
        raise HoldfastError(
            ErrorCode.VALIDATION_ERROR,
            f"environment variable {METRICS} is {given[:60]!r}",
            hint="write a port such as 9464, or host:port such as 0.0.0.0:9464",
        )
    # Metrics name plans' kinds and error codes, and nobody is asked who they are: this machine only, unless told.
    return f"{found['host'] or '127.0.0.1'}:{found['port']}"


def next_address(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the setting for a child process: the next port."""
    address = metrics_address(environ)
    if not address:
        return {}
    host, _, port = address.rpartition(":")
    return {METRICS: f"{host}:{int(port) + 1}"}


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
