"""Where to find everything in a lab, and what is on in it right now."""

from pydantic import BaseModel, computed_field

from lab.sidecar import SIDECAR_PORT
from lab.topology import EntryRequest


class LabAddresses(BaseModel):
    """Base URLs (`http://127.0.0.1:<port>`, no slash at the end) of a started lab."""

    namespace: str
    proxy: str
    faults: str
    admin: str
    services: dict[str, str]
    entry: str
    """Base URL of the service that users call."""
    entry_service: str
    """Its name."""
    entry_request: EntryRequest | None = None
    """What a plan may ask the entry for: its first route, or what the topology says of a real one."""
    upstreams: dict[str, str] = {}
    """The services that are real, with the address behind the lab's."""


class ServiceState(BaseModel):
    """One service as Kubernetes would show it."""

    target_port: int
    sidecar: bool
    app_up: bool
    ready: bool
    effects: list[str]
    """Names of the faults that act in it."""


class LabState(BaseModel):
    """What is on in the lab right now."""

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
        """Whether nothing is on, and every service is as it was at the start."""
        untouched = all(s.ready and not s.sidecar and s.target_port != SIDECAR_PORT for s in self.services.values())
        return untouched and not (self.faults or self.rules or self.recordings)
