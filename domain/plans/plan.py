"""The plan: what a user writes. One strict model; every field says its unit, its default and why.

The cross-field rules (duplicates, names that must exist, hosts that must be allowed) are decisions and stand in
`logic/validation.py`, which reports them together with the problems of shape found here.
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SerializerFunctionWrapHandler, model_serializer

from domain.base import StrictModel
from domain.faults.model import FaultSpec
from domain.plans.request import Request
from domain.plans.slo import Slo
from domain.plans.stop import Stop
from domain.plans.system import Name, System
from domain.units import PositiveDuration, Rate, Share, Ttl

PLAN_VERSION: Literal[1] = 1
"""The schema version this code writes and reads."""


WARM_UP = 1_000
"""Requests at most before a comparison with the baseline: what is cold would count as slow."""


class ServiceUnderTest(StrictModel):
    """One service that is made to fail."""

    name: Name
    """One of `system.services`."""
    fault: FaultSpec
    """How it fails: `remove`, `error`, `{delay: 3s}`, or a ChaosBlade experiment in full."""
    substitute_status: int = Field(default=503, ge=500, le=599)
    """Status for the rule when the failing service gave no HTTP answer at all (refused, timed out)."""
    calls: list[Name] | None = None
    """The plan's services that this one calls, directly or through services that the plan does not name; `[]` for none.
    Needed of every service with `safety.max_active_faults` above 1: then no two are broken at once of which one
    reaches the other."""


class Arrivals(StrEnum):
    """When the requests of an open model begin."""

    POISSON = "poisson"
    """At random, as those of many users that do not know of each other."""
    CONSTANT = "constant"
    """In equal steps."""


class Load(StrictModel):
    """How much each case is measured, and in what manner.

    Without `rate` so many requests are in flight at once, and the next begins when one has ended (closed model). With
    it they begin when they are due, whatever has become of those before, and latency counts from then (open model).
    """

    requests: int = Field(default=1, ge=1, le=1_000_000)
    """Requests per case, sent in full."""
    max_requests: int | None = Field(default=None, ge=1, le=1_000_000)
    """Instead of `requests`: at most so many, and fewer where `slo.regression` is decided earlier."""
    concurrency: int = Field(default=8, ge=1, le=8)
    """Requests of one case in flight at once."""
    rate: Rate | None = None
    """Instead of `concurrency`: so many requests begin in a second or minute, `20/s` or `90/m`."""
    arrivals: Arrivals = Arrivals.POISSON
    """With `rate`: when they begin."""
    warm_up: int | None = Field(default=None, ge=0, le=100_000)
    """Requests at most that are sent before anything is measured, until two blocks of them agree. Default: 1000 when
    the plan compares with the baseline, else none."""
    batches_at_once: int = Field(default=1, ge=1, le=16)
    """Batches of cases that are measured at once, by several load workers or by one. They share `concurrency` or
    `rate`: the system never sees more of a run than these say. The first batch, with the baseline, is alone."""

    @property
    def most_requests(self) -> int:
        """Requests of a case that are measured, at most: all of them unless `max_requests` is given."""
        return self.requests if self.max_requests is None else self.max_requests

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without what the given fields stand instead of: a plan that is written again must be valid again."""
        written: dict[str, Any] = handler(self)
        replaced = {"requests"} if self.max_requests is not None else set()
        replaced |= {"arrivals"} if self.rate is None else {"concurrency"}
        return {name: value for name, value in written.items() if name not in replaced}


class Safety(StrictModel):
    """Limits that hold whatever else the plan says."""

    fault_ttl: Ttl = timedelta(minutes=10)
    """After this long the fault service removes a fault by itself: the net behind the net, never relied upon."""
    max_active_faults: int = Field(default=1, ge=1, le=16)
    """Faults of a run that may be on at once. Above 1 every service says whom it calls (`calls`), because only services
    with no common call path are broken at once; and the worker must allow it."""
    allowed_namespaces: list[Name] | None = None
    """Namespaces this plan may touch. Default: its own namespace only."""
    allowed_hosts: list[str] = ["127.0.0.1", "localhost", "::1"]
    """Addresses this plan may send anything to: `host` for whichever ports the plan names, `host:port`,
    `host:low-high`. Default: this machine only. The worker must allow them as well, with their ports."""


