"""Switching off, with verification.

Windows, the sweeper and `holdfast recover` share this code, so that "closed" means the same for all of them. Nothing
here raises for an error at a peer. What could not be verified in time is reported as unverified.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from temporalio import activity

from activities.base import poll_until
from activities.clocks import Deadline
from activities.recovery.bookkeeping import in_time
from activities.toolbox import Subject, Toolbox
from clients.drivers.fault_driver import FaultDriver
from clients.drivers.traffic_driver import TrafficDriver
from clients.peers.canary import CanaryClient
from clients.peers.proxy import CALL_TIMEOUT, STOP_TIMEOUT
from domain.cases.tokens import token_of
from domain.errors import HoldfastError
from domain.executions.windows import Closing
from domain.plans.plan import Plan

UNKNOWN = "?"
"""Stands for an analysis that may exist.

It counts as still beginning, because nothing can prove that it is not.
"""

ABSENT_LOOKS = 2
"""Fewest looks in a row that must find a thing absent."""

Look = Callable[[], Awaitable[bool]]


@dataclass(frozen=True)
class Pace:
    """How long, and how often, closing is tried."""

    end: Deadline
    every: timedelta
    settle: timedelta = timedelta(0)
    """How long a thing must stay absent.

    Needed if the peer may still be switching it on.
    """


class _Absence:
    """Tracks for how long a thing has been absent without a break."""

    def __init__(self, settle: timedelta) -> None:
        self._settle = settle
        self._looks = 0
        self._long_enough = Deadline.after(settle)

    def lasts(self, *, absent: bool, last: bool = False) -> bool:
        """Record one look; return True once the thing counts as gone.

        It must be absent for `ABSENT_LOOKS` looks in a row. Unless `last`, it must also stay absent for `settle`.
        """
        if not absent:
            self._looks = 0
            return False
        if not self._looks:
            self._long_enough = Deadline.after(self._settle)
        self._looks += 1
        return self._looks >= ABSENT_LOOKS and (last or self._long_enough.over)


async def until_gone(look: Look, pace: Pace, failed: str, *, last: Callable[[], bool] = lambda: False) -> Closing:
    """Repeat `look` until the thing stays gone or the time is over.

    `look` switches off, and returns whether the thing is gone. `last` returns whether nothing more can come on. Then
    the thing need not stay gone for the pace's `settle`.
    """
    absence = _Absence(pace.settle)

    async def gone_for_good() -> bool:
        return absence.lasts(absent=await look(), last=last())

    gone = await poll_until(gone_for_good, end=pace.end + pace.settle, every=pace.every, stubborn=True)
    return Closing(verified=True) if gone else Closing(verified=False, detail=failed)


async def close_fault(tools: Toolbox, subject: Subject, fault_name: str, end: Deadline, settle: timedelta) -> Closing:
    """Delete a fault of an execution, see `fault_gone`."""
    pace = Pace(end, subject.execution.timing.poll, settle)
    return await fault_gone(tools.faults(subject.plan), fault_name, pace)


async def fault_gone(driver: FaultDriver, fault_name: str, pace: Pace) -> Closing:
    """Delete a fault until its driver keeps reporting it as absent."""

    async def look() -> bool:
        try:
            # First, because it must be sent even if no status can be had.
            await driver.delete(fault_name)
        except HoldfastError as error:
            activity.logger.info("deleting %s: %s", fault_name, error.code)
        # DELETE proves nothing. Only `/status` distinguishes "absent" from "unknown" (`peer-contract` 2.1, 2.4).
        return await driver.status(fault_name) is None

    return await until_gone(look, pace, f"fault {fault_name} is still there; by hand: {driver.by_hand(fault_name)}")


async def close_recordings(
    tools: Toolbox, subject: Subject, end: Deadline, settle: timedelta, task_id: str = ""
) -> Closing:
    """Stop the recordings of an execution's services until none is left.

    The proxy accepts an analysis at once, then switches its recordings on one after the other. It cannot be called off.
    Once a recording was seen in every service, no more can come. Before that, the recordings must stay absent for
    `settle`. While the proxy reports that the analysis `task_id` is still beginning, they must stay absent for the
    longest rollout instead, because nothing shows during a rollout.
    """
    plan = subject.plan
    execution = subject.execution
    client = tools.proxy(plan)
    namespace = plan.system.namespace
    services = plan.service_names
    seen: set[str] = set()
    silence = _Absence(execution.timing.rollout)

    async def look() -> bool:
        # Asked first: the look below finds whatever comes on after this answer.
        beginning = not seen.issuperset(services) and await _is_beginning(client, task_id)
        for session in await client.active_sessions():
            ours = session.namespace == namespace and session.service in services
            # Rules are sessions too. The execution's own belong to the rules window, which deletes them by record id.
            if ours and not session.session_id.startswith(execution.record_id):
                seen.add(session.service)
                await stop_recording(client, session.session_id, end)
        checks = await asyncio.gather(*(client.check(namespace=namespace, service=name) for name in services))
        absent = not any(check.recording for check in checks)
        absent_for_long = silence.lasts(absent=absent)
        return absent and (absent_for_long or not beginning)

    failed = f"the proxy still records {', '.join(services)}; see {plan.system.proxy}/api/interceptions/active"
    pace = Pace(end, execution.timing.poll, settle)
    return await until_gone(look, pace, failed, last=lambda: seen.issuperset(services))


async def _is_beginning(client: TrafficDriver, task_id: str) -> bool:
    """Return whether an analysis may still record more services.

    An analysis that the proxy lost in a restart counts as beginning for ever.
    """
    if not task_id:
        return False
    if task_id == UNKNOWN:
        return True
    try:
        return (await client.analysis(task_id)).status.beginning
    except HoldfastError as error:
        activity.logger.info("it is not known whether analysis %s is still starting: %s", task_id, error.code)
        return True


async def analysis_of(tools: Toolbox, subject: Subject) -> str:
    """Return the id of an execution's analysis.

    Empty if none was accepted, `UNKNOWN` if the store cannot be asked.
    """
    try:
        return (await in_time(tools.store.executions.row(subject.execution.execution_id))).analyze_task_id or ""
    except HoldfastError as error:
        if not error.kind.retryable:
            raise
        activity.logger.warning("the store does not show which analysis to stop: %s", error.code)
        return UNKNOWN


async def stop_recording(client: TrafficDriver, recording_id: str, end: Deadline) -> None:
    """Stop one recording, and only log an error."""
    # An error must not keep the other recordings on, and a slow stop must not outlast the time for closing.
    try:
        await client.stop_recording(recording_id, max(CALL_TIMEOUT, min(STOP_TIMEOUT, end.left)))
    except HoldfastError as error:
        activity.logger.info("stopping %s: %s", recording_id, error.code)


async def close_rules(
    tools: Toolbox, subject: Subject, services: list[str], end: Deadline, settle: timedelta
) -> Closing:
    """Delete the rules of an execution, see `rules_gone`."""
    pace = Pace(end, subject.execution.timing.poll, settle)
    record_id = subject.execution.record_id

    async def still_acting() -> set[str]:
        return await acting(tools, subject, services)

    return await rules_gone(
        tools.proxy(subject.plan), subject.plan, record_id, services, pace, still_acting=still_acting
    )


async def rules_gone(
    client: TrafficDriver,
    plan: Plan,
    record_id: str,
    services: list[str],
    pace: Pace,
    *,
    still_acting: Callable[[], Awaitable[set[str]]],
) -> Closing:
    """Delete rules until no session, sidecar or answering canary is left."""
    namespace = plan.system.namespace

    async def look() -> bool:
        # Its answer proves nothing: DELETE succeeds even when the clean-up failed (`peer-contract` section 3.3).
        await client.delete_rules(record_id)
        if await client.rules_active(record_id=record_id, services=services):
            return False
        checks = await asyncio.gather(*(client.check(namespace=namespace, service=name) for name in services))
        if any(check.recording for check in checks):
            return False
        return not await still_acting()

    return await until_gone(look, pace, f"rules {record_id} still act; by hand: {client.by_hand(record_id)}")


async def acting(tools: Toolbox, subject: Subject, services: list[str]) -> set[str]:
    """Return the services of an execution whose canary answers, see `seen_acting`."""
    tokens = await _tokens(tools, subject)
    # A service without a stored token is skipped. Closing then relies on sessions and sidecars.
    mine = {name: tokens[name] for name in services if name in tokens}
    return await seen_acting(tools.canary, subject.plan, subject.execution.record_id, mine)


async def _tokens(tools: Toolbox, subject: Subject) -> dict[str, str]:
    """Return each service's token, from the store or else the plan.

    The plan is used while the store cannot be asked.
    """
    try:
        return await in_time(tools.store.cases.tokens(subject.execution.execution_id))
    except HoldfastError as error:
        if not error.kind.retryable:
            raise
        return {name: token_of(subject.plan, name) for name in subject.plan.service_names}


async def seen_acting(canary: CanaryClient, plan: Plan, record_id: str, tokens: dict[str, str]) -> set[str]:
    """Return the services whose canary answers to their token.

    A canary shows that the rules act, without a real business request.
    """
    addresses = plan.system.services
    asked = {name: token for name, token in tokens.items() if name in addresses}
    answers = await asyncio.gather(
        *(canary.intercepted(addresses[name], record_id, name, token) for name, token in asked.items())
    )
    return {name for name, answered in zip(asked, answers, strict=True) if answered}
