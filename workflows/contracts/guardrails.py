"""What the worker's configuration allows plans to touch. A plan can only narrow it."""

from __future__ import annotations

from datetime import timedelta

from workflows.contracts.base import Contract

ALWAYS_REFUSED = ("kube-system", "kube-public", "kube-node-lease", "temporal", "holdfast")
"""Namespaces that no setting opens: the cluster itself lives in them, or what runs the tests usually does."""

LOOPBACK = ("127.0.0.1", "localhost", "::1")
"""Hosts that are this machine."""


class Guardrails(Contract):
    """Limits that hold whatever a plan says."""

    namespaces: list[str] | None = None
    """Namespaces that plans may name; None: any but the refused ones."""
    hosts: list[str] = list(LOOPBACK)
    """Hosts that plans may send anything to; `*.shop.internal` stands for every host below that domain."""
    max_active_faults: int = 1
    """Faults of a run that may be on at once, at most."""
    longest_fault: timedelta = timedelta(hours=1)
    """No fault may outlive this at the fault service."""
    environments: dict[str, str] = {}
    """Names of environments, by canonical address of a fault service (`logic/environments.py`)."""
    own_namespaces: list[str] = []
    """Where Temporal and Holdfast themselves run: refused, beside those that always are."""

    @property
    def refused(self) -> list[str]:
        """Namespaces that are never tested."""
        return [*ALWAYS_REFUSED, *(name for name in self.own_namespaces if name not in ALWAYS_REFUSED)]
