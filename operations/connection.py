"""The configured connection to Temporal, without the SDK's own log output."""

from __future__ import annotations

import functools

from temporalio.client import Client
from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter

from clients.temporal.connection import connect


async def connect_quietly(address: str | None = None) -> Client:
    """Connect with `clients.temporal.connection.connect`, and raise what it raises."""
    quieten()
    return await connect(address)


@functools.cache
def quieten() -> None:
    """Keep the SDK's core from writing coloured warnings to our standard output.

    The commands report the same problems in their own words.
    """
    level = TelemetryFilter(core_level="ERROR", other_level="ERROR")
    quiet = Runtime(telemetry=TelemetryConfig(logging=LoggingConfig(filter=level)))
    Runtime.set_default(quiet, error_if_already_set=False)
