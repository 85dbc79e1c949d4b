"""The traffic drivers that this installation has, and which of them serves a plan."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from clients.drivers.traffic_driver import TrafficDriver
from clients.http.control import Shown, cut_short
from clients.peers.proxy import CALL_TIMEOUT, ProxyClient


@dataclass(frozen=True)
class TrafficDriverType:
    """A kind of traffic driver."""

    name: str
    serves: Callable[[str], bool]
    """Whether this driver acts at an address (`system.proxy`)."""
    at: Callable[[str, timedelta, Shown], TrafficDriver]
    """Returns a driver for an address, the limit of one call, and how foreign text is shown."""


PROXY = TrafficDriverType(
    name="proxy",
    serves=lambda _address: True,
    at=lambda address, limit, shown: ProxyClient(address, call_timeout=limit, shown=shown),
)

_DRIVERS = [PROXY]


@contextmanager
def registered(driver: TrafficDriverType) -> Iterator[None]:
    """Know one more driver inside the block. It is asked before the others."""
    _DRIVERS.insert(0, driver)
    try:
        yield
    finally:
        _DRIVERS.remove(driver)


def traffic_driver(address: str, *, call_timeout: timedelta = CALL_TIMEOUT, shown: Shown = cut_short) -> TrafficDriver:
    """Return the driver that acts at this address: a bare URL is a traffic proxy."""
    return next(driver for driver in _DRIVERS if driver.serves(address)).at(address, call_timeout, shown)
