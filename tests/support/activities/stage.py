"""A shop, a store with one run in it, and activities as a worker runs them, without any workflow."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import httpx

from activities.stages.faults import FaultActivities
from activities.stages.traffic import TrafficActivities
from activities.toolbox import Toolbox
from domain.executions.execution import Execution, ExecutionRef
from domain.plans.plan import Plan
from domain.timing import Timing, TimingPreset
from lab import Counters, Lab
from tests.support.activities.permits import called_by, entitled

TIMING = Timing.of(TimingPreset.FAST)

R = TypeVar("R")
S = TypeVar("S")


class Stage:
    """What an activity works on, and how often the peers were asked."""

    def __init__(self, lab: Lab, tools: Toolbox, plan: Plan, execution: Execution) -> None:
        self.lab, self.tools, self.plan, self.execution = lab, tools, plan, execution
        self.traffic = TrafficActivities(tools)
        self.faults = FaultActivities(tools)

    @property
    def ref(self) -> ExecutionRef:
        return ExecutionRef(execution_id=self.execution.execution_id)

    async def do(
        self, work: Callable[[S], Awaitable[R]], order: S, *, attempt: int = 1, age: timedelta = timedelta(0)
    ) -> R:
        """An activity, as if it had been scheduled so long ago, by the workflow that may ask for it."""
        caller = await entitled(self.tools.store, self.execution, self.plan, work, order)
        now = datetime.now(UTC)
        environment = called_by(caller, attempt=attempt, scheduled_time=now - age, started_time=now)
        return await environment.run(work, order)

    async def counters(self) -> Counters:
        """What the lab has counted."""
        async with httpx.AsyncClient(trust_env=False) as client:
            return Counters.model_validate((await client.get(f"{self.lab.addresses.admin}/lab/counters")).json())
