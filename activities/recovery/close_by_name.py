"""Switching off by the names at the peers alone, whoever switched it on.

For `holdfast recover --direct`, and for a run that is asked to clean up before it begins. Nothing that closes raises
here: what could not be verified by the end of the time is reported as such.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from temporalio import activity

from activities.recovery.closing import Pace, fault_gone, seen_acting, stop_recording, until_gone
from clients.peers.active import AT_ONCE, On, OnKind, faults_on, sessions_on
from clients.peers.canary import CanaryClient
from clients.peers.faults import FaultClient
from clients.peers.proxy import ProxyClient
from clients.peers.proxy_wire import ActiveSession
from domain.cases.tokens import token_of
from domain.errors import HoldfastError
from domain.executions.windows import Closing
from domain.plans.plan import Plan

_RECORDING = "rec-"
"""How the proxy names recordings; whatever else has a session is a rule (`peer-contract` sections 3.3, 3.5)."""

Cleared = list[tuple[On, Closing]]
"""What was on, and what became of it."""


@dataclass(frozen=True)
class Peers:
    """A plan's peers, and its services for the canaries of rules."""

    plan: Plan
    faults: FaultClient
    proxy: ProxyClient
    canary: CanaryClient

    async def faults_on(self) -> list[On]:
        """Every fault of ours, in whatever namespace.

        Raises:
            HoldfastError: the fault service cannot tell.
        """
        return await faults_on(self.faults, self.plan.system.faults)

    async def sessions_on(self, services: Sequence[str]) -> list[On]:
        """Every session in these services of the plan's namespace, of whomever.

        Raises:
            HoldfastError: the proxy cannot tell.
        """
        places = [(self.plan.system.namespace, name) for name in services]
        return await sessions_on(self.proxy, self.plan.system.proxy, places)

    async def clear_faults(self, on: Sequence[On], pace: Pace) -> Cleared:
        """Remove these faults."""
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(fault: On) -> Closing:
            async with gate:
                return await fault_gone(self.faults, fault.address, fault.name, pace)

        return list(zip(on, await asyncio.gather(*(one(fault) for fault in on)), strict=True))

    async def clear_sessions(self, on: Sequence[On], pace: Pace) -> Cleared:
        """Take every session out of the services that these are in, each service by itself."""
        gate = asyncio.Semaphore(AT_ONCE)
        services = sorted({session.service for session in on})

        async def one(service: str) -> Closing:
            mine = [session for session in on if session.service == service]
            async with gate:
                return await self._service_freed(service, mine, pace)

        closings = dict(zip(services, await asyncio.gather(*(one(name) for name in services)), strict=True))
        return [(session, closings[session.service]) for session in on]

    async def _service_freed(self, service: str, on: Sequence[On], pace: Pace) -> Closing:
        """Until no session is listed, no sidecar is left and no canary of our rules answers."""
        namespace = self.plan.system.namespace
        tokens = {service: token_of(self.plan, service)} if service in self.plan.service_names else {}
        records = {session.record_id for session in on if session.kind is OnKind.RULES}

        async def look() -> bool:
            listed = await self.proxy.active_sessions()
            for session in listed:
                if (session.namespace, session.service) == (namespace, service):
                    await self._take_out(session, listed, pace)
            if (await self.proxy.check(namespace=namespace, service=service)).recording:
                return False
            return not any([await seen_acting(self.canary, self.plan, record, tokens) for record in records])

        by_hand = "; ".join(self._by_hand(session) for session in on)
        return await until_gone(look, pace, f"{service} still has a sidecar; by hand: {by_hand}")

    async def _take_out(self, session: ActiveSession, listed: Sequence[ActiveSession], pace: Pace) -> None:
        """End one session. Rules are deleted, which also calls off their timer: it would hit whatever comes next.

        A name that is the beginning of another's is never deleted by: the proxy would take the other one for it, should
        this one be gone by then.
        """
        name = session.session_id
        ambiguous = any(one.session_id.startswith(name) for one in listed if one.session_id != name)
        if name.startswith(_RECORDING) or ambiguous:
            await stop_recording(self.proxy, name, pace.end)
            return
        try:
            await self.proxy.delete_rules(name)
        except HoldfastError as error:
            activity.logger.info("deleting %s: %s", name, error.code)

    def _by_hand(self, session: On) -> str:
        proxy = self.plan.system.proxy
        if not session.name:
            return f"see {proxy}/api/interceptions/check/{session.namespace}/{session.service}"
        if session.name.startswith(_RECORDING):
            return f"curl -X POST {proxy}/api/recordings/{session.name}/stop"
        return f"curl -X DELETE {proxy}/api/fixtures/record/{session.name}"
