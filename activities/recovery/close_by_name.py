"""Switching off by the peers' names alone, without regard to the owner.

For `holdfast recover --direct`, and for a run that cleans up before it begins. Closing never raises here. What could
not be verified in time is reported as unverified.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from temporalio import activity

from activities.recovery.closing import Pace, fault_gone, seen_acting, stop_recording, until_gone
from clients.drivers.active import AT_ONCE, ActiveItem, ActiveKind, active_faults, sessions_on
from clients.drivers.fault_driver import FaultDriver
from clients.drivers.traffic_driver import TrafficDriver
from clients.peers.canary import CanaryClient
from domain.cases.tokens import token_of
from domain.errors import HoldfastError
from domain.executions.windows import Closing
from domain.plans.plan import Plan
from domain.traffic.driving import ActiveSession

_RECORDING = "rec-"
"""Prefix of the proxy's names of recordings.

Every other session belongs to rules (`peer-contract` sections 3.3, 3.5).
"""

Cleared = list[tuple[ActiveItem, Closing]]
"""The active items, each with the result of closing it."""


@dataclass(frozen=True)
class Peers:
    """A plan and clients of its peers, with the canary for rules."""

    plan: Plan
    faults: FaultDriver
    proxy: TrafficDriver
    canary: CanaryClient

    async def active_faults(self) -> list[ActiveItem]:
        """List every fault of ours, in any namespace.

        Raises:
            HoldfastError: when the fault service cannot answer.
        """
        return await active_faults(self.faults)

    async def sessions_on(self, services: Sequence[str]) -> list[ActiveItem]:
        """List every owner's sessions in these services of the plan's namespace.

        Raises:
            HoldfastError: when the proxy cannot answer.
        """
        places = [(self.plan.system.namespace, name) for name in services]
        return await sessions_on(self.proxy, places)

    async def clear_faults(self, on: Sequence[ActiveItem], pace: Pace) -> Cleared:
        """Delete these faults, and verify each."""
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(fault: ActiveItem) -> Closing:
            async with gate:
                return await fault_gone(self.faults, fault.name, pace)

        return list(zip(on, await asyncio.gather(*(one(fault) for fault in on)), strict=True))

    async def clear_sessions(self, on: Sequence[ActiveItem], pace: Pace) -> Cleared:
        """End every session in the services of these sessions, service by service."""
        gate = asyncio.Semaphore(AT_ONCE)
        services = sorted({session.service for session in on})

        async def one(service: str) -> Closing:
            mine = [session for session in on if session.service == service]
            async with gate:
                return await self._free_service(service, mine, pace)

        closings = dict(zip(services, await asyncio.gather(*(one(name) for name in services)), strict=True))
        return [(session, closings[session.service]) for session in on]

    async def _free_service(self, service: str, on: Sequence[ActiveItem], pace: Pace) -> Closing:
        """End a service's sessions until the peers show none.

        That is: no session is listed, no sidecar is left, and no canary of our rules answers.
        """
        namespace = self.plan.system.namespace
        tokens = {service: token_of(self.plan, service)} if service in self.plan.service_names else {}
        records = {session.record_id for session in on if session.kind is ActiveKind.RULES}

        async def look() -> bool:
            listed = await self.proxy.active_sessions()
            for session in listed:
                if (session.namespace, session.service) == (namespace, service):
                    await self._end_session(session, listed, pace)
            if (await self.proxy.check(namespace=namespace, service=service)).recording:
                return False
            return not any([await seen_acting(self.canary, self.plan, record, tokens) for record in records])

        by_hand = "; ".join(self._manual_command(session) for session in on)
        return await until_gone(look, pace, f"{service} still has a sidecar; by hand: {by_hand}")

    async def _end_session(self, session: ActiveSession, listed: Sequence[ActiveSession], pace: Pace) -> None:
        """Stop a recording, or delete rules."""
        name = session.session_id
        # Never delete by a name that is the prefix of another, but stop it: if this session is gone by then, the proxy
        # would delete the other session.
        ambiguous = any(active.session_id.startswith(name) for active in listed if active.session_id != name)
        if name.startswith(_RECORDING) or ambiguous:
            await stop_recording(self.proxy, name, pace.end)
            return
        try:
            # Deleting, unlike stopping, also cancels the rules' timer. It would otherwise hit whatever comes next.
            await self.proxy.delete_rules(name)
        except HoldfastError as error:
            activity.logger.info("deleting %s: %s", name, error.code)

    def _manual_command(self, session: ActiveItem) -> str:
        proxy = self.plan.system.proxy
        if not session.name:
            return f"see {proxy}/api/interceptions/check/{session.namespace}/{session.service}"
        if session.name.startswith(_RECORDING):
            return f"curl -X POST {proxy}/api/recordings/{session.name}/stop"
        return f"curl -X DELETE {proxy}/api/fixtures/record/{session.name}"
