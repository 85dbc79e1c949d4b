"""Switching off, verified. Used by the windows and by the sweeper, so that both mean the same by «closed».

Nothing here raises for trouble at a peer: what could not be verified by the end of the time is reported as such.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime

from temporalio import activity

from activities.base import poll
from activities.toolbox import Subject, Toolbox
from workflows.contracts.windows import Closing

ABSENT_LOOKS = 2
"""Looks in a row that must find a fault absent: a call with a lost answer may still be creating it."""

_Look = Callable[[], Awaitable[bool]]


async def _until_gone(look: _Look, subject: Subject, end: datetime, failed: str) -> Closing:
    """Repeat a look that switches off and says whether it is gone, until it is or the time has passed."""

    async def once() -> bool | None:
        return (await look()) or None

    gone = await poll(once, end=end, every=subject.execution.timing.poll)
    return Closing(verified=True) if gone else Closing(verified=False, detail=failed)


async def close_fault(tools: Toolbox, subject: Subject, fault_name: str, end: datetime) -> Closing:
    """Delete a fault until the fault service says twice in a row that it does not exist.

    Only `/status` tells «absent» from «cannot tell»; DELETE alone proves nothing (`peer-contract` sections 2.1, 2.4).
    """
    client = tools.faults(subject.plan)
    absent = 0

    async def look() -> bool:
        nonlocal absent
        status = await client.status(fault_name)
        if status is None:
            absent += 1
            return absent >= ABSENT_LOOKS
        absent = 0
        activity.logger.info("deleting fault %s, phase %s", fault_name, status.phase)
        await client.delete(fault_name)
        return False

    by_hand = f"curl -X DELETE {subject.plan.system.faults}/api/faults/{fault_name}"
    return await _until_gone(look, subject, end, f"fault {fault_name} is still there; by hand: {by_hand}")


async def close_recordings(tools: Toolbox, subject: Subject, end: datetime) -> Closing:
    """Stop every recording of the plan's services until none of them is being recorded."""
    client = tools.proxy(subject.plan)
    services = subject.plan.service_names

    async def look() -> bool:
        for session in await client.active_sessions():
            ours = session.namespace == subject.namespace and session.service in services
            # Rules are sessions too; they belong to the rules window and are removed by record id.
            if ours and not session.session_id.startswith(subject.execution.record_id):
                await client.stop_recording(session.session_id)
        checks = await asyncio.gather(*(client.check(namespace=subject.namespace, service=name) for name in services))
        return not any(check.recording for check in checks)

    failed = f"the proxy still records {', '.join(services)}; see {subject.plan.system.proxy}/api/interceptions/active"
    return await _until_gone(look, subject, end, failed)


async def close_rules(tools: Toolbox, subject: Subject, services: list[str], end: datetime) -> Closing:
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
    return await _until_gone(look, subject, end, f"rules {record_id} still act; by hand: {by_hand}")


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
