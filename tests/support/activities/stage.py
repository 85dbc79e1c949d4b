"""A shop, a store with one run, and activities as a worker runs them, without any workflow."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from activities.stages.faults import FaultActivities
from activities.stages.traffic import TrafficActivities
from activities.toolbox import Toolbox
from domain.executions.execution import Execution, ExecutionRef
from domain.plans.plan import Plan
from domain.timing import Timing, TimingPreset
from lab import Counters, Lab
from tests.support.activities.permits import called_by, entitled
from tests.support.http import http_client

TIMING = Timing.of(TimingPreset.FAST)

R = TypeVar("R")
S = TypeVar("S")


class Stage:
    """The system that an activity works on, and counts of the calls to the peers."""

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
        """Run an activity as the workflow that may ask for it.

        It looks as if it had been scheduled `age` ago.
        """
        caller = await entitled(self.tools.store, self.execution, self.plan, work, order)
        now = datetime.now(UTC)
        environment = called_by(caller, attempt=attempt, scheduled_time=now - age, started_time=now)
        return await environment.run(work, order)

    async def counters(self) -> Counters:
        """Return the counters of the lab."""
        async with http_client() as client:
            return Counters.model_validate((await client.get(f"{self.lab.addresses.admin}/lab/counters")).json())
