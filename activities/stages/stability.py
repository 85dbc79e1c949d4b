"""Waits until services are stable, in parallel, and reports every result."""

from __future__ import annotations

import asyncio

from temporalio import activity

from activities.clocks import closing_deadline
from activities.permit import reads
from activities.recovery.bookkeeping import in_time
from activities.toolbox import Toolbox
from clients.store.read_models import LogLevel
from domain.errors import HoldfastError
from domain.executions.windows import ServiceStability, StabilityMoment, StabilityOrder, StabilityReport


class StabilityActivities:
    """Checks whether services are stable."""

    def __init__(self, tools: Toolbox) -> None:
        self._tools = tools

    @activity.defn(name="await_stability")
    @reads
    async def await_stability(self, order: StabilityOrder) -> StabilityReport:
        """Wait for all services at once, and report each.

        The wait is at most the plan's `timeouts.stability`. Results are stored if the order names a moment.
        """
        subject = await self._tools.subject_for_closing(order.execution_id)
        client = self._tools.stability(subject.plan)
        left = closing_deadline(subject.plan.timeouts.stability, subject.execution.timing.call_timeout).left
        every = subject.execution.timing.stability_poll
        # Each service once, and only the plan's: an order must not make the worker reach anything else.
        services = [name for name in dict.fromkeys(order.services) if name in subject.plan.service_names]
        waits = (client.wait_until_stable(service, longest=left, every=every) for service in services)
        found = list(await asyncio.gather(*waits))
        if order.moment is not None:
            await self._save(order.execution_id, order.moment, found)
        return StabilityReport(services=found)

    async def _save(self, execution_id: int, moment: StabilityMoment, found: list[ServiceStability]) -> None:
        """Store the results for the report, if the store takes them."""
        # The run gets the results anyway. A full disk must not make it wait for stability again.
        try:
            await in_time(self._tools.store.stability.save(execution_id, moment, found))
        except HoldfastError as error:
            if not error.kind.retryable:
                raise
            message = f"stability {moment} could not be stored: {error.message}"
            await self._tools.notes.add(execution_id, f"stability:{moment}:lost", LogLevel.WARN, message)
