"""The end of a process of ours, once everything is closed."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import NoReturn

from clients.telemetry.tracing import end_tracing

UNWRITABLE = (OSError, ValueError, AttributeError)
"""Exceptions of a write to a standard stream.

In this order: it is full or broken; it is closed; it is absent, because the process started without it.
"""


def end_process(code: int) -> NoReturn:
    """Write out what is left to write, and end the process with this exit code."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(*UNWRITABLE):
            stream.flush()
    end_tracing()
    # Skip the interpreter's teardown. Threads of Temporal's Rust core that call back during it abort the process with
    # 134 or 139 instead of the exit code (temporalio/sdk-python issue 300; seen in every second run of a short script).
    os._exit(code)
