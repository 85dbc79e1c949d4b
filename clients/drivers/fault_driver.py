"""The protocol of fault drivers: all that Holdfast needs of anything that can break a service.

Windows, ledger, closing and the sweeper know only this. A driver owns everything else: how it is reached, how a fault
of a plan becomes one of its own, and what a person can do by hand. `tests/integration/drivers/` holds every driver to
this contract.
"""

from __future__ import annotations

from datetime import timedelta
from types import TracebackType
from typing import ClassVar, Protocol, Self

from domain.errors import ErrorCode, HoldfastError
from domain.faults.driving import FaultIntent, FaultStatus, TimeLimit


class FaultExists(HoldfastError):  # noqa: N818 - it is an answer as much as an error
    """A fault of this name already exists.

    Because of how we name faults, it is our own from an earlier attempt.
    """

    def __init__(self, name: str) -> None:
        super().__init__(ErrorCode.FAULT_REJECTED, f"fault {name} already exists")


class FaultDriver(Protocol):
    """Breaks services, and puts them back. Every error is a `HoldfastError` with a PEER_ code, or one named below."""

    limit: ClassVar[TimeLimit]

    @property
    def address(self) -> str:
        """Where the driver acts, for people."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

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

    def by_hand(self, name: str) -> str:
        """Return the command with which a person ends a fault."""
        ...
