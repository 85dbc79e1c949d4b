"""What the worker's configuration allows plans to touch. A plan can only narrow it."""

from __future__ import annotations

from datetime import timedelta

from workflows.contracts.base import Contract

ALWAYS_REFUSED = ("kube-system", "kube-public", "kube-node-lease", "temporal", "holdfast")
"""Namespaces that no setting opens: the cluster itself lives in them, or what runs the tests usually does."""


FAULTS_OF_A_PAIR = 2
"""That a worker must allow at once, for a pair to be really broken."""


class Guardrails(Contract):
    """Limits that hold whatever a plan says."""

    namespaces: list[str] | None = None
    """Namespaces that plans may name; None: any but the refused ones."""
    hosts: list[str] = []
    """Addresses that plans may send anything to: `host` (its ports 80 and 443), `host:port`, `host:low-high`;
    `*.shop.internal` stands for every host below that domain. A worker without the setting has its lab's."""
    never: list[str] = []
    """Addresses, `host:port`, that no setting opens: of Temporal, its Web UI and the store."""
    max_active_faults: int = 1
    """Faults of a run that may be on at once, at most."""
    longest_fault: timedelta = timedelta(hours=1)
    """No fault may outlive this at the fault service."""
    environments: dict[str, str] = {}
    """Names of environments, by canonical address of a fault service (`logic/environments.py`)."""
    max_rate: float = 10_000
    """Requests a second that a plan may ask for, at most."""
    max_in_flight: int = 16_000
    """Requests of a plan's load that may be under way at once, at most."""
    max_requests: int = 10_000_000
    """Requests of one run, at most."""
    max_load_duration: timedelta = timedelta(hours=24)
    """No run may send load for longer."""
    own_namespaces: list[str] = []
    """Where Temporal and Holdfast themselves run: refused, beside those that always are."""

    @property
    def refused(self) -> list[str]:
        """Namespaces that are never tested."""
        return [*ALWAYS_REFUSED, *(name for name in self.own_namespaces if name not in ALWAYS_REFUSED)]

    @property
    def open_to(self) -> list[str]:
        """`hosts` as they are now: a worker's may change with the lab that runs beside it."""
        return self.hosts

    @property
    def closed_to(self) -> list[str]:
        """`never` as it is now: an embedded server may have come up since."""
        return self.never
