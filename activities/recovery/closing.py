"""Switching off, verified. For windows, sweeper and `holdfast recover`, so that all mean the same by «closed».

Nothing here raises for trouble at a peer: what could not be verified by the end of the time is reported as such.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from temporalio import activity

from activities.base import poll
from activities.clocks import Deadline
from activities.recovery.bookkeeping import in_time
from activities.toolbox import Subject, Toolbox
from clients.peers.canary import CanaryClient
from clients.peers.faults import FaultClient
from clients.peers.proxy import CALL_TIMEOUT, STOP_TIMEOUT, ProxyClient
from domain.cases.tokens import token_of
from domain.errors import HoldfastError
from domain.executions.windows import Closing
from domain.plans.plan import Plan

UNKNOWN = "?"
"""Of an analysis that there may be: as long as it may begin, nothing proves that it does not."""

ABSENT_LOOKS = 2
"""Looks in a row that must find a thing absent, at least."""

Look = Callable[[], Awaitable[bool]]


@dataclass(frozen=True)
class Pace:
    """How long and how often something is tried."""

    end: Deadline
    every: timedelta
    settle: timedelta = timedelta(0)
    """How long it must stay absent, where it is not known whether a peer is still switching it on."""


class _Absence:
    """Counts how long a thing has been absent without a break."""

    def __init__(self, settle: timedelta) -> None:
        self._settle = settle
        self._looks = 0
        self._long_enough = Deadline.after(settle)

    def lasts(self, *, absent: bool, last: bool = False) -> bool:
        """Take one look into account; true once it has been absent often and, unless it was the `last`, long enough."""
        if not absent:
            self._looks = 0
            return False
        if not self._looks:
            self._long_enough = Deadline.after(self._settle)
        self._looks += 1
        return self._looks >= ABSENT_LOOKS and (last or self._long_enough.over)


async def until_gone(look: Look, pace: Pace, failed: str, *, last: Callable[[], bool] = lambda: False) -> Closing:
    """Repeat a look that switches off and says whether it is gone, until it stays gone or the time has passed.

    `last`: whether it is known that nothing more comes on, so that it need not stay gone for the pace's `settle`.
    """
    absence = _Absence(pace.settle)

    async def once() -> bool | None:
        return absence.lasts(absent=await look(), last=last()) or None

    gone = await poll(once, end=pace.end + pace.settle, every=pace.every, stubborn=True)
    return Closing(verified=True) if gone else Closing(verified=False, detail=failed)


async def close_fault(tools: Toolbox, subject: Subject, fault_name: str, end: Deadline, settle: timedelta) -> Closing:
    """Remove a fault of an execution: see `fault_gone`."""
    pace = Pace(end, subject.execution.timing.poll, settle)
    return await fault_gone(tools.faults(subject.plan), subject.plan.system.faults, fault_name, pace)


async def fault_gone(client: FaultClient, address: str, fault_name: str, pace: Pace) -> Closing:
    """Delete a fault until the fault service says, often and long enough, that it does not exist.

    The delete comes first: it must be sent even when no status can be had. But only `/status` tells «absent» from
    «cannot tell»; DELETE alone proves nothing (`peer-contract` sections 2.1, 2.4).
    """

    async def look() -> bool:
        try:
            await client.delete(fault_name)
        except HoldfastError as error:
            activity.logger.info("deleting %s: %s", fault_name, error.code)
        return await client.status(fault_name) is None

    by_hand = f"curl -X DELETE {address}/api/faults/{fault_name}"
    return await until_gone(look, pace, f"fault {fault_name} is still there; by hand: {by_hand}")


async def close_recordings(
    tools: Toolbox, subject: Subject, end: Deadline, settle: timedelta, task_id: str = ""
) -> Closing:
    """Stop every recording of an execution's services until none of them is being recorded.

    An analysis that was accepted switches its recordings on later, one after the other, and cannot be called off. Once
    every one of them was seen there are no more. Else they must stay absent for `settle`; and while the proxy says of
    the analysis `task_id` that it still begins, for as long as a rollout may take, in which nothing is seen of it.

    Rules are sessions too. Those of the execution belong to the rules window and are removed by record id.
    """
    plan, execution = subject.plan, subject.execution
    client, namespace, services = tools.proxy(plan), plan.system.namespace, plan.service_names
    seen: set[str] = set()
    silence = _Absence(execution.timing.rollout)

    async def look() -> bool:
        # Asked first: what comes on between this answer and the look is found by the look.
        beginning = not seen.issuperset(services) and await _beginning(client, task_id)
        for session in await client.active_sessions():
            ours = session.namespace == namespace and session.service in services
            if ours and not session.session_id.startswith(execution.record_id):
                seen.add(session.service)
                await stop_recording(client, session.session_id, end)
        checks = await asyncio.gather(*(client.check(namespace=namespace, service=name) for name in services))
        absent = not any(check.recording for check in checks)
        for_long = silence.lasts(absent=absent)
        return absent and (for_long or not beginning)

    failed = f"the proxy still records {', '.join(services)}; see {plan.system.proxy}/api/interceptions/active"
    pace = Pace(end, execution.timing.poll, settle)
    return await until_gone(look, pace, failed, last=lambda: seen.issuperset(services))


async def _beginning(client: ProxyClient, task_id: str) -> bool:
    """Whether an analysis may go on to record more services; one that the proxy lost in a restart says so for ever."""
    if not task_id:
        return False
    if task_id == UNKNOWN:
        return True
    try:
        return (await client.analysis(task_id)).status.beginning
    except HoldfastError as error:
        activity.logger.info("it cannot be told whether analysis %s still begins: %s", task_id, error.code)
        return True


async def analysis_of(tools: Toolbox, subject: Subject) -> str:
    """The id of an execution's analysis, empty when none was accepted; `UNKNOWN` when the store cannot be asked."""
    try:
        return (await in_time(tools.store.execution_row(subject.execution.execution_id))).analyze_task_id or ""
    except HoldfastError as error:
        if not error.kind.retryable:
            raise
        activity.logger.warning("which analysis is to be stopped cannot be read: %s", error.code)
        return UNKNOWN


