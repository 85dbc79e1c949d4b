"""A worker's guardrails, which follow what currently runs on this machine."""

from __future__ import annotations

from clients.local.notes import Kind, addresses_of
from domain.guardrails.model import Guardrails


class WorkerRails(Guardrails):
    """A worker's guardrails.

    A lab or an embedded server that starts or stops is taken into account immediately.
    """

    follows_lab: bool = False
    """Whether the setting for hosts is unset.

    Then the ports of a lab are allowed for as long as it runs.
    """

    @property
    def open_to(self) -> list[str]:
        """Entries of the setting, or the ports of labs that currently run."""
        return addresses_of(Kind.LAB) if self.follows_lab else self.hosts

    @property
    def closed_to(self) -> list[str]:
        """Addresses of Temporal, the store, and embedded servers that currently run."""
        return sorted({*self.never, *addresses_of(Kind.SERVER)})
