"""What closing has from the store, when the store is full, locked, read-only or gone: it goes on without.

Something is on at a peer, and a line in a log must not keep it there. So closing reads what it needs from memory when
the store does not answer, and writes its lines when the store takes them again.
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
"""Seconds that closing waits for the store. What was asked of it goes on behind."""

MOST_KEPT = 1_000
"""Lines that wait for the store, and runs that are remembered, at most; the oldest are forgotten."""

logger = logging.getLogger("holdfast.bookkeeping")


async def in_time(work: Coroutine[Any, Any, T]) -> T:
    """Await something of the store for as long as closing can.

    Raises:
        HoldfastError: STORE_UNAVAILABLE when it takes longer; else whatever it raises.
    """
    task = asyncio.create_task(work)
    # Not cancelled: the store would first end what it has begun (`clients.store.repositories.unbroken`).
    task.add_done_callback(_looked_at)
    done, _ = await asyncio.wait([task], timeout=PATIENCE)
    if not done:
        raise HoldfastError(ErrorCode.STORE_UNAVAILABLE, f"the store has not answered within {PATIENCE:g} s")
    return task.result()


def _looked_at(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()


@dataclass(frozen=True)
class _Line:
    execution_id: int
    key: str
    level: LogLevel
    message: str


class Notes:
    """Log lines that must not delay the activity that writes them; those that the store refuses are retried later."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: OrderedDict[tuple[int, str], _Line] = OrderedDict()

    async def add(self, execution_id: int, key: str, level: LogLevel, message: str) -> None:
        """Write a line, and those that wait; never raises for the store, and never takes long."""
        self._waiting[execution_id, key] = _Line(execution_id, key, level, message)
        while len(self._waiting) > MOST_KEPT:
            self._waiting.popitem(last=False)
        await self.write()

    async def write(self) -> None:
        """Write what waits, as far as the store takes it: one key is one line, however often it is written."""
        while self._waiting:
            at, line = next(iter(self._waiting.items()))
            try:
                await in_time(self._store.log(line.execution_id, line.key, line.level, line.message))
            except HoldfastError as error:
                if error.kind.retryable:
                    logger.warning("run %s: %s (the store does not take it yet)", line.execution_id, line.message)
                    return
                logger.warning("run %s: %s (the store refuses it: %s)", line.execution_id, line.message, error.code)
            self._waiting.pop(at, None)


class Memory(Generic[T]):
    """The latest value that the store gave for each recent run."""

    def __init__(self) -> None:
        self._known: OrderedDict[int, T] = OrderedDict()

    def keep(self, execution_id: int, value: T) -> T:
        """Remember it."""
        self._known[execution_id] = value
        self._known.move_to_end(execution_id)
        while len(self._known) > MOST_KEPT:
            self._known.popitem(last=False)
        return value

    async def or_known(self, execution_id: int, asked: Coroutine[Any, Any, T]) -> T:
        """Ask the store; give its latest answer when it cannot be asked now.

        Raises:
            HoldfastError: when it cannot be asked and nothing is known, or when it refuses.
        """
        try:
            return await in_time(asked)
        except HoldfastError as error:
            if error.kind.retryable and execution_id in self._known:
                logger.warning("run %s: the store cannot be read: going on by what is known", execution_id)
                return self._known[execution_id]
            raise
