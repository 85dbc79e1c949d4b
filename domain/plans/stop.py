"""Conditions that end a run early, and what tripped."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field

from domain.base import Contract, StrictModel
from domain.plans.request import HttpUrl
from domain.plans.slo import Limits
from domain.units import PositiveDuration, Share


class BaselineStop(Limits):
    """Limits for the baseline: if exceeded, the load test stops there.

    With a worse baseline, the other cases would show nothing.
    """


class RequestStop(StrictModel):
    """The plan's request, sent again and again as users send it.

    It is sent from before the first fault until everything is off. It meets the real faults too, and that is its
    purpose: users meet them as well.
    """

    error_rate: Share | None = None
    """Share of these requests that may fail. The run ends if more fail. Without it, nothing is sent."""
    over: int = Field(default=10, ge=1, le=1000)
    """Number of most recent requests over which `error_rate` is computed."""
    every: PositiveDuration = timedelta(seconds=5)
    """Pause between two requests."""


class HealthStop(StrictModel):
    """An address that answers 2xx as long as all is well."""

    url: HttpUrl | None = None
    """Address to ask with GET, without any header of the plan. Its host must be allowed, like any other."""
    failures: int = Field(default=3, ge=1, le=100)
    """Failures in a row after which the run ends."""
    within: PositiveDuration = timedelta(seconds=2)
    """Time limit for an answer. A later one counts as failed."""
    every: PositiveDuration = timedelta(seconds=5)
    """Pause between two requests."""


class Stop(StrictModel):
    """Conditions that end the run early.

    Everything is closed first. Then the run ends with the measured value as its reason.
    """

    deadline: PositiveDuration | None = None
    """Time limit for the whole run, from its start. It includes waiting for the namespace; closing comes on top.
    Default: none."""
    baseline: BaselineStop = BaselineStop()
    request: RequestStop = RequestStop()
    health: HealthStop = HealthStop()

    @property
    def watches(self) -> bool:
        """Whether any condition is checked again and again."""
        return self.request.error_rate is not None or self.health.url is not None


class Tripped(Contract):
    """A stop condition that was met."""

    reason: str
    """The condition's place in the plan, and the measured value."""
