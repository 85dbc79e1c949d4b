"""The protocol of fault drivers: all that Holdfast needs of anything that can break a service.

Windows, ledger, closing and the sweeper know only this. A driver owns everything else: how it is reached, how a fault
of a plan becomes one of its own, and what a person can do by hand. `tests/integration/drivers/` holds every driver to
this contract.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol

from clients.drivers.driver import Driver
from domain.faults.driving import FaultIntent, FaultStatus


class FaultDriver(Driver, Protocol):
    """Breaks services, and puts them back. Every error is a `HoldfastError` with a PEER_ code, or one named below."""

    async def inject(self, name: str, ttl: timedelta, intent: FaultIntent) -> None:
        """Break a service, under our own name and with a time limit.

        Raises:
            FaultExists: the name is taken.
            HoldfastError: FAULT_REJECTED when this fault can never work. A PEER_ code when the outcome is unknown, and
                only `status` can show it.
        """
        ...

    async def status(self, name: str) -> FaultStatus | None:
        """Return a fault's state. None only if it is truly absent, never because the state is unknown."""
        ...

    async def delete(self, name: str) -> None:
        """Request the end of a fault. An absent one is fine. Only `status` shows that it is gone."""
        ...

    async def names(self, prefix: str) -> list[str]:
        """Return the names of faults with this prefix, sorted. Some of them may be gone already."""
        ...

    async def namespaces(self, name: str) -> set[str] | None:
        """Return the namespaces in which a fault acts. None if they are unknown, which proves nothing."""
        ...
