"""A worker that ends itself with SIGKILL at one place: `python -m tests.leaks.dying_worker PLACE MOMENT`.

It is the real worker, but for an interceptor around its activities. The production code has no hook for it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from datetime import timedelta
from functools import partial
from typing import Any

from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor, Worker

import worker
from tests.leaks.places import Moment, Place

INTO_THE_WORK = 0.3
"""Seconds after which an activity has asked a peer for what it asks for; the peers of that test take longer."""


def die() -> None:
    """As if the machine had been switched off: nothing is said, closed or handed over."""
    os.kill(os.getpid(), signal.SIGKILL)


class Dying(Interceptor):
    """Ends the process in the activity at a place. `PLACE` may be the name of an activity alone: the first of it."""

    def __init__(self, place: str, moment: Moment) -> None:
        self.place = place
        self.moment = moment

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        """Wrap every activity."""
        return _Dying(next, self)

    def is_here(self) -> bool:
        """Whether the activity that runs now is the one."""
        info = activity.info()
        place = Place.of(str(info.workflow_type), str(info.workflow_id), info.activity_id, info.activity_type)
        return self.place in (str(place), info.activity_type)


class _Dying(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, death: Dying) -> None:  # noqa: A002
        super().__init__(next)
        self._death = death

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
        if not self._death.is_here():
            return await super().execute_activity(input)
        if self._death.moment is Moment.BEFORE:
            die()
        if self._death.moment is Moment.AMID:
            asyncio.get_running_loop().call_later(INTO_THE_WORK, die)
        try:
            return await super().execute_activity(input)
        finally:
            die()


def main() -> int:
    """Run until death."""
    place, moment = sys.argv[1:]
    # The server gives a dead worker's workflows to another one after ten seconds. Only the tests' time depends on it.
    worker.Worker = partial(  # type: ignore[assignment,misc]
        Worker,
        interceptors=[Dying(place, Moment(moment))],
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=1),
    )
    return worker.main()


if __name__ == "__main__":
    sys.exit(main())
