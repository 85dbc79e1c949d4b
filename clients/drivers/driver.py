"""What every driver has, whatever it acts on, and how the one for an address is found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

from clients.http.control import Shown


class Driver(Protocol):
    """Acts on a system at an address, for as long as it is entered."""

    @property
    def address(self) -> str:
        """Where the driver acts."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def by_hand(self, name: str) -> str:
        """Return the command with which a person ends what was begun under a name."""
        ...


D = TypeVar("D", bound=Driver)


@dataclass(frozen=True)
class DriverType(Generic[D]):
    """A sort of driver."""

    serves: Callable[[str], bool]
    """Whether it acts at an address."""
    at: Callable[[str, timedelta, Shown], D]
    """Returns a driver for an address, the limit of one call, and how foreign text is shown."""


class Drivers(Generic[D]):
    """The drivers of one protocol. The last one serves every address that no other serves."""

    def __init__(self, last: DriverType[D]) -> None:
        self._types = [last]

    @contextmanager
    def registered(self, driver: DriverType[D]) -> Iterator[None]:
        """Know one more driver inside the block. It is asked before the others."""
        self._types.insert(0, driver)
        try:
            yield
        finally:
            self._types.remove(driver)

    def at(self, address: str, call_timeout: timedelta, shown: Shown) -> D:
        """Return the driver that acts at an address."""
        return next(driver for driver in self._types if driver.serves(address)).at(address, call_timeout, shown)
