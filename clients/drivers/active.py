"""Active faults and sessions, as the peers report them.

These are our faults at a fault service, and sessions at a proxy.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from enum import StrEnum

from clients.drivers.fault_driver import FaultDriver
from clients.drivers.traffic_driver import TrafficDriver
from domain.base import Contract
from domain.names import FAULT_PREFIX, named_fault, record_of_session

AT_ONCE = 16
"""Maximum number of concurrent calls to one peer."""


class ActiveKind(StrEnum):
    """Kinds of what can be active at a peer."""

    FAULT = "fault"
    RULES = "rules"
    RECORDING = "recording"


class ActiveItem(Contract):
    """An active fault, rules session or recording at a peer."""

    kind: ActiveKind
    address: str
    """Address of the peer."""
    name: str
    """Name of the fault or session."""
    service: str = ""
    namespace: str = ""
    """Namespace of a session; empty for faults.

    A fault's name does not contain its namespace.
    """
    record_id: str = ""
    """Record id of rules; empty otherwise."""
    execution_id: int | None = None
    """Execution it belongs to; None if its name does not show it.

    The proxy chooses the names of recordings, so those never show it.
    """


async def active_faults(driver: FaultDriver) -> list[ActiveItem]:
    """Return every fault that has our prefix and really exists.

    Raises:
        HoldfastError: when the fault service cannot report its faults.
    """
    # The list may show ghosts (`peer-contract` section 2.5); only the status is authoritative.
    names = await driver.names(FAULT_PREFIX)
    gate = asyncio.Semaphore(AT_ONCE)

    async def exists(name: str) -> bool:
        async with gate:
            return await driver.status(name) is not None

    found = await asyncio.gather(*(exists(name) for name in names))
    return [_fault(name, driver.address) for name, is_there in zip(names, found, strict=True) if is_there]


def _fault(name: str, address: str) -> ActiveItem:
    named = named_fault(name)
    facts = {"service": named.service, "execution_id": named.execution_id} if named else {}
    return ActiveItem.model_validate({"kind": ActiveKind.FAULT, "address": address, "name": name} | facts)


async def sessions_on(driver: TrafficDriver, places: Iterable[tuple[str, str]]) -> list[ActiveItem]:
    """Return every session in these places (namespace, service).

    That includes sidecars whose session the proxy has forgotten.

    Raises:
        HoldfastError: when the proxy cannot report its sessions.
    """
    places = list(places)
    gate = asyncio.Semaphore(AT_ONCE)

    async def sidecar(namespace: str, service: str) -> ActiveItem | None:
        async with gate:
            check = await driver.check(namespace=namespace, service=service)
        return _session(check.recording_id or "", namespace, service, driver.address) if check.recording else None

    sessions = await driver.active_sessions()
    listed = [_session(session.session_id, session.namespace, session.service, driver.address) for session in sessions]
    checked = await asyncio.gather(*(sidecar(*place) for place in places))
    found = [item for item in listed if (item.namespace, item.service) in places]
    known = {(item.namespace, item.service) for item in found}
    return found + [item for item in checked if item is not None and (item.namespace, item.service) not in known]


def _session(name: str, namespace: str, service: str, address: str) -> ActiveItem:
    record = record_of_session(name)
    facts = {"record_id": record[0], "execution_id": record[1]} if record else {}
    kind = ActiveKind.RULES if record else ActiveKind.RECORDING
    where = {"namespace": namespace, "service": service, "address": address}
    return ActiveItem.model_validate({"kind": kind, "name": name} | where | facts)
