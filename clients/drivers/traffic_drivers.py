"""The traffic drivers that this installation has: a bare URL is a traffic proxy."""

from __future__ import annotations

from datetime import timedelta

from clients.drivers.driver import Drivers, DriverType
from clients.drivers.traffic_driver import TrafficDriver
from clients.http.control import Shown, cut_short
from clients.peers.proxy import CALL_TIMEOUT, ProxyClient

TRAFFIC_DRIVERS: Drivers[TrafficDriver] = Drivers(
    DriverType(
        serves=lambda _address: True,
        at=lambda address, limit, shown: ProxyClient(address, call_timeout=limit, shown=shown),
    )
)


def traffic_driver(address: str, *, call_timeout: timedelta = CALL_TIMEOUT, shown: Shown = cut_short) -> TrafficDriver:
    """Return the driver that acts at this address (`system.proxy`)."""
    return TRAFFIC_DRIVERS.at(address, call_timeout, shown)
