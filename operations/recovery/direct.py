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
from clients.peers.active import On
from clients.peers.canary import CanaryClient
from clients.peers.faults import FaultClient
from clients.peers.proxy import ProxyClient
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
        FaultClient(plan.system.faults) as faults,
        ProxyClient(plan.system.proxy) as proxy,
        CanaryClient() as canary,
    ):
        peers = Peers(plan, faults, proxy, canary)
        return await _Hand(peers, Pace(Deadline.after(within), every), everything=everything).close()


@dataclass(frozen=True)
class _Hand:
    peers: Peers
    pace: Pace
    everything: bool

    async def close(self) -> list[Direct]:
        """Look, close, and look again.

        What only the second look finds was switched on meanwhile.
        """
        system = self.peers.plan.system
        done = await asyncio.gather(self._faults(), self._sessions())
        closed = [one for part in done for one in part]
        told = {(one.address, one.name) for one in closed}
        unanswered = {one.address for one in closed if one.kind == _SILENT}
        again: list[Direct] = []
        for address, look in ((system.faults, self.peers.faults_on()), (system.proxy, self._sessions_on())):
            if address in unanswered:
                look.close()
                continue
            on, silent = await _asked(address, look)
            words = "it is on although nothing was on before: is a run under way?"
            again += silent
            again += [
                _told(one, Closing(verified=False, detail=words)) for one in on if (address, one.name) not in told
            ]
        return closed + again

    def _sessions_on(self) -> Coroutine[Any, Any, list[On]]:
        plan = self.peers.plan
        return self.peers.sessions_on(sorted({*plan.system.services, *plan.service_names}))

    async def _faults(self) -> list[Direct]:
        on, silent = await _asked(self.peers.plan.system.faults, self.peers.faults_on())
        ours = [one for one in on if self.everything or self._is_of_this_plan(one)]
        left = Closing(verified=False, detail="left: it is in no service of this plan; --all removes it too")
        kept = [_told(one, left) for one in on if one not in ours]
        return silent + kept + [_told(*one) for one in await self.peers.clear_faults(ours, self.pace)]

    def _is_of_this_plan(self, one: On) -> bool:
        told = named_fault(one.name)
        return told is not None and any(told.is_in(name) for name in self.peers.plan.system.services)

    async def _sessions(self) -> list[Direct]:
        on, silent = await _asked(self.peers.plan.system.proxy, self._sessions_on())
        return silent + [_told(*one) for one in await self.peers.clear_sessions(on, self.pace)]


async def _asked(address: str, look: Coroutine[Any, Any, list[On]]) -> tuple[list[On], list[Direct]]:
    """Return what is active at a peer.

    A peer that does not answer gets a row of its own.
    """
    try:
        return await look, []
    except HoldfastError as error:
        return [], [Direct(kind=_SILENT, address=address, verified=False, done=f"may have anything on: {error}")]


def _told(one: On, closing: Closing) -> Direct:
    done = "removed, and seen to be off" if closing.verified else closing.detail
    return Direct(
        **one.model_dump(include={"kind", "address", "name", "service"}), verified=closing.verified, done=done
    )
