"""Waiting until services are stable, in parallel, with every result shown."""

from __future__ import annotations

import asyncio

from temporalio import activity

from activities.base import closing_deadline, step, time_left
from activities.toolbox import Toolbox
from workflows.contracts.windows import StabilityOrder, StabilityReport


class StabilityActivities:
    """Asks services whether they are ready."""

    def __init__(self, tools: Toolbox) -> None:
        self._tools = tools

    @activity.defn(name="await_stability")
    @step
    async def await_stability(self, order: StabilityOrder) -> StabilityReport:
        """Wait for each service, all at once, at most the plan's `timeouts.stability`; report and store every one."""
        subject = await self._tools.subject_for_closing(order.execution_id)
        client = self._tools.stability(subject.plan)
        left = time_left(closing_deadline(subject.plan.timeouts.stability, subject.execution.timing.call_timeout))
        every = subject.execution.timing.stability_poll
        waits = (client.wait_until_stable(service, longest=left, every=every) for service in order.services)
        found = list(await asyncio.gather(*waits))
        if order.moment is not None:
            await self._tools.store.save_stability(order.execution_id, order.moment, found)
        return StabilityReport(services=found)
