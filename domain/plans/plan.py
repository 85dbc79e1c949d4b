"""The plan: the document that a user writes.

One strict model. Every field documents its unit, its default and the reason for it.

Rules between fields (duplicates, names that must exist, hosts that must be allowed) are decisions, not shape. They live
in `domain/plans/validation/`, which reports them together with the problems of shape found here.
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
"""The schema version that this code writes and reads."""


WARM_UP = 1_000
"""Maximum number of warm-up requests before a comparison. A cold system would count as slow."""


class ServiceUnderTest(StrictModel):
    """A service that the run makes fail."""

    name: Name
    """Name of the service, one of `system.services`."""
    fault: FaultSpec
    """How the service fails: `remove`, `error`, `{delay: 3s}`, or a full ChaosBlade experiment."""
    substitute_status: int = Field(default=503, ge=500, le=599)
    """HTTP status that the rule returns if the failing service gave no HTTP answer. It may have refused the connection,
    or timed out."""
    calls: list[Name] | None = None
    """Services of the plan that this one calls; `[]` if there are none. Include those that it reaches through services
    outside the plan. Every service needs `calls` if `safety.max_active_faults` is above 1, because two services are
    then never broken at once if one reaches the other."""


class Arrivals(StrEnum):
    """When the requests of an open model start."""

    POISSON = "poisson"
    """At random, like the requests of many users who act independently."""
    CONSTANT = "constant"
    """At equal intervals."""


class Load(StrictModel):
    """How many requests each case gets, and how they are sent.

    Without `rate` (closed model), `concurrency` requests are in flight at once, and the next one starts when one has
    ended. With `rate` (open model), requests start when they are due, whatever became of the earlier ones, and latency
    is measured from the due time.
    """

    requests: int = Field(default=1, ge=1, le=1_000_000)
    """Requests per case. All of them are sent."""
    max_requests: int | None = Field(default=None, ge=1, le=1_000_000)
    """Maximum number of requests per case, instead of `requests`. A case gets fewer if `slo.regression` is decided
    earlier."""
    concurrency: int = Field(default=8, ge=1, le=8)
    """Requests of one case in flight at once."""
    rate: Rate | None = None
    """Requests that start per second or minute, instead of `concurrency`: `20/s` or `90/m`."""
    arrivals: Arrivals = Arrivals.POISSON
    """When requests start, if `rate` is given. At random with `poisson`, at equal intervals with `constant`."""
    warm_up: int | None = Field(default=None, ge=0, le=100_000)
    """Maximum number of requests sent before anything is measured. The warm-up ends earlier if two blocks of requests
    agree. Default: 1000 if the plan compares with the baseline, otherwise none."""
    batches_at_once: int = Field(default=1, ge=1, le=16)
    """Batches of cases that are measured at once, by one or several load workers. They share `concurrency` or `rate`:
    the system never sees more of a run than these allow. The first batch, which holds the baseline, runs alone."""

    @property
    def most_requests(self) -> int:
        """Maximum number of measured requests of a case."""
        return self.requests if self.max_requests is None else self.max_requests

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Omit each default that another given field replaces.

        A plan that is written out must be valid when it is read again.
        """
        written: dict[str, Any] = handler(self)
        replaced = {"requests"} if self.max_requests is not None else set()
        replaced |= {"arrivals"} if self.rate is None else {"concurrency"}
        return {name: value for name, value in written.items() if name not in replaced}


class Safety(StrictModel):
    """Limits that hold whatever else is in the plan."""

    fault_ttl: Ttl = timedelta(minutes=10)
    """Time after which the fault service removes a fault by itself. This is the last safety net, and the run never
    relies on it."""
    max_active_faults: int = Field(default=1, ge=1, le=16)
    """Maximum number of faults of a run that may be active at once. Above 1, every service needs `calls`, because only
    services without a common call path are broken at once. The worker must allow this number, too."""
    allowed_namespaces: list[Name] | None = None
    """Namespaces that this plan may touch. Default: its own namespace only."""
    allowed_hosts: list[str] = ["127.0.0.1", "localhost", "::1"]
    """Addresses that this plan may send anything to: `host`, `host:port` or `host:low-high`. A host alone stands for
    every port that the plan names. Default: this machine only. The worker must allow the addresses as well, including
    their ports."""


