"""Several windows at once: when one goes wrong, all are asked to close and waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from temporalio import workflow


def going_on(tasks: Iterable[asyncio.Task[Any]]) -> list[asyncio.Task[Any]]:
    """Those that have not ended."""
    return [task for task in tasks if not task.done()]


async def close_all(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Ask every window that is open to close, and wait until all have. One error is enough: theirs are only told."""
    still_open = going_on(tasks)
    for task in still_open:
        task.cancel()
    if still_open:
        await workflow.wait(still_open)
    for task in still_open:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            workflow.logger.info("closed along with another one that went wrong: %s", error)
