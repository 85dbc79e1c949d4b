"""Who is broken when: one service after the other, or several at once that have no common call path."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from temporalio import workflow

from domain.faults.call_paths import CallPaths, may_begin
from domain.faults.model import FaultReport
from domain.plans.plan import Plan
from workflows.windows.cancellation import despite_cancel
from workflows.windows.together import close_all, going_on

Break = Callable[[str], Coroutine[Any, Any, FaultReport]]
"""Breaks one service, sees how it fails, and returns when its window has closed; raises when the run cannot go on."""


async def break_each(services: Sequence[str], plan: Plan, break_one: Break) -> list[FaultReport]:
    """Break each of these services once, as many at once as the plan allows; their reports, in the same order.

    After an error, or a cancel, nothing begins any more; what is on is closed and waited for, then it is raised.
    """
    most = plan.safety.max_active_faults
    if most == 1:
        # Without tasks, so that runs under way, and their histories, know nothing of several at once.
        return [await break_one(service) for service in services]
    return await _several_at_once(services, most, CallPaths.of(plan), break_one)


async def _several_at_once(services: Sequence[str], most: int, paths: CallPaths, break_one: Break) -> list[FaultReport]:
    begun: dict[str, asyncio.Task[FaultReport]] = {}
    ended: dict[str, FaultReport] = {}
    try:
        while len(ended) < len(services):
            waiting = [service for service in services if service not in begun]
            for service in may_begin(waiting, begun.keys() - ended.keys(), most, paths):
                begun[service] = asyncio.create_task(break_one(service))
            await workflow.wait(going_on(begun.values()), return_when=asyncio.FIRST_COMPLETED)
            ended = {service: task.result() for service, task in begun.items() if task.done()}
    except (Exception, asyncio.CancelledError):
        # Not `finally`: see `Holding.hold`.
        await despite_cancel(close_all(begun.values()))
        raise
    return [ended[service] for service in services]