class SteadyState(StrictModel):
    """What the request must be like when nothing is broken: asked before anything is switched on, and at the end."""

    check: bool = True
    """Whether it is asked at all."""
    requests: int = Field(default=3, ge=1, le=100)
    """Requests that are sent for it, one after the other."""
    error_rate: Share = 0.0
    """Share of them that may fail."""
    within: PositiveDuration | None = None
    """Time that each of them may take; an answer that comes later counts as failed. Default: `request.timeout`."""
    status: list[Annotated[int, Field(ge=100, le=599)]] | None = Field(default=None, min_length=1)
    """Statuses that count as good. Default: 200 to 399."""
    body_contains: str | None = Field(default=None, min_length=1)
    """Text that every answer's body must hold."""


def _case_from_text(value: Any) -> Any:
    return {"case": value} if isinstance(value, str) else value


class ExcludedCase(StrictModel):
    """A case that is not measured, on purpose: it is reported as skipped, and does not make the run inconclusive."""

    case: str
    """A case's id (`cart`, `cart+payment`); `cart+*` for every pair with cart, `*+*` for all pairs."""
    reason: str = ""
    """Why; shown with the case."""


CaseExclusion = Annotated[ExcludedCase, BeforeValidator(_case_from_text, json_schema_input_type=str | ExcludedCase)]
"""Which cases are left out: an id as text, or with a reason."""


class Coverage(StrictModel):
    """How many cases may go without a result: with more, a run that found nothing wrong is inconclusive, not passed."""

    at_least: Share = 100.0
    """Share of the cases that must be measured, of those that are neither excluded nor in `may_lack`."""
    may_lack: list[str] = []
    """Cases that are measured where that can be, and not missed where it cannot: written as in `exclude`."""


class Timeouts(StrictModel):
    """How long each stage may take; defaults are those of the original orchestrator (`peer-contract` section 5)."""

    analyze: PositiveDuration = timedelta(seconds=600)
    """Until the analysis has completed; then the run fails with ANALYZE_TIMEOUT."""
    fault_running: PositiveDuration = timedelta(seconds=30)
    """Until an injected fault is running in all its targets."""
    replay: PositiveDuration = timedelta(seconds=120)
    """For the replay of one service's recorded requests."""
    rules_ready: PositiveDuration = timedelta(seconds=30)
    """Until the rules are seen to act; then the run fails with INTERCEPTOR_NOT_READY."""
    rules_ttl: Ttl = timedelta(seconds=600)
    """Least life of the rules at the proxy; longer when the load test is expected to need it."""
    stability: PositiveDuration = timedelta(seconds=120)
    """Per service, in parallel, until it is stable after something was switched."""
    recovery: PositiveDuration = timedelta(minutes=15)
    """How long closing is retried before a window is reported as unverified."""


class Plan(StrictModel):
    """A resilience test, complete."""

    holdfast: Literal[1] = PLAN_VERSION
    """Schema version of this document."""
    name: Name
    """Names the runs: they start under the workflow id `resilience-test/<name>`."""
    description: str = ""
    """For people."""
    system: System
    request: Request
    services: list[ServiceUnderTest] = Field(min_length=1)
    """Who is made to fail, and how."""
    load: Load = Load()
    slo: Slo
    exclude: list[CaseExclusion] = []
    """Cases that are left out on purpose: an id (`cart+payment`, `cart+*`), or an id with a reason."""
    coverage: Coverage = Coverage()
    steady_state: SteadyState = SteadyState()
    stop: Stop = Stop()
    safety: Safety = Safety()
    timeouts: Timeouts = Timeouts()
    redact: list[str] = []
    """Names of headers, and of fields in JSON, queries and forms, whose values are replaced in whatever is recorded
    before it is stored. The plan is stored as it is. Authorization, Proxy-Authorization, Cookie,
    Set-Cookie and X-Api-Key always are."""

    @property
    def warm_up(self) -> int:
        """Requests at most that are sent before a group of cases is measured."""
        given = self.load.warm_up
        return given if given is not None else WARM_UP if self.slo.compares else 0

    @property
    def service_names(self) -> list[str]:
        """The services under test, sorted: the order of cases, tokens and windows."""
        return sorted(service.name for service in self.services)

    def service(self, name: str) -> ServiceUnderTest:
        """The service under test with this name; KeyError when the plan has none."""
        for service in self.services:
            if service.name == name:
                return service
        raise KeyError(name)
