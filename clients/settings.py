"""The worker's settings, from the environment.

A plan cannot change them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from clients.local.own_addresses import own_addresses
from clients.local.rails import WorkerRails
from domain.errors import ErrorCode, HoldfastError
from domain.guardrails.allowed_addresses import entry_of
from domain.guardrails.check import (
    ALLOWED_HOSTS,
    ALLOWED_NAMESPACES,
    LONGEST_FAULT,
    MAX_ACTIVE_FAULTS,
    OWN_NAMESPACES,
    namespace_of,
)
from domain.guardrails.load_limits import MAX_IN_FLIGHT, MAX_LOAD_DURATION, MAX_RATE, MAX_REQUESTS
from domain.guardrails.model import Guardrails
from domain.names import TASK_QUEUE
from domain.plans.environments import ENVIRONMENTS, parse_environments
from domain.plans.system import Name
from domain.plans.validation.wording import shown
from domain.timing import Timing, TimingPreset
from domain.units import Duration, PositiveDuration, Rate

DEFAULT_DATABASE_URL = "sqlite+aiosqlite:///.holdfast/holdfast.db"
"""URL of the default database.

It is below the folder where the worker is started; its own folder is created.
"""


LONGEST_GRACE = timedelta(seconds=60)

POD_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
"""File in which Kubernetes gives a pod its namespace."""


def _split_list(value: object) -> object:
    """Split a variable that holds a list, at commas or spaces."""
    return value.replace(",", " ").split() if isinstance(value, str) else value


def _entry(value: str) -> str:
    try:
        entry_of(value)
    except ValueError as error:
        raise ValueError(f"{shown(value)} {error}") from error
    return value


Host = Annotated[str, AfterValidator(_entry)]
"""`host` (ports 80 and 443), `host:port` or `host:low-high`, without scheme.

