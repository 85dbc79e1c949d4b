"""Waiting for a task that must not be given up half-way."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any


async def await_end(task: asyncio.Task[Any]) -> BaseException | None:
    """Wait until a task has ended, however often the caller is cancelled meanwhile.

    Returns the task's error; None if it succeeded or was cancelled itself.
    """
    while not task.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait([task])
    # Read in any case, or asyncio reports an error as never retrieved.
    return None if task.cancelled() else task.exception()
