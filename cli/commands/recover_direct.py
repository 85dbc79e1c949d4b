"""`holdfast recover --direct`: close by name, without Temporal and the store.

Only the plan's proxy and fault service are asked, and its services for the canaries of rules. Everything that Holdfast
switches on has a name of ours, except recordings: those of all the plan's services are stopped.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from activities.clocks import Deadline
from activities.recovery.close_by_name import Peers
from activities.recovery.closing import Pace
from cli.console import complain, say, say_json
from cli.plans import confirm, is_local, valid_plan
from cli.ui.next_steps import after_recovery
from clients.peers.active import On
from clients.peers.canary import CanaryClient
from clients.peers.faults import FaultClient
from clients.peers.proxy import ProxyClient
from clients.settings import Settings
from domain.base import Contract
from domain.errors import HoldfastError
from domain.executions.outcome import ExitCode
from domain.executions.windows import Closing
from domain.names import named_fault
from domain.plans.plan import Plan
from operations.processes.interrupts import Interrupts

_WARNING = (
    "warning: whether a run is under way cannot be told without Temporal and store. One that is goes on, and may "
    "switch on more: end it first, or its worker"
)

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


def recover_direct(path: Path, within: timedelta, *, everything: bool, yes: bool, as_json: bool) -> ExitCode:
    """Close what is active at the plan's peers, by name.

    Returns 0 if everything was seen to be off, else 5.
    """
    file = valid_plan(path, as_json=as_json)
    complain(_WARNING)
    system = file.plan.system
    whose = "all faults of Holdfast" if everything else "the faults of Holdfast in the plan's services"
    question = (
        f"This removes {whose} at {system.faults}, and every recording and rule of the plan's services at "
        f"{system.proxy}, whoever made them. Go on?"
    )
    confirm(file, unasked=yes or is_local(file.plan), question=question)
    found = asyncio.run(_recover(file.plan, within, everything=everything))
    code = ExitCode.PASSED if all(one.verified for one in found) else ExitCode.RECOVERY_UNVERIFIED
    if as_json:
        say_json({"rows": [one.model_dump(mode="json") for one in found], "exit_code": code})
        return code
    for one in found:
        what = " ".join(part for part in (one.service, one.name) if part) or one.address
        say(f"{one.kind:<13} {what}: {one.done}", colour=None if one.verified else "red")
    if not found:
        say("the peers say that nothing is on")
    say(f"next: {after_recovery(verified=code is ExitCode.PASSED, direct=True)}")
    return code


async def _recover(plan: Plan, within: timedelta, *, everything: bool) -> list[Direct]:
    every = Settings.from_environment(os.environ).intervals.poll
    with Interrupts() as interrupts:
        async with (
            FaultClient(plan.system.faults) as faults,
            ProxyClient(plan.system.proxy) as proxy,
            CanaryClient() as canary,
        ):
            peers = Peers(plan, faults, proxy, canary)
            hand = _Hand(peers, Pace(Deadline.after(within), every), everything=everything)
            return await interrupts.during(hand.close())


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
