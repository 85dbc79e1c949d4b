"""Ask the peers of recent and unsettled runs what is active.

All are asked at once, each for a limited time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from clients.drivers.active import ActiveItem, active_faults, sessions_on
from clients.drivers.fault_drivers import fault_driver
from clients.drivers.traffic_drivers import traffic_driver
from clients.store.decoding import DamagedRow
from clients.store.store import Store
from domain.base import Contract
from domain.errors import ErrorCode, HoldfastError
from domain.executions.windows import LedgerEntry
from domain.plans.plan import Plan

RECENT = 50
"""Newest runs whose peers are asked, besides the runs with unsettled rows."""

CALL_TIMEOUT = timedelta(seconds=5)
PATIENCE = 10.0
"""Seconds for all questions to one peer."""


class PeerLook(Contract):
    """One peer's answer."""

    peer: str
    """`proxy` or `fault service`."""
    address: str
    on: list[ActiveItem] = []
    trouble: str = ""
    """Why the peer could not be asked. Empty: it answered."""
    expected: bool = False
    """Whether a run that names this peer has unsettled rows in the ledger."""

    @property
    def may_be_on(self) -> bool:
        """Whether something is, or may be, switched on at this peer.

        A silent peer counts if the ledger has something unsettled there.
        """
        return bool(self.on) or (bool(self.trouble) and self.expected)


@dataclass
class Peers:
    """The peers to ask, and what to ask them about."""

    proxies: dict[str, set[tuple[str, str]]] = field(default_factory=dict)
    """Namespaces and services, by the proxy's address."""
    faults: set[str] = field(default_factory=set)
    expected: set[str] = field(default_factory=set)
    """Addresses named by runs with unsettled rows."""
    damaged: list[DamagedRow] = field(default_factory=list)
    """Rows that name a run which the store does not have."""

    def add(self, plan: Plan, *, expected: bool) -> None:
        """Add the peers of a plan."""
        system = plan.system
        places = self.proxies.setdefault(system.proxy, set())
        places.update((system.namespace, name) for name in {*system.services, *plan.service_names})
        self.faults.add(system.faults)
        if expected:
            self.expected.update((system.proxy, system.faults))


async def peers_of(store: Store, unsettled: Sequence[LedgerEntry]) -> Peers:
    """Collect the peers that unsettled and recent runs name."""
    peers = Peers()
    for execution_id in {entry.execution_id for entry in unsettled}:
        await _add(peers, store, execution_id, expected=True)
    # Runs of the same plan have the same peers, so each plan counts once.
    for row in {row.task_id: row for row in await store.executions.newest(RECENT)}.values():
        await _add(peers, store, row.execution_id, expected=False)
    return peers


async def _add(peers: Peers, store: Store, execution_id: int, *, expected: bool) -> None:
    try:
        stored = await store.executions.plan_for_closing(execution_id)
    except HoldfastError as error:
        if error.code is not ErrorCode.NOT_FOUND:
            raise
        # The run's rows in the ledger are listed even so.
        trouble = "task_execution does not have this run"
        row = DamagedRow(table="ledger", row=f"execution_id={execution_id}", trouble=trouble, may_be_on=expected)
        peers.damaged.append(row)
        return
    peers.add(stored.plan, expected=expected)


async def ask_peers(peers: Peers) -> list[PeerLook]:
    """Ask all peers at once. Trouble is part of a peer's answer."""
    questions = [_proxy(address, places) for address, places in sorted(peers.proxies.items())]
    questions += [_fault_service(address) for address in sorted(peers.faults)]
    looks = await asyncio.gather(*questions)
    return [look.model_copy(update={"expected": look.address in peers.expected}) for look in looks]


async def _proxy(address: str, places: set[tuple[str, str]]) -> PeerLook:
    async with traffic_driver(address, call_timeout=CALL_TIMEOUT) as client:
        return await _look("proxy", address, sessions_on(client, sorted(places)))


async def _fault_service(address: str) -> PeerLook:
    async with fault_driver(address, call_timeout=CALL_TIMEOUT) as client:
        return await _look("fault service", address, active_faults(client))


async def _look(peer: str, address: str, question: Awaitable[list[ActiveItem]]) -> PeerLook:
    try:
        async with asyncio.timeout(PATIENCE):
            return PeerLook(peer=peer, address=address, on=await question)
    except TimeoutError:
        return PeerLook(peer=peer, address=address, trouble=f"no complete answer within {PATIENCE:.0f} s")
    except HoldfastError as error:
        return PeerLook(peer=peer, address=address, trouble=str(error))
