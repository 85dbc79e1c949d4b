"""A worker's guardrails, whose addresses follow what runs on this machine at each question."""

from __future__ import annotations

from clients.local.notes import Kind, addresses_of
from domain.guardrails.model import Guardrails


class WorkerRails(Guardrails):
    """Guardrails of a worker: a lab that comes or goes, or an embedded server, counts from then on."""

    follows_lab: bool = False
    """Whether the setting for hosts is unset: then a lab's ports are allowed, for as long as it runs."""

    @property
    def open_to(self) -> list[str]:
        """The setting's entries, or the ports of labs that run now."""
        return addresses_of(Kind.LAB) if self.follows_lab else self.hosts

    @property
    def closed_to(self) -> list[str]:
        """What belongs to Temporal and the store, and to embedded servers that run now."""
        return sorted({*self.never, *addresses_of(Kind.SERVER)})
