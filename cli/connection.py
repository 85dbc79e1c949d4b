"""The command line's connection to Temporal: the configured one, without the SDK's own chatter."""

from __future__ import annotations

import functools

from temporalio.client import Client
from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter

from clients.temporal.connection import connect


async def connected(address: str | None = None) -> Client:
    """Connect as `clients.temporal.connection.connect` does; raises what it raises."""
    quieten()
    return await connect(address)


@functools.cache
def quieten() -> None:
    """Keep the SDK's core from writing coloured warnings into our standard output: we say ourselves what they mean."""
    level = TelemetryFilter(core_level="ERROR", other_level="ERROR")
    quiet = Runtime(telemetry=TelemetryConfig(logging=LoggingConfig(filter=level)))
    Runtime.set_default(quiet, error_if_already_set=False)
