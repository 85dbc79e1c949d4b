"""The Deployments of a namespace, their pods, and the services behind them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from clients.kubernetes.connection import CALL_TIMEOUT, Apis, Cluster, require_ok, status_of
from clients.kubernetes.wire import (
    ClusterWire,
    DeploymentWire,
    ItemsWire,
    PodWire,
    ReplicaSetWire,
    rollout_facts,
)
from domain.base import Contract
from domain.errors import Problem
from domain.plans.validation.wording import suggestion
from domain.stability.rollout import RolloutFacts

T = TypeVar("T", bound=ClusterWire)


class Target(Contract):
    """The Deployment behind a service of the plan."""

    service: str
    workload: str
    selector: str
    """Label selector of its pods, which may match other pods too."""
    pods: list[str] = []
    """Names of its own pods, without terminating and finished ones."""


class Targets(Contract):
    """The Deployments found, and a problem for each service without one."""

    found: list[Target] = []
    problems: list[Problem] = []


class Workloads:
    """The workloads of one namespace."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._cluster = cluster
        self._namespace = namespace

    @property
    def namespace(self) -> str:
        """Name of the namespace."""
        return self._namespace

    async def look(self, name: str, *, within: float = CALL_TIMEOUT) -> tuple[DeploymentWire, RolloutFacts] | None:
        """Look at a Deployment and its pods; None if it is absent.

        A look takes at most the time of two calls, `within` seconds each.

        Raises:
            HoldfastError: PEER_ codes, VALIDATION_ERROR without usable settings.
        """
        # Read the Deployment before the pods: counts older than the pods can only be too pessimistic.
        deployment = await self._deployment(name, within)
        if deployment is None:
            return None
        selector = deployment.selector
        sets, pods = await asyncio.gather(self._replica_sets(selector, within), self._pods(selector, within))
        return deployment, rollout_facts(deployment, sets, pods)

    async def names(self) -> list[str]:
        """Return the names of all Deployments, sorted.

        Raises:
            HoldfastError: as `look`.
        """
        deployments = await self._listed(
            "deployments", DeploymentWire, lambda apis: apis.apps.list_namespaced_deployment_without_preload_content
        )
        return sorted(resource.metadata.name for resource in deployments)

    async def _deployment(self, name: str, within: float) -> DeploymentWire | None:
        answer = await self._cluster.get(
            f"get deployment {name} in {self._namespace}",
            lambda apis, within: apis.apps.read_namespaced_deployment_without_preload_content(
                name, self._namespace, _request_timeout=within
            ),
            within=within,
        )
        # Only a `Status` means that the object is absent; a bare 404 means that there is no such API.
        if answer.status == 404 and status_of(answer)[0] == "NotFound":
            return None
        require_ok(answer)
        return answer.read(DeploymentWire, answer.object())

    async def _replica_sets(self, selector: str, within: float) -> list[ReplicaSetWire]:
        return await self._listed(
            "replicasets",
            ReplicaSetWire,
            lambda apis: apis.apps.list_namespaced_replica_set_without_preload_content,
            selector,
            within,
        )

    async def _pods(self, selector: str, within: float) -> list[PodWire]:
        return await self._listed(
            "pods", PodWire, lambda apis: apis.core.list_namespaced_pod_without_preload_content, selector, within
        )

    async def _listed(
        self,
        kind: str,
        model: type[T],
        lister: Callable[[Apis], Any],
        selector: str | None = None,
        within: float = CALL_TIMEOUT,
    ) -> list[T]:
        answer = await self._cluster.get(
            f"list {kind} in {self._namespace}",
            lambda apis, within: lister(apis)(self._namespace, label_selector=selector, _request_timeout=within),
            within=within,
        )
        require_ok(answer)
        listed = answer.read(ItemsWire, answer.object())
        return [answer.read(model, item) for item in listed.items]


async def find_targets(workloads: Workloads, services: Iterable[str], mapping: Mapping[str, str]) -> Targets:
    """Look up the Deployment of each service.

    It is the one that `mapping` names, else the one with the service's own name. Missing Deployments are returned as
    problems, all at once.

    Raises:
        HoldfastError: as `Workloads.look`.
    """
    wanted = {service: mapping.get(service, service) for service in services}
    looks = await asyncio.gather(*(workloads.look(name) for name in wanted.values()))
    found = [
        Target(
            service=service,
            workload=name,
            selector=look[0].selector,
            pods=sorted(pod.name for pod in look[1].live),
        )
        for (service, name), look in zip(wanted.items(), looks, strict=True)
        if look is not None
    ]
    missing = {service: name for (service, name), look in zip(wanted.items(), looks, strict=True) if look is None}
    names = await workloads.names() if missing else []
    return Targets(
        found=found,
        problems=[_missing(service, name, workloads.namespace, names) for service, name in missing.items()],
    )


def _missing(service: str, name: str, namespace: str, names: list[str]) -> Problem:
    hint = suggestion(name, names) if names else "it has no Deployment at all: is it the right cluster?"
    return Problem(
        path=f"system.stability.workloads.{service}",
        message=f"namespace {namespace} has no Deployment '{name}'",
        hint=hint,
    )
