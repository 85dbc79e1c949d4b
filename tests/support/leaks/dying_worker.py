"""A worker that ends itself with SIGKILL at one place: `python -m tests.support.leaks.dying_worker PLACE MOMENT`.

It is the real worker with an interceptor around its activities, and with a second kind of execution. The production
code has no hook for either.
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
from clients.http import control as http
from clients.http import reader
from domain.kinds import registered
from operations.processes.worker_process import run_to_exit_code, serve
from tests.support.kinds.countdown import KIND
from tests.support.kinds.countdown_workflow import CountdownWorkflow
from tests.support.leaks.places import Moment, Place

INTO_THE_WORK = 0.3
"""Seconds from a request to a peer until death. The peers of that test take longer."""


def die() -> None:
    """Die as if the machine had been switched off. Nothing is reported, closed or handed over."""
    os.kill(os.getpid(), signal.SIGKILL)


class Dying(Interceptor):
    """Ends the process in the activity at a place.

    `PLACE` may be an activity's name alone: then its first execution.
    """

    def __init__(self, place: str, moment: Moment) -> None:
        self.place = place
        self.moment = moment
        self.armed = False
        """Whether the next request that changes something at a peer is the last."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        """Wrap every activity."""
        return _Dying(next, self)

    def is_here(self) -> bool:
        """Whether the activity that runs now is at the place."""
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
        self._death.armed = self._death.moment is Moment.AMID
        if self._death.armed and activity.info().task_queue.endswith("-load"):
            # Its requests do not go to a peer, and there are many of them.
            asyncio.get_running_loop().call_later(INTO_THE_WORK, die)
        try:
            return await super().execute_activity(input)
        finally:
            die()


def last_words(death: Dying) -> None:
    """Let an armed worker die while a peer works on its request.

    However long the way there takes, the countdown begins with that request.
    """
    fetch = reader.fetch

    async def and_die(method: str, *where: Any, **more: Any) -> reader.Fetched:
        if death.armed and method != "GET":
            asyncio.get_running_loop().call_later(INTO_THE_WORK, die)
        return await fetch(method, *where, **more)

    http.fetch = and_die  # type: ignore[attr-defined]


def main() -> int:
    """Run until death."""
    place, moment = sys.argv[1:]
    death = Dying(place, Moment(moment))
    last_words(death)
    # The server gives a dead worker's workflows to a new worker after ten seconds. Only the tests' time depends on it.
    worker.Worker = partial(  # type: ignore[assignment,misc,attr-defined]
        Worker,
        interceptors=[death],
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=1),
    )
    worker.WORKFLOWS.append(CountdownWorkflow)
    # A single process, so that its death ends everything.
    with registered(KIND):
        return run_to_exit_code(serve(worker.EVERYTHING))


if __name__ == "__main__":
    sys.exit(main())
