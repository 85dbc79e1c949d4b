"""The fault drivers that this installation has: a bare URL is a fault service of ChaosBlade."""

from __future__ import annotations

from datetime import timedelta

from clients.drivers.driver import Drivers, DriverType
from clients.drivers.fault_driver import FaultDriver
from clients.http.control import Shown, cut_short
from clients.peers.faults import CALL_TIMEOUT, FaultClient

FAULT_DRIVERS: Drivers[FaultDriver] = Drivers(
    DriverType(
        serves=lambda _address: True,
        at=lambda address, limit, shown: FaultClient(address, call_timeout=limit, shown=shown),
    )
)


def fault_driver(address: str, *, call_timeout: timedelta = CALL_TIMEOUT, shown: Shown = cut_short) -> FaultDriver:
    """Return the driver that acts at this address (`system.faults`)."""
    return FAULT_DRIVERS.at(address, call_timeout, shown)
