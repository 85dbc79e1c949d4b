"""The plan: what a user writes. One strict model; every field says its unit, its default and why.

The cross-field rules (duplicates, names that must exist, hosts that must be allowed) are decisions and stand in
`logic/validation.py`, which reports them together with the problems of shape found here.
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints

from workflows.contracts.base import StrictModel
from workflows.contracts.faults import FaultSpec
from workflows.contracts.units import Duration, Percent

PLAN_VERSION: Literal[1] = 1
"""The schema version this code writes and reads."""

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", max_length=63)]
"""A DNS-1123 label, as Kubernetes names services and namespaces: no dots, so tokens built from it are unambiguous."""

EnvironmentName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]*$", max_length=100)]
"""Part of the lock's workflow id."""


def _absolute_http_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an absolute http:// or https:// address")
    if parts.username or parts.password:
        raise ValueError("must not carry a user name or password: send them as a header with ${env:NAME}")
    return value


HttpUrl = Annotated[str, AfterValidator(_absolute_http_url)]
"""An absolute http(s) URL, kept as text exactly as written."""


class Method(StrEnum):
    """HTTP methods that a request may use."""

    GET = "GET"
    HEAD = "HEAD"
    POST = "POST"
    PUT = "PUT"
    PATCH = "PATCH"
    DELETE = "DELETE"
    OPTIONS = "OPTIONS"


class HttpStability(StrictModel):
    """A service is stable when its readiness path answers 2xx several times in a row."""

    kind: Literal["http"] = "http"
    path: Annotated[str, StringConstraints(pattern=r"^/")] = "/health"
    consecutive: int = Field(default=3, ge=1, le=20)
    """Good answers in a row that are needed: one good sample proves little (`peer-contract` section 4)."""


class System(StrictModel):
    """The system under test and the peers that act on it."""

    environment: EnvironmentName | None = None
    """Distinguishes clusters that have a namespace of the same name. Default: host and port of `faults`."""
    namespace: Name
    """The Kubernetes namespace, also the unit of locking: one run at a time."""
    proxy: HttpUrl
    """Base address of the traffic proxy (svc-reqrsp-proxy)."""
    faults: HttpUrl
    """Base address of the fault service (svc-fault-scheduler)."""
    services: dict[Name, HttpUrl] = Field(min_length=1)
    """Base address of each service, as the worker reaches it: for readiness and for seeing rules act."""
    stability: HttpStability = HttpStability()


class Request(StrictModel):
    """The user request whose resilience is tested. Analysis and load send exactly this, for real."""

    method: Method = Method.GET
    url: HttpUrl
    headers: dict[str, str] = {}
    query: dict[str, str] = {}
    json_body: Any = Field(default=None, alias="json")
    timeout: Duration = timedelta(seconds=10)
    """Total time for one request, from connecting to the last byte of the answer."""
    repeatable: bool = False
    """A promise that sending it many times does no harm; needed for every method but GET and HEAD."""


class ServiceUnderTest(StrictModel):
    """One service that is made to fail."""

    name: Name
    fault: FaultSpec
    substitute_status: int = Field(default=503, ge=500, le=599)
    """Status for the rule when the failing service gave no HTTP answer at all (refused, timed out)."""


class Load(StrictModel):
    """How much each case is measured."""

    requests: int = Field(default=1, ge=1, le=1_000_000)
    """Requests per case, sent in full."""
    concurrency: int = Field(default=8, ge=1, le=8)
    """Requests of one case in flight at once."""


class Limits(StrictModel):
    """Thresholds on latency of successful requests and on the share of failed ones."""

    p50: Duration | None = None
    p95: Duration | None = None
    p99: Duration | None = None
    error_rate: Percent | None = None


class RelativeLimits(StrictModel):
    """Thresholds as a share of the baseline's value: `150%` allows half as much again."""

    p50: Percent | None = None
    p95: Percent | None = None
    p99: Percent | None = None


class Slo(Limits):
    """What a case must meet to pass. At least one threshold is needed."""

    relative_to_baseline: RelativeLimits | None = None


class Safety(StrictModel):
    """Limits that hold whatever else the plan says."""

    fault_ttl: Duration = timedelta(minutes=10)
    """After this long the fault service removes a fault by itself: the net behind the net, never relied upon."""
    max_active_faults: Literal[1] = 1
    """Faults of a run that may be on at once."""
    allowed_namespaces: list[Name] | None = None
    """Namespaces this plan may touch. Default: its own namespace only."""
    allowed_hosts: list[str] = ["127.0.0.1", "localhost", "::1"]
    """Hosts this plan may send anything to. Default: this machine only."""


class Timeouts(StrictModel):
    """How long each stage may take; defaults are those of the original orchestrator (`peer-contract` section 5)."""

    analyze: Duration = timedelta(seconds=600)
    """Until the analysis has completed; then the run fails with ANALYZE_TIMEOUT."""
    fault_running: Duration = timedelta(seconds=30)
    """Until an injected fault is running in all its targets."""
    replay: Duration = timedelta(seconds=120)
    """For the replay of one service's recorded requests."""
    rules_ready: Duration = timedelta(seconds=30)
    """Until the rules are seen to act; then the run fails with INTERCEPTOR_NOT_READY."""
    rules_ttl: Duration = timedelta(seconds=600)
    """Least life of the rules at the proxy; longer when the load test is expected to need it."""
    stability: Duration = timedelta(seconds=120)
    """Per service, in parallel, until it is stable after something was switched."""
    recovery: Duration = timedelta(minutes=15)
    """How long closing is retried before a window is reported as unverified."""


class Plan(StrictModel):
    """A resilience test, complete."""

    holdfast: Literal[1] = PLAN_VERSION
    """Schema version of this document."""
    name: Name
    """Names the runs: they start under the workflow id `resilience-test/<name>`."""
    description: str = ""
    system: System
    request: Request
    services: list[ServiceUnderTest] = Field(min_length=1)
    load: Load = Load()
    slo: Slo
    safety: Safety = Safety()
    timeouts: Timeouts = Timeouts()
    redact: list[str] = []
    """Header and JSON field names whose values are replaced before anything is stored; Authorization, Cookie,
    Set-Cookie and X-Api-Key always are."""

    @property
    def environment(self) -> str:
        """The environment's name: given, or host and port of the fault service."""
        if self.system.environment:
            return self.system.environment
        return self.system.faults.split("://", 1)[1].split("/", 1)[0]

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
