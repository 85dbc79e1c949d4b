"""Store access for closing, which must also work without the store.

The store may be full, locked, read-only or gone. That must not keep anything switched on at a peer. If the store does
not answer, closing reads what it needs from memory. Its log lines wait until the store takes them again.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from clients.store.read_models import LogLevel
from clients.store.store import Store
from domain.errors import ErrorCode, HoldfastError

T = TypeVar("T")

PATIENCE = 2.0
"""Seconds that closing waits for the store.

After that, the request goes on in the background.
"""

MOST_KEPT = 1_000
"""Most waiting log lines, and most remembered runs; the oldest are dropped."""

logger = logging.getLogger("holdfast.bookkeeping")


async def in_time(work: Coroutine[Any, Any, T]) -> T:
    """Await a store request for as long as closing can wait.

    Raises:
        HoldfastError: STORE_UNAVAILABLE when it takes longer than `PATIENCE`. Otherwise whatever the request raises.
    """
    task = asyncio.create_task(work)
    # Not cancelled: the store finishes a transaction it has begun, so a cancel would have to wait for it too
    # (`clients.store.uncancellable`).
    task.add_done_callback(_retrieve_error)
    done, _ = await asyncio.wait([task], timeout=PATIENCE)
    if not done:
        raise HoldfastError(ErrorCode.STORE_UNAVAILABLE, f"the store has not answered within {PATIENCE:g} s")
    return task.result()


def _retrieve_error(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()


@dataclass(frozen=True)
class _Line:
    execution_id: int
    key: str
    level: LogLevel
    message: str


class Notes:
    """Log lines that must not delay the activity that writes them.

    Lines that the store cannot take now are kept and written later.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: OrderedDict[tuple[int, str], _Line] = OrderedDict()

    async def add(self, execution_id: int, key: str, level: LogLevel, message: str) -> None:
        """Write a line, and those that wait.

        Never raises for a store error, and never takes long.
        """
        self._waiting[execution_id, key] = _Line(execution_id, key, level, message)
        while len(self._waiting) > MOST_KEPT:
            self._waiting.popitem(last=False)
        await self.write()

    async def write(self) -> None:
        """Write the waiting lines, as far as the store takes them.

        Writing a key again does not add a line, so a repetition does no harm.
        """
        while self._waiting:
            line_id, line = next(iter(self._waiting.items()))
            try:
                await in_time(self._store.logs.add(line.execution_id, line.key, line.level, line.message))
            except HoldfastError as error:
                if error.kind.retryable:
                    logger.warning("run %s: %s (the store does not take it yet)", line.execution_id, line.message)
                    return
                logger.warning("run %s: %s (the store refuses it: %s)", line.execution_id, line.message, error.code)
            self._waiting.pop(line_id, None)


class Memory(Generic[T]):
    """The last value that the store returned for each recent run."""

    def __init__(self) -> None:
        self._known: OrderedDict[int, T] = OrderedDict()

    def keep(self, execution_id: int, value: T) -> T:
        """Remember the value of a run, and return it."""
        self._known[execution_id] = value
        self._known.move_to_end(execution_id)
        while len(self._known) > MOST_KEPT:
            self._known.popitem(last=False)
        return value

    async def or_known(self, execution_id: int, asked: Coroutine[Any, Any, T]) -> T:
        """Return the store's answer, or the last one if it fails now.

        Raises:
            HoldfastError: when the store cannot answer and nothing is remembered, or when it refuses.
        """
        try:
            return await in_time(asked)
        except HoldfastError as error:
            if error.kind.retryable and execution_id in self._known:
                logger.warning("run %s: the store cannot be read: going on with what is known", execution_id)
                return self._known[execution_id]
            raise
