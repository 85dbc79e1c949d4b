"""The fault drivers that this installation has, and which of them serves a plan."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from clients.drivers.fault_driver import FaultDriver
from clients.http.control import Shown, cut_short
from clients.peers.faults import CALL_TIMEOUT, FaultClient


@dataclass(frozen=True)
class FaultDriverType:
    """A kind of fault driver."""

    name: str
    serves: Callable[[str], bool]
    """Whether this driver acts at an address (`system.faults`)."""
    at: Callable[[str, timedelta, Shown], FaultDriver]
    """Returns a driver for an address, the limit of one call, and how foreign text is shown."""


CHAOS_BLADE = FaultDriverType(
    name="chaosblade",
    serves=lambda _address: True,
    at=lambda address, limit, shown: FaultClient(address, call_timeout=limit, shown=shown),
)

_DRIVERS = [CHAOS_BLADE]


@contextmanager
def registered(driver: FaultDriverType) -> Iterator[None]:
    """Know one more driver inside the block. It is asked before the others."""
    _DRIVERS.insert(0, driver)
    try:
        yield
    finally:
        _DRIVERS.remove(driver)


def fault_driver(address: str, *, call_timeout: timedelta = CALL_TIMEOUT, shown: Shown = cut_short) -> FaultDriver:
    """Return the driver that acts at this address: a bare URL is a fault service of ChaosBlade."""
    return next(driver for driver in _DRIVERS if driver.serves(address)).at(address, call_timeout, shown)
