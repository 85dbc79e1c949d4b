"""The order in which services are broken.

One after the other, or several at once if they have no common call path.
"""

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
"""Breaks one service, and returns once its window has closed.

Raises when the run cannot go on.
"""


async def break_each(services: Sequence[str], plan: Plan, break_one: Break) -> list[FaultReport]:
    """Break each of these services once.

    As many at once as the plan allows. After an error or a cancel, nothing new begins. It is raised once the open
    windows have closed.

    Returns:
        The reports, in the order of `services`.
    """
    most = plan.safety.max_active_faults
    if most == 1:
        # Without tasks, so that older histories, from before several could run at once, replay unchanged.
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
        # Not `finally`: it must not run when a worker drops the cached workflow, see `Holding.hold`.
        await despite_cancel(close_all(begun.values()))
        raise
    return [ended[service] for service in services]
