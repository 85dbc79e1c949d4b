"""Tasks and timers that belong to one lab and end with it."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine

_log = logging.getLogger("lab")


class Background:
    """Owns every task that the lab starts.

    No task outlives `close`.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        """Run work concurrently with the caller."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def later(self, delay: float, act: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
        """Call `act` once, after a delay.

        Cancel the returned task to prevent the call.
        """

        async def wait() -> None:
            await asyncio.sleep(delay)
            await act()

        return self.spawn(wait())

    async def close(self) -> None:
        """Cancel all tasks and wait until they have ended."""
        while self._tasks:
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.gather(*tasks, return_exceptions=True)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a background task of the lab failed", exc_info=error)
