"""The plan: what a user writes. One strict model; every field says its unit, its default and why.

The cross-field rules (duplicates, names that must exist, hosts that must be allowed) are decisions and stand in
`logic/validation.py`, which reports them together with the problems of shape found here.
"""

from __future__ import annotations

import re
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints

from workflows.contracts.base import StrictModel
from workflows.contracts.faults import FaultSpec
from workflows.contracts.units import Percent, PositiveDuration, Share, Ttl

PLAN_VERSION: Literal[1] = 1
"""The schema version this code writes and reads."""

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", max_length=63)]
"""A DNS-1123 label, as Kubernetes names services and namespaces: no dots, so tokens built from it are unambiguous."""

EnvironmentName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]*$", max_length=100)]
"""Part of the lock's workflow id."""


_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_NOT_IN_URLS = re.compile(r"[\s\\\x00-\x1f\x7f]")


def _absolute_http_url(value: str) -> str:
    if _NOT_IN_URLS.search(value):
        raise ValueError("must not contain spaces, backslashes or control characters: percent-encode them")
    netloc = value.partition("://")[2].partition("/")[0]
    if "${" in netloc:
        raise ValueError("must name its host in full, so that it can be checked against safety.allowed_hosts")
    try:
        parts = urlsplit(value)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError("is not an address: its host or port cannot be read") from error
    if parts.scheme not in ("http", "https") or not host or port == 0:
        raise ValueError("must be an absolute http:// or https:// address, for example http://127.0.0.1:8080")
    if "@" in parts.netloc:
        raise ValueError("must not carry a user name or password: send them as a header with ${env:NAME}")
    if ":" not in host and not _HOST.fullmatch(host):
        raise ValueError("names a host with characters that hosts do not have")
    return value


def _base_url(value: str) -> str:
    if "?" in value or "#" in value:
        raise ValueError("is a base address, to which paths are appended: it must not have a query or fragment")
    return value


HttpUrl = Annotated[str, StringConstraints(max_length=2048), AfterValidator(_absolute_http_url)]
"""An absolute http(s) URL, kept as text exactly as written."""

BaseUrl = Annotated[HttpUrl, AfterValidator(_base_url)]
"""The address of a server, to which paths are appended."""


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
    proxy: BaseUrl
    """Base address of the traffic proxy (svc-reqrsp-proxy)."""
    faults: BaseUrl
    """Base address of the fault service (svc-fault-scheduler)."""
    services: dict[Name, BaseUrl] = Field(min_length=1)
    """Base address of each service, as the worker reaches it: for readiness and for seeing rules act."""
    stability: HttpStability = HttpStability()


class Request(StrictModel):
    """The user request whose resilience is tested. Analysis and load send exactly this, for real."""

    method: Method = Method.GET
    url: HttpUrl
    headers: dict[str, str] = {}
    query: dict[str, str] = {}
    json_body: Any = Field(default=None, alias="json")
    timeout: PositiveDuration = timedelta(seconds=10)
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

    p50: PositiveDuration | None = None
    p95: PositiveDuration | None = None
    p99: PositiveDuration | None = None
    error_rate: Share | None = None


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

    fault_ttl: Ttl = timedelta(minutes=10)
    """After this long the fault service removes a fault by itself: the net behind the net, never relied upon."""
    max_active_faults: Literal[1] = 1
    """Faults of a run that may be on at once."""
    allowed_namespaces: list[Name] | None = None
    """Namespaces this plan may touch. Default: its own namespace only."""
    allowed_hosts: list[str] = ["127.0.0.1", "localhost", "::1"]
    """Hosts this plan may send anything to. Default: this machine only."""


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
