"""Protection of transactions from cancellation midway.

A cancel reaches a coroutine at once, but neither the thread in which SQLite works nor a database server: these still
complete what they were asked to do. We tried it: a cancel while a transaction waits for its turn leaves the transaction
open with nothing to end it, and every later writer finds the database locked.

A cancel therefore waits until the transaction has ended. The wait is bounded: `engine.BUSY_TIMEOUT_MS` on SQLite,
`engine.COMMAND_TIMEOUT_SECONDS` for each statement on PostgreSQL.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from clients.await_end import await_end

P = ParamSpec("P")
T = TypeVar("T")


def uncancellable(transaction: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Delay a cancel of this call until its transaction has ended.

    The transaction may commit or roll back.
    """

    @wraps(transaction)
    async def call(*args: P.args, **kwargs: P.kwargs) -> T:
        task = asyncio.create_task(transaction(*args, **kwargs))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            await await_end(task)
            raise

    return call