class SteadyState(StrictModel):
    """How the request must behave when nothing is broken.

    This is checked before anything is switched on, and again at the end.
    """

    check: bool = True
    """Whether the steady state is checked at all."""
    requests: int = Field(default=3, ge=1, le=100)
    """Requests sent for the check, one after the other."""
    error_rate: Share = 0.0
    """Share of these requests that may fail."""
    within: PositiveDuration | None = None
    """Time limit for each of these requests. A later answer counts as failed. Default: `request.timeout`."""
    status: list[Annotated[int, Field(ge=100, le=599)]] | None = Field(default=None, min_length=1)
    """Statuses that count as good. Default: 200 to 399."""
    body_contains: str | None = Field(default=None, min_length=1)
    """Text that the body of every answer must contain."""


def _case_from_text(value: Any) -> Any:
    return {"case": value} if isinstance(value, str) else value


class ExcludedCase(StrictModel):
    """A case that is not measured, on purpose.

    It is reported as skipped, and does not make the run inconclusive.
    """

    case: str
    """The case to exclude, such as `cart` or `cart+payment`. Write `cart+*` for every pair with cart, `*+*` for all
    pairs."""
    reason: str = ""
    """Why the case is excluded. Shown with the case."""


CaseExclusion = Annotated[ExcludedCase, BeforeValidator(_case_from_text, json_schema_input_type=str | ExcludedCase)]
"""A case to exclude: its id as text, or its id with a reason."""


class Coverage(StrictModel):
    """How many cases may end without a result.

    If more do, a run that found nothing wrong is inconclusive, not passed.
    """

    at_least: Share = 100.0
    """Share of the cases that must be measured. Excluded cases do not count, nor do cases in `may_lack` that have no
    result."""
    may_lack: list[str] = []
    """Cases that are measured if possible, but may end without a result. Written as in `exclude`."""


class Timeouts(StrictModel):
    """How long each stage may take.

    The defaults are those of the original orchestrator (`peer-contract` section 5).
    """

    analyze: PositiveDuration = timedelta(seconds=600)
    """Time limit for the analysis. After it, the run fails with ANALYZE_TIMEOUT."""
    fault_running: PositiveDuration = timedelta(seconds=30)
    """Time limit for an injected fault to be running in all its targets."""
    replay: PositiveDuration = timedelta(seconds=120)
    """Time limit for the replay of one service's recorded requests."""
    rules_ready: PositiveDuration = timedelta(seconds=30)
    """Time limit until the rules are seen to act. After it, the run fails with INTERCEPTOR_NOT_READY."""
    rules_ttl: Ttl = timedelta(seconds=600)
    """Minimum TTL of the rules at the proxy. It is longer if the load test is expected to need it."""
    stability: PositiveDuration = timedelta(seconds=120)
    """Time limit for a service to become stable after something was switched on or off. All services are waited for in
    parallel."""
    recovery: PositiveDuration = timedelta(minutes=15)
    """How long closing is retried before a window is reported as unverified."""


class Plan(StrictModel):
    """A complete resilience test."""

    holdfast: Literal[1] = PLAN_VERSION
    """Schema version of this document."""
    name: Name
    """Name of the runs. They start under the workflow id `resilience-test/<name>`."""
    description: str = ""
    """Free text for people."""
    team: Name | None = None
    """Team that the plan belongs to. Runs can be searched for by it at the Temporal server."""
    system: System
    request: Request
    services: list[ServiceUnderTest] = Field(min_length=1)
    """Services that are made to fail, and how."""
    load: Load = Load()
    slo: Slo
    exclude: list[CaseExclusion] = []
    """Cases that are left out on purpose. Each is an id such as `cart+payment` or `cart+*`, or an id with a reason."""
    coverage: Coverage = Coverage()
    steady_state: SteadyState = SteadyState()
    stop: Stop = Stop()
    safety: Safety = Safety()
    timeouts: Timeouts = Timeouts()
    redact: list[str] = []
    """Names of headers and fields whose recorded values are replaced before they are stored. Fields are those in JSON,
    queries and forms. Authorization, Proxy-Authorization, Cookie, Set-Cookie and X-Api-Key are always replaced. The
    plan itself is stored as it is."""

    @property
    def warm_up(self) -> int:
        """Maximum number of requests sent before a group of cases is measured."""
        given = self.load.warm_up
        return given if given is not None else WARM_UP if self.slo.compares else 0

    @property
    def service_names(self) -> list[str]:
        """The services under test, sorted.

        Cases, tokens and windows follow this order.
        """
        return sorted(service.name for service in self.services)

    def service(self, name: str) -> ServiceUnderTest:
        """Return the service under test with this name.

        Raises:
            KeyError: when the plan has none.
        """
        for service in self.services:
            if service.name == name:
                return service
        raise KeyError(name)
