"""Addresses of everything in a lab, and what is active in it."""

from pydantic import BaseModel, computed_field

from lab.services.sidecar import SIDECAR_PORT
from lab.topology import EntryRequest


class LabAddresses(BaseModel):
    """Base URLs of a started lab.

    Each has the form `http://127.0.0.1:<port>`, without a slash at the end.
    """

    namespace: str
    proxy: str
    faults: str
    admin: str
    services: dict[str, str]
    entry: str
    """Base URL of the service that users call."""
    entry_service: str
    """Name of that service."""
    entry_request: EntryRequest | None = None
    """Request that a plan may send to the entry. It is the entry's first route or, for a real entry, what the topology
    defines."""
    upstreams: dict[str, str] = {}
    """The real services, each with the address behind the lab's."""


class ServiceState(BaseModel):
    """One service as Kubernetes would show it."""

    target_port: int
    sidecar: bool
    app_up: bool
    ready: bool
    effects: list[str]
    """Names of the faults that are active in it."""


class LabState(BaseModel):
    """What is active in the lab right now."""

    faults: dict[str, str]
    """Every fault that still exists, with its phase."""
    rules: list[str]
    """Ids of active fixture sessions."""
    recordings: list[str]
    """Ids of active recordings."""
    services: dict[str, ServiceState]

    @computed_field  # type: ignore[prop-decorator]
    @property
    def clean(self) -> bool:
        """Whether nothing is active and every service is unchanged."""
        untouched = all(s.ready and not s.sidecar and s.target_port != SIDECAR_PORT for s in self.services.values())
        return untouched and not (self.faults or self.rules or self.recordings)
