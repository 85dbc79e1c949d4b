"""When a run must end early, as a plan names it, and what has tripped."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field

from domain.base import Contract, StrictModel
from domain.plans.request import HttpUrl
from domain.plans.slo import Limits
from domain.units import PositiveDuration, Share


class BaselineStop(Limits):
    """The baseline is worse than this: the load test ends after it, the cases would say nothing."""


class RequestStop(StrictModel):
    """The plan's request, as users send it, asked again and again from before the first fault until all is off.

    It meets the real faults too, which is what it is for: they are what users meet.
    """

    error_rate: Share | None = None
    """The run ends when more of them fail. Without it nothing is sent."""
    over: int = Field(default=10, ge=1, le=1000)
    """Of the last so many."""
    every: PositiveDuration = timedelta(seconds=5)
    """Between two of them."""


class HealthStop(StrictModel):
    """An address that answers 2xx for as long as all is well."""

    url: HttpUrl | None = None
    """Asked with GET, without any header of the plan. Its host must be allowed like all others."""
    failures: int = Field(default=3, ge=1, le=100)
    """The run ends after so many in a row."""
    within: PositiveDuration = timedelta(seconds=2)
    """Time that an answer may take; a later one counts as failed."""
    every: PositiveDuration = timedelta(seconds=5)
    """Between two of them."""


class Stop(StrictModel):
    """When the run ends early: everything is closed first, then it ends with the measured value as its reason."""

    deadline: PositiveDuration | None = None
    """For the whole run, from its start, with waiting for the namespace; closing comes on top. Default: none."""
    baseline: BaselineStop = BaselineStop()
    request: RequestStop = RequestStop()
    health: HealthStop = HealthStop()

    @property
    def watches(self) -> bool:
        """Whether anything is asked again and again."""
        return self.request.error_rate is not None or self.health.url is not None


class Tripped(Contract):
    """A condition that has come true."""

    reason: str
    """With the condition's place in the plan and the measured value."""
