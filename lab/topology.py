"""The topology file: which services exist, and how they behave.

It defines what they answer, which services they call, and what they do if a call fails.
"""

import re
from collections.abc import Iterator
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    model_validator,
)
from yarl import URL

from clients.plans.files import read_document

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m)")
_THIS_MACHINE = {"127.0.0.1", "localhost"}
_SECONDS = {"ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60)}


def _seconds(value: object) -> object:
    """Read `300ms`, `1.5s` or a plain number of seconds."""
    if not isinstance(value, str):
        return value
    match = _DURATION.fullmatch(value.strip())
    if match is None:
        raise ValueError(f"{value!r} is not a duration: write it like 5ms, 1.5s or 2m")
    return float(Decimal(match[1]) * _SECONDS[match[2]])


def _address(value: str) -> str:
    """Accept scheme, host and port of a real service, and nothing more."""
    try:
        url = URL(value)
        address = str(url.origin())
    except ValueError:
        raise ValueError(f"{value!r} is not an address: write it like http://127.0.0.1:8000") from None
    if url.scheme == "https":
        raise ValueError(f"{value!r}: the lab speaks plain HTTP, and a service behind TLS would not be asked")
    if url.scheme != "http" or url.user is not None or url.password is not None:
        raise ValueError(f"{value!r} is not an address: write it like http://127.0.0.1:8000")
    if url.raw_path_qs != "/" or url.fragment:
        # Redirects and cookies name paths as the service knows them, so the lab must use the same paths.
        raise ValueError(f"{value!r}: paths come from the requests, write {address!r}")
    return address


Duration = Annotated[float, BeforeValidator(_seconds), Field(ge=0)]
DnsLabel = Annotated[str, StringConstraints(pattern=r"^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$")]
ApiPath = Annotated[str, StringConstraints(pattern=r"^/api(/\S*)?$")]
RealAddress = Annotated[str, AfterValidator(_address)]
UrlPath = Annotated[str, StringConstraints(pattern=r"^/[^\s#]*$")]
Method = Annotated[str, StringConstraints(pattern=r"^(GET|POST|PUT|DELETE|PATCH)$")]
Port = Annotated[int, Field(ge=1, le=65535)]


class Model(BaseModel):
    """A strict, immutable part of the topology."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class Route(Model):
    """One operation of a service, and the JSON it answers with."""

    method: Method = "GET"
    path: ApiPath
    body: dict[str, JsonValue] = {}
    leaf: bool = False
    """Whether it is answered without any call. Two services that call each other need this, or a request would never
    end."""


class FailureKind(StrEnum):
    """Failures of a call that a client can distinguish."""

    ANY = "any"
    STATUS = "status"
    """An answer, but with an error status, or one without valid JSON."""
    NO_ANSWER = "no_answer"
    """Refused, cut off, or too late."""


class Fallback(Model):
    """A request whose answer replaces that of a failed call."""

    service: DnsLabel
    path: ApiPath


class Call(Model):
    """One request that a service makes to answer one of its own.

    Calls are made in the order in which they are listed.
    """

    service: DnsLabel
    method: Method = "GET"
    path: ApiPath
    timeout: Duration = 1.0
    retries: Annotated[int, Field(ge=0, le=10)] = 0
    backoff: Duration = 0.0
    retry_path: ApiPath | None = None
    """Path of the retries. Default: the same path."""
    required: bool = False
    fallback: JsonValue = None
    fallback_service: DnsLabel | None = None
    fallback_path: ApiPath | None = None
    """Path at the fallback service. Default: the same path."""
    fallbacks: Annotated[tuple[Fallback, ...], Field(strict=False)] = ()
    """Requests to make, one after the other, until one is answered. They may go to the same service again, under
    another path."""
    fallback_on: Annotated[FailureKind, Field(strict=False)] = FailureKind.ANY
    """The only failures that fallbacks cover. After any other, the call counts as required."""

    @model_validator(mode="after")
    def _alternatives_exclude_each_other(self) -> Self:
        alternatives = [
            self.required,
            self.fallback is not None,
            self.fallback_service is not None,
            bool(self.fallbacks),
        ]
        if sum(alternatives) > 1:
            names = "required, fallback, fallback_service and fallbacks"
            raise ValueError(f"call to {self.service}: {names} exclude each other")
        if self.fallback_path is not None and self.fallback_service is None:
            raise ValueError(f"call to {self.service}: fallback_path is for a fallback_service")
        if self.fallback_on is not FailureKind.ANY and not any(alternatives[1:]):
            raise ValueError(f"call to {self.service}: fallback_on is for a call with a fallback")
        if self.retry_path is not None and not self.retries:
            raise ValueError(f"call to {self.service}: retry_path is for a call with retries")
        return self

    @property
    def stand_ins(self) -> tuple[Fallback, ...]:
        """The requests that replace this call if it fails, in order."""
        if self.fallback_service is not None:
            return (Fallback(service=self.fallback_service, path=self.fallback_path or self.path),)
        return self.fallbacks

    def covers(self, failure: FailureKind) -> bool:
        """Return whether the caller can do without the answer after this failure."""
        return not self.required and self.fallback_on in {FailureKind.ANY, failure}


_OF_REAL_SERVICES = {"name", "port", "upstream", "upstream_health"}


class Service(Model):
    """One service of the system under test.

    It is either a simulated service with routes, or the lab's address of a real one.
    """

    name: DnsLabel
    port: Port | None = None
    upstream: RealAddress | None = None
    """Address of a real service that answers in place of routes and calls. It is behind the proxy and the faults."""
    upstream_health: UrlPath | None = None
    """Path of the real service's health check. Any status below 500 means ready. Default: `/`."""
    latency: Duration = 0.005
    routes: Annotated[tuple[Route, ...], Field(strict=False)] = ()
    calls: Annotated[tuple[Call, ...], Field(strict=False)] = ()
    needs_one_of: Annotated[tuple[Annotated[tuple[DnsLabel, ...], Field(strict=False)], ...], Field(strict=False)] = ()
    forwards_baggage: bool = True

    @model_validator(mode="after")
    def _simulated_or_real(self) -> Self:
        if self.upstream is None:
            if not self.routes:
                raise ValueError(f"service {self.name!r} needs routes, or the upstream that answers for it")
            if self.upstream_health is not None:
                raise ValueError(f"service {self.name!r}: upstream_health is for an upstream")
            return self
        simulated = sorted(self.model_fields_set - _OF_REAL_SERVICES)
        if simulated:
            raise ValueError(f"service {self.name!r} is real, the upstream decides about {', '.join(simulated)}")
        return self

    def references(self) -> Iterator[str]:
        """Yield every other service that this one mentions."""
        for call in self.calls:
            yield call.service
            for stand_in in call.stand_ins:
                yield stand_in.service
        for group in self.needs_one_of:
            yield from group


class Ports(Model):
    """Preferred ports of everything that is not a service."""

    proxy: Port | None = None
    faults: Port | None = None
    admin: Port | None = None


class EntryRequest(Model):
    """A user's request, in the form a plan for the system needs."""

    method: Method
    path: UrlPath


class Topology(Model):
    """A whole system: its namespace, its entry and its services."""

    namespace: DnsLabel
    entry: DnsLabel
    entry_path: UrlPath | None = None
    """Path that users request from a real entry, which only its owner knows. Default: `/`."""
    ports: Ports = Ports()
    services: Annotated[tuple[Service, ...], Field(min_length=1, strict=False)]

    @model_validator(mode="after")
    def _names_fit_together(self) -> Self:
        names = [service.name for service in self.services]
        if len(set(names)) != len(names):
            raise ValueError("two services have the same name")
        if self.entry not in names:
            raise ValueError(f"entry {self.entry!r} is not among the services")
        if self.entry_path is not None and self._entry.upstream is None:
            raise ValueError(f"entry_path is for an entry that is real: {self.entry!r} has routes of its own")
        for service in self.services:
            unknown = sorted(set(service.references()) - set(names))
            if unknown:
                raise ValueError(f"service {service.name!r} mentions unknown services: {', '.join(unknown)}")
            ungrouped = {name for group in service.needs_one_of for name in group} - {c.service for c in service.calls}
            if ungrouped:
                raise ValueError(f"service {service.name!r} needs_one_of, but does not call {sorted(ungrouped)}")
        return self

    @model_validator(mode="after")
    def _rare_paths_exist(self) -> Self:
        # Healthy traffic never uses these paths, so a misspelt one would go unnoticed.
        routes = {(service.name, route.method, route.path) for service in self.services for route in service.routes}
        for caller in self.services:
            for call in caller.calls:
                field_of_stand_ins = (
                    "fallbacks" if call.fallbacks else "fallback_path" if call.fallback_path else "fallback_service"
                )
                rare = [(field_of_stand_ins, stand_in.service, stand_in.path) for stand_in in call.stand_ins]
                if call.retry_path is not None:
                    rare.append(("retry_path", call.service, call.retry_path))
                for field, called, path in rare:
                    known = (called, call.method, path.partition("?")[0]) in routes or called in self.upstreams()
                    if not known:
                        where = f"service {caller.name!r}, call to {call.service}: {field} asks {called} for"
                        raise ValueError(f"{where} {call.method} {path}, and it has no such route")
        return self

    @model_validator(mode="after")
    def _not_behind_itself(self) -> Self:
        ports = {service.port for service in self.services} | set(self.ports.model_dump().values())
        for name, upstream in self.upstreams().items():
            url = URL(upstream)
            if url.host in _THIS_MACHINE and url.port in ports:
                raise ValueError(f"service {name!r}: its upstream {upstream} is a port that the lab listens on itself")
        return self

    def entry_request(self) -> EntryRequest:
        """Return the request that a user sends to the system.

        It is the first route of a simulated entry, or the path defined for a real one.
        """
        if self._entry.upstream is not None:
            return EntryRequest(method="GET", path=self.entry_path or "/")
        return EntryRequest(method=self._entry.routes[0].method, path=self._entry.routes[0].path)

    def upstreams(self) -> dict[str, str]:
        """Return the real services, each with its address."""
        return {service.name: service.upstream for service in self.services if service.upstream is not None}

    @property
    def _entry(self) -> Service:
        return next(service for service in self.services if service.name == self.entry)


def load_topology(path: str | Path) -> Topology:
    """Read and check a topology file.

    The same limits apply as to a plan file.

    Raises:
        HoldfastError: VALIDATION_ERROR naming the file and the place, if it cannot be read as one document.
        ValidationError: the document is no topology.
    """
    return Topology.model_validate(
        read_document(Path(path), "see examples/shop-topology.yaml, which `holdfast lab` simulates without --topology")
    )
