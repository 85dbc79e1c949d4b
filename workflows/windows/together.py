"""Several windows at once: if one fails, all are cancelled and awaited."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from temporalio import workflow


def going_on(tasks: Iterable[asyncio.Task[Any]]) -> list[asyncio.Task[Any]]:
    """Return the tasks that have not ended."""
    return [task for task in tasks if not task.done()]


async def close_all(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel every window still open, and wait until all have closed."""
    still_open = going_on(tasks)
    for task in still_open:
        task.cancel()
    if still_open:
        await workflow.wait(still_open)
    for task in still_open:
        # Only logged: the caller raises the error, or the cancel, that led here.
        error = None if task.cancelled() else task.exception()
        if error is not None:
            workflow.logger.info("closed because another window failed: %s", error)
