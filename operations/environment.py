"""What the environment of a command says about runs: their task queue, and who starts them."""

from __future__ import annotations

import contextlib
import getpass
import os
import socket

from clients.settings import Settings


def task_queue() -> str:
    """Return the task queue of runs: HOLDFAST_TASK_QUEUE, or else `holdfast`."""
    return Settings.from_environment(os.environ).task_queue


def operator_name() -> str:
    """Return `user@host` of the operator, for the record. Empty: it is unknown."""
    with contextlib.suppress(KeyError, OSError):
        return f"{getpass.getuser()}@{socket.gethostname()}"
    return ""