async def stop_recording(client: ProxyClient, recording_id: str, end: Deadline) -> None:
    """Stop one recording; its trouble must not keep the others on, nor its slowness outlast the time for closing."""
    try:
        await client.stop_recording(recording_id, max(CALL_TIMEOUT, min(STOP_TIMEOUT, end.left)))
    except HoldfastError as error:
        activity.logger.info("stopping %s: %s", recording_id, error.code)


async def close_rules(
    tools: Toolbox, subject: Subject, services: list[str], end: Deadline, settle: timedelta
) -> Closing:
    """Remove the rules of an execution: see `rules_gone`."""
    pace = Pace(end, subject.execution.timing.poll, settle)
    record_id = subject.execution.record_id

    async def still_acting() -> set[str]:
        return await acting(tools, subject, services)

    return await rules_gone(
        tools.proxy(subject.plan), subject.plan, record_id, services, pace, still_acting=still_acting
    )


async def rules_gone(
    client: ProxyClient,
    plan: Plan,
    record_id: str,
    services: list[str],
    pace: Pace,
    *,
    still_acting: Callable[[], Awaitable[set[str]]],
) -> Closing:
    """Delete rules until no session of them exists, no sidecar is left and no canary answers.

    DELETE always says yes, even when the clean-up failed (`peer-contract` section 3.3), so it is not asked for proof.
    """
    namespace = plan.system.namespace

    async def look() -> bool:
        await client.delete_rules(record_id)
        if await client.rules_active(record_id=record_id, services=services):
            return False
        checks = await asyncio.gather(*(client.check(namespace=namespace, service=name) for name in services))
        if any(check.recording for check in checks):
            return False
        return not await still_acting()

    by_hand = f"curl -X DELETE {plan.system.proxy}/api/fixtures/record/{record_id}"
    return await until_gone(look, pace, f"rules {record_id} still act; by hand: {by_hand}")


async def acting(tools: Toolbox, subject: Subject, services: list[str]) -> set[str]:
    """The services of an execution whose canary answers: see `seen_acting`."""
    tokens = await _tokens(tools, subject)
    # A token that the store does not have selects nothing; closing then relies on sessions and sidecars.
    mine = {name: tokens[name] for name in services if name in tokens}
    return await seen_acting(tools.canary, subject.plan, subject.execution.record_id, mine)


async def _tokens(tools: Toolbox, subject: Subject) -> dict[str, str]:
    """Each service's token, as stored; made of the plan once more while the store cannot be asked."""
    try:
        return await in_time(tools.store.tokens(subject.execution.execution_id))
    except HoldfastError as error:
        if not error.kind.retryable:
            raise
        return {name: token_of(subject.plan, name) for name in subject.plan.service_names}


async def seen_acting(canary: CanaryClient, plan: Plan, record_id: str, tokens: dict[str, str]) -> set[str]:
    """The services whose canary answers to their token: rules are seen to act, without a real business request."""
    addresses = plan.system.services
    asked = {name: token for name, token in tokens.items() if name in addresses}
    answers = await asyncio.gather(
        *(canary.intercepted(addresses[name], record_id, name, token) for name, token in asked.items())
    )
    return {name for name, answered in zip(asked, answers, strict=True) if answered}
