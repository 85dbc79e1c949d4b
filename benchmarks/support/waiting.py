"""Runs that wait for a namespace, beside one that holds it and is paused."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from temporalio.service import RPCError

from benchmarks.support.site import PATIENCE, Site
from domain.names import PAUSE_UPDATE, STATUS_QUERY
from domain.resilience.state import ResilienceState


async def waiting_runs(environment: Site, count: int) -> list[Any]:
    """Start a run that holds the namespace, and pause it, so that it sends no load. Return so many that wait for it."""
    holder = await environment.start("bench/0")
    await _until_held(environment)
    await holder.execute_update(PAUSE_UPDATE)
    runs = [await environment.start(f"bench/{number}", if_busy="wait") for number in range(1, count + 1)]
    for run in runs:
        await _until_waiting(run)
    return runs


async def _until_held(environment: Site) -> None:
    """Wait until a run holds the namespace."""
    lock = environment.client.get_workflow_handle(environment.lock_id)

    async def held() -> bool:
        try:
            await lock.describe()
        except RPCError:
            return False
        return True

    await _until(held)


async def _until_waiting(run: Any) -> None:
    """Wait until a run waits for the namespace."""

    async def waiting() -> bool:
        state: ResilienceState = await run.query(STATUS_QUERY, result_type=ResilienceState)
        return bool(state.waiting_for)

    await _until(waiting)


async def _until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await condition():  # noqa: ASYNC110 - another process sets no event
            await asyncio.sleep(0.05)
