"""The configured connection to Temporal, without the SDK's own log output."""

from __future__ import annotations

import functools
import logging
import os

from temporalio.client import Client
from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter

from clients.temporal.connection import connect
from domain.errors import HoldfastError
from operations.processes.telemetry import set_up_tracing

logger = logging.getLogger("holdfast.tracing")


async def connect_quietly(address: str | None = None) -> Client:
    """Connect with `clients.temporal.connection.connect`, and raise what it raises.

    What this process asks of Temporal is traced if the environment asks for that.
    """
    quieten()
    _trace()
    return await connect(address, for_command=True)


@functools.cache
def quieten() -> None:
    """Keep the SDK's core from writing coloured warnings to our standard output.

    The commands report the same problems in their own words.
    """
    level = TelemetryFilter(core_level="ERROR", other_level="ERROR")
    quiet = Runtime(telemetry=TelemetryConfig(logging=LoggingConfig(filter=level)))
    Runtime.set_default(quiet, error_if_already_set=False)


@functools.cache
def _trace() -> None:
    try:
        set_up_tracing(os.environ, "holdfast")
    except HoldfastError as error:
        # A command that puts things back must not fail for this.
        logger.warning("this command is not traced: %s", error)
    for name in ("holdfast.tracing", "opentelemetry"):
        # Python would write their warnings to the terminal, in the midst of the live view. The worker logs the same.
        logging.getLogger(name).addHandler(logging.NullHandler())
