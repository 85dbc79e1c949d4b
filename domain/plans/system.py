"""The system under test, as a plan describes it: where everything is, and how stability is told."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, StringConstraints, Tag

from domain.base import StrictModel
from domain.plans.request import BaseUrl
from domain.units import PositiveDuration

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", max_length=63)]
"""A DNS-1123 label, as Kubernetes names services and namespaces: no dots, so tokens built from it are unambiguous."""

EnvironmentName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]*$", max_length=100)]
"""A name that the worker's settings give to a fault service."""


class HttpStability(StrictModel):
    """A service is stable when its readiness path answers 2xx several times in a row."""

    kind: Literal["http"] = "http"
    path: Annotated[str, StringConstraints(pattern=r"^/")] = "/health"
    """Asked at the service's address in `system.services`."""
    consecutive: int = Field(default=3, ge=1, le=20)
    """Good answers in a row that are needed: one good sample proves little (`peer-contract` section 4)."""


class KubernetesStability(StrictModel):
    """A service is stable when its Deployment has rolled out, and its pods are ready and stay the same for a while.

    The worker needs the right to get and list deployments, and to list replicasets and pods, in the namespace
    (`docs/kubernetes.md`).
    """

    kind: Literal["kubernetes"]
    hold: PositiveDuration = timedelta(seconds=3)
    """How long everything must be ready, with the same pods and restart counts (`kubernetes` section E)."""
    workloads: dict[Name, Name] = {}
    """Deployments whose name is not the service's, by service."""


def _kind_of_stability(value: Any) -> str | None:
    """Which way is meant; `http` where nothing is said. None for an unknown one."""
    kind = value.get("kind", "http") if isinstance(value, dict) else getattr(value, "kind", "http")
    return kind if kind in ("http", "kubernetes") else None


Stability = Annotated[
    Annotated[HttpStability, Tag("http")] | Annotated[KubernetesStability, Tag("kubernetes")],
    Discriminator(_kind_of_stability),
]
"""How it is told that a service is up and calm."""


class System(StrictModel):
    """The system under test and the peers that act on it."""

    environment: EnvironmentName | None = None
    """The worker's name for the system behind `faults` (`HOLDFAST_ENVIRONMENTS`), which a plan may repeat and cannot
    choose. Default: that name, or the address of `faults`. With the namespace it is what a run locks."""
    namespace: Name
    """The Kubernetes namespace, also the unit of locking: one run at a time."""
    proxy: BaseUrl
    """Base address of the traffic proxy (svc-reqrsp-proxy)."""
    faults: BaseUrl
    """Base address of the fault service (svc-fault-scheduler)."""
    services: dict[Name, BaseUrl] = Field(min_length=1)
    """Base address of each service, as the worker reaches it: for readiness and for seeing rules act."""
    stability: Stability = HttpStability()
    """How it is told that a service is up and calm, after a fault, a recording or rules."""
