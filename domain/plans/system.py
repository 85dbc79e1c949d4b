"""The system under test: its addresses, and how stability is checked."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, StringConstraints, Tag

from domain.base import StrictModel
from domain.plans.request import BaseUrl
from domain.units import PositiveDuration

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", max_length=63)]
"""A DNS-1123 label, as Kubernetes names services and namespaces. Without dots, tokens built from it are unambiguous."""

EnvironmentName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]*$", max_length=100)]
"""A name that the worker's settings give to a fault service."""


class HttpStability(StrictModel):
    """Stable means several 2xx answers in a row from the readiness path."""

    kind: Literal["http"] = "http"
    path: Annotated[str, StringConstraints(pattern=r"^/")] = "/health"
    """Readiness path at the service's address in `system.services`."""
    consecutive: int = Field(default=3, ge=1, le=20)
    """Good answers in a row that are needed. A single good sample proves little (`peer-contract` section 4)."""


class KubernetesStability(StrictModel):
    """Stable means a rolled-out Deployment whose ready pods stay the same.

    The worker needs the right to get and list deployments, and to list replicasets and pods, in the namespace
    (`docs/kubernetes.md`).
    """

    kind: Literal["kubernetes"]
    hold: PositiveDuration = timedelta(seconds=3)
    """How long everything must stay ready. Pods and restart counts must stay the same (`kubernetes` section E)."""
    workloads: dict[Name, Name] = {}
    """Name of each Deployment that is not named like its service, by service."""


def _kind_of_stability(value: Any) -> str | None:
    """Return the kind of check, by default `http`; None if unknown."""
    kind = value.get("kind", "http") if isinstance(value, dict) else getattr(value, "kind", "http")
    return kind if kind in ("http", "kubernetes") else None


Stability = Annotated[
    Annotated[HttpStability, Tag("http")] | Annotated[KubernetesStability, Tag("kubernetes")],
    Discriminator(_kind_of_stability),
]
"""How to check that a service is up and calm."""


class System(StrictModel):
    """The system under test, and the peers that act on it."""

    environment: EnvironmentName | None = None
    """The worker's name for the system behind `faults`, from its setting `HOLDFAST_ENVIRONMENTS`. A plan may repeat
    this name but cannot choose one. Default: that name, or the address of `faults`. A run locks the environment
    together with the namespace."""
    namespace: Name
    """The Kubernetes namespace. It is also the unit of locking: one run at a time."""
    proxy: BaseUrl
    """Base address of the traffic proxy (svc-reqrsp-proxy)."""
    faults: BaseUrl
    """Base address of the fault service (svc-fault-scheduler)."""
    services: dict[Name, BaseUrl] = Field(min_length=1)
    """Base address of each service, as the worker reaches it. Used to check readiness, and to see the rules act."""
    stability: Stability = HttpStability()
    """How to check that a service is up and calm. Checked after a fault, a recording or rules."""
