"""Time in activities: the server's clock and the worker's are never compared.

A worker's wall clock may be wrong by minutes. A deadline needs only one thing of the past, how long earlier attempts
took, and the server's clock alone gives that. From the start of the attempt on, this process's monotonic clock counts.
Nothing in `activities` reads the wall clock (`tests/activities/test_clocks.py` looks).
"""

from __future__ import annotations

import time
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta

from temporalio import activity

_BEGAN: ContextVar[float] = ContextVar("began")
"""When the body of this attempt began, monotonic; set by `base.step`."""


def mark_beginning() -> None:
    """Count this attempt from now on."""
    _BEGAN.set(time.monotonic())


@dataclass(frozen=True, order=True)
class Deadline:
    """A moment of this process's monotonic clock: it cannot be compared with any other kind of time."""

    at: float

    @classmethod
    def after(cls, span: timedelta) -> Deadline:
        """So long from now."""
        return cls(time.monotonic() + span.total_seconds())

    def __add__(self, span: timedelta) -> Deadline:
        """So much later."""
        return Deadline(self.at + span.total_seconds())

    @property
    def left(self) -> timedelta:
        """Until then, never negative."""
        return timedelta(seconds=max(0.0, self.at - time.monotonic()))

    @property
    def over(self) -> bool:
        """Whether it has passed."""
        return time.monotonic() >= self.at


def elapsed() -> timedelta:
    """How long ago this activity was scheduled first: earlier attempts by the server's clock, this one by ours."""
    info = activity.info()
    earlier = max(info.started_time - info.scheduled_time, timedelta(0))
    return earlier + _of_this_attempt()


def server_now() -> datetime:
    """The server's time, for what was written by its clock: UTC, late by as much as our start took to reach us."""
    return activity.info().started_time + _of_this_attempt()


def deadline(longest: timedelta) -> Deadline:
    """When this activity's time is over, counted from its first scheduling: a repeated attempt gets what is left."""
    return Deadline.after(longest - elapsed())


def closing_deadline(longest: timedelta, at_least: timedelta) -> Deadline:
    """As `deadline`, for what closes and verifies: it gets `at_least` so long, however late a worker comes to it.

    That something is off is seen by several looks, and after a worker that came late nobody else would take them.
    """
    return max(deadline(longest), Deadline.after(min(longest, at_least)))


def _of_this_attempt() -> timedelta:
    now = time.monotonic()
    return timedelta(seconds=now - _BEGAN.get(now))
