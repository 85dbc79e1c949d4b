"""Deployments, ReplicaSets and pods in the Kubernetes API's wire format.

Only the fields that stability needs are read.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import Field, model_validator

from clients.http.control import Wire
from domain.stability.rollout import PodFacts, RolloutFacts

_SHOWN = 200


class ClusterWire(Wire):
    """A part of an answer.

    The API omits zeros and empty lists or sends them as null. Both mean the default.
    """

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, value: Any) -> Any:
        return {key: part for key, part in value.items() if part is not None} if isinstance(value, dict) else value


class _Owner(ClusterWire):
    uid: str
    controller: bool = False


class _Meta(ClusterWire):
    name: str
    uid: str
    generation: int = 0
    deleted_at: str = Field(default="", alias="deletionTimestamp")
    owners: list[_Owner] = Field(default=[], alias="ownerReferences")

    @property
    def controller(self) -> str:
        """Uid of the owner that controls it; empty if none does."""
        return next((owner.uid for owner in self.owners if owner.controller), "")


class _Condition(ClusterWire):
    type: str
    status: str
    reason: str = ""
    message: str = ""
    changed_at: str = Field(default="", alias="lastTransitionTime")


class _Requirement(ClusterWire):
    key: str
    operator: str
    values: list[str] = []


class _Selector(ClusterWire):
    labels: dict[str, str] = Field(default={}, alias="matchLabels")
    expressions: list[_Requirement] = Field(default=[], alias="matchExpressions")


class _DeploymentSpec(ClusterWire):
    replicas: int = 1
    paused: bool = False
    selector: _Selector


class _DeploymentStatus(ClusterWire):
    observed: int = Field(default=0, alias="observedGeneration")
    replicas: int = 0
    updated: int = Field(default=0, alias="updatedReplicas")
    ready: int = Field(default=0, alias="readyReplicas")
    available: int = Field(default=0, alias="availableReplicas")
    unavailable: int = Field(default=0, alias="unavailableReplicas")
    conditions: list[_Condition] = []


class DeploymentWire(ClusterWire):
    """A Deployment."""

    metadata: _Meta
    spec: _DeploymentSpec
    status: _DeploymentStatus = _DeploymentStatus()

    @property
    def selector(self) -> str:
        """Label selector of its pods, as written in a query."""
        chosen = self.spec.selector
        return ",".join(
            [f"{key}={value}" for key, value in chosen.labels.items()]
            + [_term(requirement) for requirement in chosen.expressions]
        )


class ReplicaSetWire(ClusterWire):
    """A ReplicaSet."""

    metadata: _Meta


class _Waiting(ClusterWire):
    reason: str = ""


class _ContainerState(ClusterWire):
    waiting: _Waiting = _Waiting()


class _ContainerStatus(ClusterWire):
    restarts: int = Field(default=0, alias="restartCount")
    state: _ContainerState = _ContainerState()


class _PodStatus(ClusterWire):
    phase: str = ""
    conditions: list[_Condition] = []
    containers: list[_ContainerStatus] = Field(default=[], alias="containerStatuses")
    init_containers: list[_ContainerStatus] = Field(default=[], alias="initContainerStatuses")

    @property
    def all_containers(self) -> list[_ContainerStatus]:
        # Native sidecars are listed among the init containers.
        return [*self.init_containers, *self.containers]


class PodWire(ClusterWire):
    """A pod."""

    metadata: _Meta
    status: _PodStatus = _PodStatus()


class ItemsWire(ClusterWire):
    """A list, whose items are validated one by one."""

    items: list[Any] = []


def rollout_facts(
    deployment: DeploymentWire, replica_sets: Iterable[ReplicaSetWire], pods: Iterable[PodWire]
) -> RolloutFacts:
    """Combine one look into the facts that the decision needs."""
    meta = deployment.metadata
    status = deployment.status
    return RolloutFacts(
        uid=meta.uid,
        generation=meta.generation,
        observed_generation=status.observed,
        wanted=deployment.spec.replicas,
        replicas=status.replicas,
        updated=status.updated,
        ready=status.ready,
        available=status.available,
        unavailable=status.unavailable,
        paused=deployment.spec.paused,
        deleting=bool(meta.deleted_at),
        trouble=_trouble(status.conditions),
        replica_sets=[
            replica_set.metadata.uid for replica_set in replica_sets if replica_set.metadata.controller == meta.uid
        ],
        pods=[_pod_facts(pod) for pod in pods],
    )


def _pod_facts(pod: PodWire) -> PodFacts:
    status = pod.status
    ready = _condition(status.conditions, "Ready")
    return PodFacts(
        name=pod.metadata.name,
        uid=pod.metadata.uid,
        owner=pod.metadata.controller,
        terminating=bool(pod.metadata.deleted_at),
        finished=status.phase in ("Failed", "Succeeded"),
        ready=ready is not None and ready.status == "True",
        ready_since=ready.changed_at if ready else "",
        restarts=sum(container.restarts for container in status.all_containers),
        waiting=_waiting(status, ready),
    )


def _waiting(status: _PodStatus, ready: _Condition | None) -> str:
    """Return why a pod is not ready; empty without a reason."""
    # Nearest to the cause first: its containers, its scheduling, its own Ready condition.
    for container in status.all_containers:
        if container.state.waiting.reason:
            return container.state.waiting.reason
    scheduled = _condition(status.conditions, "PodScheduled")
    for condition in (scheduled, ready):
        if condition is not None and condition.status != "True" and condition.reason:
            return condition.reason
    return ""


def _trouble(conditions: list[_Condition]) -> str:
    progressing = _condition(conditions, "Progressing")
    failing = _condition(conditions, "ReplicaFailure")
    if failing is not None and failing.status == "True":
        return f"{failing.reason}: {failing.message}"[:_SHOWN]
    return progressing.reason if progressing is not None and progressing.status == "False" else ""


def _condition(conditions: list[_Condition], kind: str) -> _Condition | None:
    return next((condition for condition in conditions if condition.type == kind), None)


def _term(requirement: _Requirement) -> str:
    """Format one expression of a selector for a query."""
    match requirement.operator:
        case "In":
            return f"{requirement.key} in ({','.join(requirement.values)})"
        case "NotIn":
            return f"{requirement.key} notin ({','.join(requirement.values)})"
        case "DoesNotExist":
            return f"!{requirement.key}"
        case _:
            return requirement.key
