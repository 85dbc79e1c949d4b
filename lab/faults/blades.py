"""Faults as resources in the cluster, from creation to removal."""

import asyncio
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from pydantic import BaseModel, JsonValue

from lab.faults.operator import OperatorError, effect_of, targets_of
from lab.faults.spec import Experiment, FaultSpec
from lab.journal import Kind
from lab.services.cluster import Cluster
from lab.services.host import Host

_HEAD = {"scope", "target", "action"}


class Phase(StrEnum):
    """The operator's phases.

    Unknown is what the fault service reports if there is none.
    """

    UNKNOWN = "Unknown"
    INITIALIZED = "Initialized"
    RUNNING = "Running"
    ERROR = "Error"
    DESTROYING = "Destroying"
    DESTROYED = "Destroyed"


class ResourceStatus(BaseModel):
    """One pod or container that an experiment hit."""

    id: str
    uid: str
    name: str
    identifier: str
    kind: str
    state: str = "Success"
    success: bool = True
    nodeName: str = "lab-node"  # noqa: N815 - the operator's spelling


class ExperimentStatus(BaseModel):
    """The outcome of one experiment."""

    scope: str
    target: str
    action: str
    success: bool
    state: str
    error: str | None = None
    resStatuses: list[ResourceStatus] = []  # noqa: N815 - the operator's spelling


class BladeStatus(BaseModel):
    """The status that the operator writes into the resource."""

    phase: Phase
    expStatuses: list[ExperimentStatus]  # noqa: N815 - the operator's spelling


@dataclass
class Blade:
    """One fault."""

    name: str
    spec: FaultSpec
    ttl: int | None
    fault_id: str = field(default_factory=lambda: secrets.token_hex(16))
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    phase: Phase = Phase.UNKNOWN
    results: list[ExperimentStatus] = field(default_factory=list)
    hosts: list[Host] = field(default_factory=list)
    work: asyncio.Task[None] | None = None

    @property
    def terminating(self) -> bool:
        """Whether its deletion was accepted."""
        return self.phase in {Phase.DESTROYING, Phase.DESTROYED}

    def status(self) -> dict[str, JsonValue]:
        """Return the status that the operator wrote, if any."""
        if self.phase is Phase.UNKNOWN:
            return {}
        return BladeStatus(phase=self.phase, expStatuses=self.results).model_dump(mode="json", exclude_none=True)


class Blades:
    """The cluster's faults, and the operator that reconciles them."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._blades: dict[str, Blade] = {}

    def all(self) -> list[Blade]:
        """Return every fault that still exists."""
        return list(self._blades.values())

    def get(self, name: str) -> Blade | None:
        """Find a fault by name."""
        return self._blades.get(name)

    def create(self, name: str, spec: FaultSpec, ttl: int | None) -> Blade:
        """Create the resource, which the operator then picks up by itself."""
        blade = self._blades[name] = Blade(name, spec, ttl)
        if spec.experiments:
            blade.work = self._cluster.background.spawn(self._begin(blade))
        return blade

    def delete(self, name: str, reason: str) -> bool:
        """Accept a deletion, after which the fault recovers.

        False if there is no such fault.
        """
        blade = self._blades.get(name)
        if blade is None:
            return False
        if not blade.terminating:
            if blade.work is not None:
                blade.work.cancel()
            blade.phase = Phase.DESTROYING
            blade.work = self._cluster.background.spawn(self._destroy(blade, reason))
        return True

    async def _begin(self, blade: Blade) -> None:
        pause = self._cluster.settings.fault_start / 2
        await asyncio.sleep(pause)
        blade.phase = Phase.INITIALIZED
        await asyncio.sleep(pause)
        for experiment in blade.spec.experiments:
            blade.results.append(await self._start(blade, experiment))
        succeeded = any(result.success for result in blade.results)
        blade.phase = Phase.RUNNING if succeeded else Phase.ERROR

    async def _start(self, blade: Blade, experiment: Experiment) -> ExperimentStatus:
        status = ExperimentStatus(**experiment.model_dump(include=_HEAD), success=False, state="Error")
        try:
            hosts = targets_of(experiment, self._cluster)
            effect = effect_of(experiment)
        except OperatorError as error:
            return status.model_copy(update={"error": str(error)})
        for host in hosts:
            # Recorded first: a deletion that cancels this task must find everything that may have begun to act.
            blade.hosts.append(host)
            self._cluster.journal.switched_on(Kind.FAULT, host.name, blade.name)
            await host.apply(blade.name, effect)
        resources = [_resource(experiment, host, self._cluster.namespace) for host in hosts]
        return status.model_copy(update={"success": True, "state": "Success", "resStatuses": resources})

    async def _destroy(self, blade: Blade, reason: str) -> None:
        settings = self._cluster.settings
        await asyncio.sleep(settings.fault_stop * 0.8)
        for host in blade.hosts:
            await host.lift(blade.name)
            self._cluster.journal.switched_off(Kind.FAULT, host.name, blade.name, reason)
        blade.phase = Phase.DESTROYED
        await asyncio.sleep(settings.fault_stop * 0.2)
        if self._blades.get(blade.name) is blade:
            del self._blades[blade.name]


def _resource(experiment: Experiment, host: Host, namespace: str) -> ResourceStatus:
    pod = f"{host.name}-0"
    container = experiment.scope == "container"
    return ResourceStatus(
        id=secrets.token_hex(8),
        uid=secrets.token_hex(8),
        name=host.name if container else pod,
        identifier=f"{namespace}/lab-node/{pod}" + (f"/{host.name}/containerd" if container else ""),
        kind=experiment.scope,
    )
