"""Requests to end, as events.

No request is lost, and none ends the process half-way. SIGINT, SIGTERM, SIGHUP (a closed terminal) and SIGQUIT all mean
the same.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

T = TypeVar("T")

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
"""Signals that, unhandled, would end the process half-way."""


def signals_to_handle() -> list[signal.Signals]:
    """Return the signals to handle.

    Signals that our parent made us ignore (`nohup`) are left out.
    """
    return [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]


class Interrupted(Exception):  # noqa: N818 - not an error: somebody asked us to end
    """A request to end arrived during work that could simply be given up."""


class Interrupts:
    """Queues requests to end. Each is delivered once, in order."""

    def __init__(self) -> None:
        self._pending: asyncio.Queue[None] = asyncio.Queue()
        self._handled: list[signal.Signals] = []

    def __enter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._handled = signals_to_handle()
        for number in self._handled:
            loop.add_signal_handler(number, self.push)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        loop = asyncio.get_running_loop()
        for number in self._handled:
            loop.remove_signal_handler(number)

    def push(self) -> None:
        """Add a request to end, as a signal does. For timeouts."""
        self._pending.put_nowait(None)

    async def next(self) -> None:
        """Wait for the next request to end."""
        await self._pending.get()

    async def during(self, work: Coroutine[Any, Any, T]) -> T:
        """Run work, and give it up at the next request to end.

        Raises:
            Interrupted: we were asked to end before the work was done. The work has been cancelled.
        """
        work_task = asyncio.ensure_future(work)
        interrupt_task = asyncio.ensure_future(self.next())
        try:
            await asyncio.wait({work_task, interrupt_task}, return_when=asyncio.FIRST_COMPLETED)
            if not work_task.done():
                raise Interrupted
            if interrupt_task.done():
                self.push()  # Both happened at once: keep the request for the next waiter.
            return work_task.result()
        finally:
            for task in (work_task, interrupt_task):
                task.cancel()
            await asyncio.gather(work_task, interrupt_task, return_exceptions=True)
