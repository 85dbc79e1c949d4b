"""Asking the peers of recent and unsettled runs what is on: all at once, and none of them for long."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from cli.damage import note
from clients.peers.active import On, faults_on, sessions_on
from clients.peers.faults import FaultClient
from clients.peers.proxy import ProxyClient
from clients.store.store import Store
from domain.base import Contract
from domain.errors import ErrorCode, HoldfastError
from domain.executions.windows import LedgerEntry
from domain.plans.plan import Plan

RECENT = 50
"""Runs whose peers are asked, beside those that have something unsettled."""

CALL_TIMEOUT = timedelta(seconds=5)
PATIENCE = 10.0
"""Seconds for all that one peer is asked."""


class PeerLook(Contract):
    """What one peer said."""

    peer: str
    """`proxy` or `fault service`."""
    address: str
    on: list[On] = []
    trouble: str = ""
    """Why it is not known what is on there."""
    expected: bool = False
    """Whether a run that names this peer has something unsettled in the ledger."""

    @property
    def may_be_on(self) -> bool:
        """Whether something is on there, or may be: a silent peer counts where the ledger has something unsettled."""
        return bool(self.on) or (bool(self.trouble) and self.expected)


@dataclass
class Peers:
    """Whom to ask about what."""

    proxies: dict[str, set[tuple[str, str]]] = field(default_factory=dict)
    """Namespaces and services, by address."""
    faults: set[str] = field(default_factory=set)
    expected: set[str] = field(default_factory=set)
    """Addresses that runs with unsettled rows name."""

    def add(self, plan: Plan, *, expected: bool) -> None:
        """Ask the peers of this plan as well."""
        system = plan.system
        places = self.proxies.setdefault(system.proxy, set())
        places.update((system.namespace, name) for name in {*system.services, *plan.service_names})
        self.faults.add(system.faults)
        if expected:
            self.expected.update((system.proxy, system.faults))


async def peers_of(store: Store, unsettled: Sequence[LedgerEntry]) -> Peers:
    """The peers that unsettled and recent runs name."""
    peers = Peers()
    for execution_id in {entry.execution_id for entry in unsettled}:
        await _add(peers, store, execution_id, expected=True)
    # The same plan is the same peers, however often it was run.
    for row in {row.task_id: row for row in await store.latest_executions(RECENT)}.values():
        await _add(peers, store, row.execution_id, expected=False)
    return peers


async def _add(peers: Peers, store: Store, execution_id: int, *, expected: bool) -> None:
    try:
        read = await store.plan_for_closing(execution_id)
    except HoldfastError as error:
        if error.code is not ErrorCode.NOT_FOUND:
            raise
        # Its rows in the ledger are listed all the same.
        note("ledger", f"execution_id={execution_id}", "task_execution does not have this run", may_be_on=expected)
        return
    peers.add(read.plan, expected=expected)


async def ask_peers(peers: Peers) -> list[PeerLook]:
    """What each of them says; trouble is part of the answer."""
    asked = [_proxy(address, places) for address, places in sorted(peers.proxies.items())]
    asked += [_fault_service(address) for address in sorted(peers.faults)]
    looks = await asyncio.gather(*asked)
    return [look.model_copy(update={"expected": look.address in peers.expected}) for look in looks]


async def _proxy(address: str, places: set[tuple[str, str]]) -> PeerLook:
    async with ProxyClient(address, call_timeout=CALL_TIMEOUT) as client:
        return await _look("proxy", address, sessions_on(client, address, sorted(places)))


async def _fault_service(address: str) -> PeerLook:
    async with FaultClient(address, call_timeout=CALL_TIMEOUT) as client:
        return await _look("fault service", address, faults_on(client, address))


async def _look(peer: str, address: str, question: Awaitable[list[On]]) -> PeerLook:
    try:
        async with asyncio.timeout(PATIENCE):
            return PeerLook(peer=peer, address=address, on=await question)
    except TimeoutError:
        return PeerLook(peer=peer, address=address, trouble=f"no whole answer within {PATIENCE:.0f} s")
    except HoldfastError as error:
        return PeerLook(peer=peer, address=address, trouble=str(error))