IPv6 is in brackets if a port follows. `*.` before a domain stands for every host below it.
"""


def _environments(value: object) -> object:
    return parse_environments(value) if isinstance(value, str) else value


Environments = Annotated[dict[str, str], BeforeValidator(_environments)]
"""Names of environments, by the canonical address of their fault service."""

Hosts = Annotated[list[Host], BeforeValidator(_split_list)]
Names = Annotated[list[Name], BeforeValidator(_split_list)]


class Settings(BaseModel):
    """Settings of a worker; a field's alias is its environment variable.

    The Temporal connection is configured separately, by the standard `TEMPORAL_*` variables or the TOML profile.
    """

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    database_url: Annotated[str, Field(alias="HOLDFAST_DATABASE_URL")] = DEFAULT_DATABASE_URL
    """SQLAlchemy URL: `sqlite+aiosqlite:///path` or `postgresql+asyncpg://...`."""
    timing: Annotated[TimingPreset, Field(alias="HOLDFAST_TIMING")] = TimingPreset.PRODUCTION
    """Preset of intervals: `production`, or `fast` for tests and the demo."""
    task_queue: Annotated[str, Field(alias="HOLDFAST_TASK_QUEUE", min_length=1)] = TASK_QUEUE
    """Name of the control queue; the load queue's name adds `-load`."""
    load_at_once: Annotated[int, Field(alias="HOLDFAST_LOAD_AT_ONCE", ge=1, le=100)] = 16
    """Maximum batches, of all runs, that one load worker measures at once.

    Further batches wait or go to another worker.
    """
    activities_at_once: Annotated[int, Field(alias="HOLDFAST_ACTIVITIES_AT_ONCE", ge=2, le=1000)] = 100
    """Maximum short activities, of all runs, that one control worker carries out at once.

    Most of them wait for a peer. Further ones wait or go to another worker.
    """
    workflows_at_once: Annotated[int, Field(alias="HOLDFAST_WORKFLOWS_AT_ONCE", ge=2, le=1000)] = 100
    """Maximum workflow tasks that one control worker carries out at once. Each takes milliseconds of processor."""
    cached_workflows: Annotated[int, Field(alias="HOLDFAST_CACHED_WORKFLOWS", ge=2, le=100_000)] = 1000
    """Maximum workflows that one control worker keeps in memory.

    A run has one for itself and one for each open window. Beyond that, the one that was idle for longest is replayed
    when it goes on.
    """
    shutdown_grace: Annotated[Duration | None, Field(alias="HOLDFAST_SHUTDOWN_GRACE")] = None
    """Time for activities to end by themselves when the worker is asked to stop: `5s`, at most `60s`.

    Those that go on for longer, such as a batch of the load test, are then handed to another worker. Unset: 5 s, or no
    time with the preset `fast`.
    """
    sweeper: Annotated[bool, Field(alias="HOLDFAST_SWEEPER")] = True
    """Whether the worker creates the sweeper's schedule if it is missing."""
    allowed_namespaces: Annotated[Names | None, Field(alias=ALLOWED_NAMESPACES)] = None
    """Namespaces that plans may name, separated by commas.

    Unset: any namespace except the refused ones.
    """
    allowed_hosts: Annotated[Hosts | None, Field(alias=ALLOWED_HOSTS)] = None
    """Addresses that plans may send anything to, separated by commas.

    For example `cart.internal:8080`, `*.shop.internal:80-8099`. A host alone means its ports 80 and 443. Unset: the
    ports of a lab that runs on this machine, otherwise none. Temporal, its Web UI and the store are never reached,
    whatever is written here.
    """
    max_active_faults: Annotated[int, Field(alias=MAX_ACTIVE_FAULTS, ge=1)] = 1
    """Maximum faults of a run that may be active at once."""
    longest_fault: Annotated[PositiveDuration, Field(alias=LONGEST_FAULT)] = timedelta(hours=1)
    """Maximum of a plan's `safety.fault_ttl`: `10m`, `1h`."""
    environments: Annotated[Environments, Field(alias=ENVIRONMENTS)] = {}
    """Names of systems, by the addresses of their fault services.

    For example `prod=faults.internal:8080`, separated by commas. Several addresses with the same name are one system,
    and share one lock. An address has only one name.
    """
    max_rate: Annotated[Rate, Field(alias=MAX_RATE)] = Guardrails().max_rate
    """Maximum request rate of a plan (`load.rate`, `stop.*.every`): `200/s`, `90/m`."""
    max_in_flight: Annotated[int, Field(alias=MAX_IN_FLIGHT, ge=1)] = Guardrails().max_in_flight
    """Maximum load requests of a run that are in flight at once.

    With a rate, as many as can be pending within the timeout are counted.
    """
    max_requests: Annotated[int, Field(alias=MAX_REQUESTS, ge=1)] = Guardrails().max_requests
    """Maximum requests of one run.

    These are the requests of its cases, their controls and warm-up, the analysis and the steady state, and those sent
    to discover calls and to verify pairs with two real faults.
    """
    max_load_duration: Annotated[PositiveDuration, Field(alias=MAX_LOAD_DURATION)] = Guardrails().max_load_duration
    """Longest time that a run may send load: `30m`, `24h`."""
    own_namespaces: Annotated[Names, Field(alias=OWN_NAMESPACES)] = []
    """Further namespaces in which Temporal or Holdfast runs.

    They are never tested, like those with the usual names (`temporal`, `holdfast`).
    """

    def guardrails(self, temporal_address: str = "", pod_namespace: Path = POD_NAMESPACE) -> WorkerRails:
        """Return what plans may do on this worker.

        Our own namespaces include those of this pod and of the Temporal server, as far as they are known.
        """
        try:
            pod = pod_namespace.read_text().strip()
        except OSError:
            pod = ""
        detected = [namespace for namespace in (pod, namespace_of(temporal_address)) if namespace]
        return WorkerRails(
            namespaces=self.allowed_namespaces,
            hosts=self.allowed_hosts or [],
            follows_lab=self.allowed_hosts is None,
            never=own_addresses(temporal_address, self.database_url),
            max_active_faults=self.max_active_faults,
            longest_fault=self.longest_fault,
            environments=self.environments,
            max_rate=self.max_rate,
            max_in_flight=self.max_in_flight,
            max_requests=self.max_requests,
            max_load_duration=self.max_load_duration,
            own_namespaces=list(dict.fromkeys([*self.own_namespaces, *detected])),
        )

    @field_validator("shutdown_grace")
    @classmethod
    def _not_for_ever(cls, value: timedelta | None) -> timedelta | None:
        if value is not None and value > LONGEST_GRACE:
            raise ValueError(f"at most {LONGEST_GRACE.total_seconds():.0f}s")
        return value

    @property
    def grace(self) -> timedelta:
        """Time for activities to end when the worker stops."""
        if self.shutdown_grace is not None:
            return self.shutdown_grace
        return timedelta(seconds=5) if self.timing is TimingPreset.PRODUCTION else timedelta(0)

    @property
    def intervals(self) -> Timing:
        """The intervals of the chosen preset."""
        return Timing.of(self.timing)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Settings:
        """Read the settings from environment variables.

        Raises:
            HoldfastError: VALIDATION_ERROR naming the invalid variable.
        """
        known = {field.alias for field in cls.model_fields.values()}
        try:
            return cls.model_validate({name: value for name, value in environ.items() if name in known})
        except ValidationError as error:
            first = error.errors()[0]
            raise HoldfastError(
                ErrorCode.VALIDATION_ERROR, f"environment variable {first['loc'][0]}: {first['msg']}"
            ) from error
