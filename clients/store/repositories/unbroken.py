"""A transaction is not broken off in its middle.

A cancel reaches a coroutine at once, but not the thread in which SQLite works, nor a server: what had been asked of
them is still done. Tried out: a cancel while a transaction waits for its turn leaves it begun, with nobody to end it,
and every later writer finds the database locked. So a cancel waits until the transaction has ended. That is bounded:
`engine.BUSY_TIMEOUT_MS` on SQLite, `engine.COMMAND_TIMEOUT_SECONDS` for each statement on PostgreSQL.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def unbroken(transaction: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Let a cancel of this call take effect only after its transaction, committed or not, has ended."""

    @wraps(transaction)
    async def call(*args: P.args, **kwargs: P.kwargs) -> T:
        task = asyncio.create_task(transaction(*args, **kwargs))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            await _ended(task)
            raise

    return call


async def _ended(task: asyncio.Task[Any]) -> None:
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            continue
    if not task.cancelled():
        # Looked at, or asyncio would complain of it: whoever cancelled does not want to know.
        task.exception()
