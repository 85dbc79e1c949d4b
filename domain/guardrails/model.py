"""What a worker allows plans to touch. Plans can only narrow it."""

from __future__ import annotations

from datetime import timedelta

from domain.base import Contract

ALWAYS_REFUSED = ("kube-system", "kube-public", "kube-node-lease", "temporal", "holdfast")
"""Namespaces that no setting opens. The cluster itself lives in them, or usually whatever runs the tests."""


FAULTS_OF_A_PAIR = 2
"""Active faults that a worker must allow for pairs with real faults."""


class Guardrails(Contract):
    """Limits that hold regardless of the plan."""

    namespaces: list[str] | None = None
    """Namespaces that plans may name. None: any except the refused ones."""
    hosts: list[str] = []
    """Addresses that plans may send anything to. Each is `host` (ports 80 and 443), `host:port` or `host:low-high`;
    `*.shop.internal` stands for every host below that domain. A worker without the setting uses those of its lab."""
    never: list[str] = []
    """Addresses (`host:port`) that no setting opens: Temporal, its Web UI and the store."""
    max_active_faults: int = 1
    """Most faults of a run that may be active at once."""
    longest_fault: timedelta = timedelta(hours=1)
    """Longest lifetime of a fault at the fault service."""
    environments: dict[str, str] = {}
    """Names of environments, by canonical address of their fault service (`domain/plans/environments.py`)."""
    max_rate: float = 10_000
    """Highest rate that a plan may ask for, in requests per second."""
    max_in_flight: int = 16_000
    """Most requests of a plan's load that may be in flight."""
    max_requests: int = 10_000_000
    """Most requests of one run."""
    max_load_duration: timedelta = timedelta(hours=24)
    """Longest time for which a run may send load."""
    own_namespaces: list[str] = []
    """Namespaces of Temporal and Holdfast themselves. Refused in addition to `ALWAYS_REFUSED`."""

    @property
    def refused(self) -> list[str]:
        """Namespaces that are never tested."""
        return [*ALWAYS_REFUSED, *(name for name in self.own_namespaces if name not in ALWAYS_REFUSED)]

    @property
    def open_to(self) -> list[str]:
        """Current `hosts`. A worker's may change with the lab beside it."""
        return self.hosts

    @property
    def closed_to(self) -> list[str]:
        """Current `never`. An embedded server may have started since."""
        return self.never
