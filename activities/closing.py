"""Switching off, verified. Used by the windows and by the sweeper, so that both mean the same by «closed».

Nothing here raises for trouble at a peer: what could not be verified by the end of the time is reported as such.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from temporalio import activity

from activities.base import poll, time_left
from activities.toolbox import Subject, Toolbox
from clients.proxy import CALL_TIMEOUT, STOP_TIMEOUT, ProxyClient
from workflows.contracts.errors import HoldfastError
from workflows.contracts.windows import Closing

ABSENT_LOOKS = 2
"""Looks in a row that must find a thing absent, at least."""

_Look = Callable[[], Awaitable[bool]]


class _Absence:
    """Counts how long a thing has been absent without a break."""

    def __init__(self, settle: timedelta) -> None:
        self._settle = settle
        self._looks = 0
        self._since = datetime.now(UTC)

    def lasts(self, *, absent: bool) -> bool:
        """Take one look into account; true once it has been absent often and long enough."""
        now = datetime.now(UTC)
        if not absent:
            self._looks = 0
            return False
        if not self._looks:
            self._since = now
        self._looks += 1
        return self._looks >= ABSENT_LOOKS and now - self._since >= self._settle


async def _until_gone(look: _Look, subject: Subject, end: datetime, failed: str, settle: timedelta) -> Closing:
    """Repeat a look that switches off and says whether it is gone, until it stays gone or the time has passed."""
    absence = _Absence(settle)

    async def once() -> bool | None:
        return absence.lasts(absent=await look()) or None

    gone = await poll(once, end=end + settle, every=subject.execution.timing.poll, stubborn=True)
    return Closing(verified=True) if gone else Closing(verified=False, detail=failed)


async def close_fault(tools: Toolbox, subject: Subject, fault_name: str, end: datetime, settle: timedelta) -> Closing:
    """Delete a fault until the fault service says, often and long enough, that it does not exist.

    The delete comes first: it must be sent even when no status can be had. But only `/status` tells «absent» from
    «cannot tell»; DELETE alone proves nothing (`peer-contract` sections 2.1, 2.4).
    """
    client = tools.faults(subject.plan)

    async def look() -> bool:
        try:
            await client.delete(fault_name)
        except HoldfastError as error:
            activity.logger.info("deleting %s: %s", fault_name, error.code)
        return await client.status(fault_name) is None

    by_hand = f"curl -X DELETE {subject.plan.system.faults}/api/faults/{fault_name}"
    failed = f"fault {fault_name} is still there; by hand: {by_hand}"
    return await _until_gone(look, subject, end, failed, settle)


async def close_recordings(tools: Toolbox, subject: Subject, end: datetime) -> Closing:
    """Stop every recording of the plan's services until none of them is being recorded."""
    client = tools.proxy(subject.plan)
    services = subject.plan.service_names

    async def look() -> bool:
        for session in await client.active_sessions():
            ours = session.namespace == subject.namespace and session.service in services
            # Rules are sessions too; they belong to the rules window and are removed by record id.
            if ours and not session.session_id.startswith(subject.execution.record_id):
                await _stop(client, session.session_id, end)
        checks = await asyncio.gather(*(client.check(namespace=subject.namespace, service=name) for name in services))
        return not any(check.recording for check in checks)

    failed = f"the proxy still records {', '.join(services)}; see {subject.plan.system.proxy}/api/interceptions/active"
    return await _until_gone(look, subject, end, failed, timedelta(0))


async def _stop(client: ProxyClient, recording_id: str, end: datetime) -> None:
    """Stop one recording; its trouble must not keep the others on, nor its slowness outlast the time for closing."""
    try:
        await client.stop_recording(recording_id, max(CALL_TIMEOUT, min(STOP_TIMEOUT, time_left(end))))
    except HoldfastError as error:
        activity.logger.info("stopping %s: %s", recording_id, error.code)


async def close_rules(
    tools: Toolbox, subject: Subject, services: list[str], end: datetime, settle: timedelta
) -> Closing:
    """Delete the rules until no session of them exists, no sidecar is left and no canary answers.

    DELETE always says yes, even when the clean-up failed (`peer-contract` section 3.3), so it is not asked for proof.
    """
    client = tools.proxy(subject.plan)
    record_id = subject.execution.record_id

    async def look() -> bool:
        await client.delete_rules(record_id)
        if await client.rules_active(record_id=record_id, services=services):
            return False
        checks = await asyncio.gather(*(client.check(namespace=subject.namespace, service=name) for name in services))
        if any(check.recording for check in checks):
            return False
        return not await acting(tools, subject, services)

    by_hand = f"curl -X DELETE {subject.plan.system.proxy}/api/fixtures/record/{record_id}"
    return await _until_gone(look, subject, end, f"rules {record_id} still act; by hand: {by_hand}", settle)


async def acting(tools: Toolbox, subject: Subject, services: list[str]) -> set[str]:
    """The services whose canary answers: their rules are seen to act, without a real business request."""
    tokens = await tools.store.tokens(subject.execution.execution_id)
    addresses = subject.plan.system.services
    answers = await asyncio.gather(
        *(
            tools.canary.intercepted(addresses[name], subject.execution.record_id, name, tokens[name])
            for name in services
        )
    )
    return {name for name, answered in zip(services, answers, strict=True) if answered}
