"""Time in activities, without ever comparing the server's clock with the worker's.

A worker's wall clock may be wrong by minutes. All that a deadline needs from the past is how long earlier attempts
took, and the server's clock alone gives that. From the start of the attempt, this process's monotonic clock counts.
Nothing in `activities` reads the wall clock (`tests/integration/activities/test_clocks.py` checks this).
"""

from __future__ import annotations

import time
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta

from temporalio import activity

_BEGAN: ContextVar[float] = ContextVar("began")
"""Monotonic time at which this attempt's body began, set by `base.step`."""


def mark_beginning() -> None:
    """Start the clock of this attempt."""
    _BEGAN.set(time.monotonic())


@dataclass(frozen=True, order=True)
class Deadline:
    """A moment on this process's monotonic clock.

    A type of its own, so that it cannot be compared with any other kind of time.
    """

    at: float

    @classmethod
    def after(cls, span: timedelta) -> Deadline:
        """Return the deadline that is `span` from now."""
        return cls(time.monotonic() + span.total_seconds())

    def __add__(self, span: timedelta) -> Deadline:
        """Return a deadline that is `span` later."""
        return Deadline(self.at + span.total_seconds())

    @property
    def left(self) -> timedelta:
        """The time left, never negative."""
        return timedelta(seconds=max(0.0, self.at - time.monotonic()))

    @property
    def over(self) -> bool:
        """Whether the deadline has passed."""
        return time.monotonic() >= self.at


def elapsed() -> timedelta:
    """Return how long ago this activity was first scheduled.

    Earlier attempts are measured by the server's clock, this one by ours.
    """
    info = activity.info()
    earlier = max(info.started_time - info.scheduled_time, timedelta(0))
    return earlier + _of_this_attempt()


def server_now() -> datetime:
    """Return the server's time in UTC, for comparison with its own records.

    It is late by the time that the start of this attempt took to reach the worker.
    """
    return activity.info().started_time + _of_this_attempt()


def deadline(longest: timedelta) -> Deadline:
    """Return this activity's deadline, counted from its first scheduling.

    A later attempt only gets the time that is left.
    """
    return Deadline.after(longest - elapsed())


def closing_deadline(longest: timedelta, at_least: timedelta) -> Deadline:
    """Return `deadline(longest)`, but never sooner than `at_least` from now.

    For closing and verifying: however late a worker picks the activity up, it has time for several polls. The extra
    time never exceeds `longest`.
    """
    # A late worker that gave up without polling would leave the window unverified: nobody else would look.
    return max(deadline(longest), Deadline.after(min(longest, at_least)))


def _of_this_attempt() -> timedelta:
    now = time.monotonic()
    return timedelta(seconds=now - _BEGAN.get(now))
