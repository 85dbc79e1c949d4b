"""Close by name at the peers of a plan, without Temporal and the store.

Everything that Holdfast switches on has a name of ours, except recordings: those of all the plan's services are
stopped.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from activities.clocks import Deadline
from activities.recovery.close_by_name import Peers
from activities.recovery.closing import Pace
from clients.drivers.active import ActiveItem
from clients.drivers.fault_drivers import fault_driver
from clients.drivers.traffic_drivers import traffic_driver
from clients.peers.canary import CanaryClient
from clients.settings import Settings
from domain.base import Contract
from domain.errors import HoldfastError
from domain.executions.windows import Closing
from domain.names import named_fault
from domain.plans.plan import Plan

_SILENT = "no answer"


class Direct(Contract):
    """What became of one thing at a peer, or of the peer.

    A peer that cannot be asked is an entry of its own.
    """

    kind: str
    address: str
    name: str = ""
    service: str = ""
    verified: bool
    done: str


async def close_at_peers(plan: Plan, within: timedelta, *, everything: bool) -> list[Direct]:
    """Close what is active at the plan's peers.

    With `everything`, also faults of Holdfast in services of other plans.
    """
    every = Settings.from_environment(os.environ).intervals.poll
    async with (
        fault_driver(plan.system.faults) as faults,
        traffic_driver(plan.system.proxy) as proxy,
        CanaryClient() as canary,
    ):
        peers = Peers(plan, faults, proxy, canary)
        return await _DirectCloser(peers, Pace(Deadline.after(within), every), everything=everything).close()


@dataclass(frozen=True)
class _DirectCloser:
    peers: Peers
    pace: Pace
    everything: bool

    async def close(self) -> list[Direct]:
        """Look, close, and look again.

        What only the second look finds was switched on meanwhile.
        """
        system = self.peers.plan.system
        done = await asyncio.gather(self._faults(), self._sessions())
        closed = [row for part in done for row in part]
        seen = {(row.address, row.name) for row in closed}
        unanswered = {row.address for row in closed if row.kind == _SILENT}
        found_again: list[Direct] = []
        for address, look in ((system.faults, self.peers.active_faults()), (system.proxy, self._sessions_on())):
            if address in unanswered:
                look.close()
                continue
            on, silent = await _ask(address, look)
            detail = "it is on although nothing was on before: is a run under way?"
            found_again += silent
            found_again += [
                _result(item, Closing(verified=False, detail=detail)) for item in on if (address, item.name) not in seen
            ]
        return closed + found_again

    def _sessions_on(self) -> Coroutine[Any, Any, list[ActiveItem]]:
        plan = self.peers.plan
        return self.peers.sessions_on(sorted({*plan.system.services, *plan.service_names}))

    async def _faults(self) -> list[Direct]:
        on, silent = await _ask(self.peers.plan.system.faults, self.peers.active_faults())
        ours = [item for item in on if self.everything or self._is_of_this_plan(item)]
        left = Closing(verified=False, detail="left on: it is not in a service of this plan; --all removes it too")
        kept = [_result(item, left) for item in on if item not in ours]
        return silent + kept + [_result(*result) for result in await self.peers.clear_faults(ours, self.pace)]

    def _is_of_this_plan(self, item: ActiveItem) -> bool:
        fault = named_fault(item.name)
        return fault is not None and any(fault.is_in(name) for name in self.peers.plan.system.services)

    async def _sessions(self) -> list[Direct]:
        on, silent = await _ask(self.peers.plan.system.proxy, self._sessions_on())
        return silent + [_result(*result) for result in await self.peers.clear_sessions(on, self.pace)]


async def _ask(address: str, look: Coroutine[Any, Any, list[ActiveItem]]) -> tuple[list[ActiveItem], list[Direct]]:
    """Return what is active at a peer.

    A peer that does not answer gets a row of its own.
    """
    try:
        return await look, []
    except HoldfastError as error:
        return [], [Direct(kind=_SILENT, address=address, verified=False, done=f"anything may be on: {error}")]


def _result(item: ActiveItem, closing: Closing) -> Direct:
    done = "removed, and seen to be off" if closing.verified else closing.detail
    return Direct(
        **item.model_dump(include={"kind", "address", "name", "service"}), verified=closing.verified, done=done
    )
