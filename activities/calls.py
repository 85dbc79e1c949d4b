"""Discovery of fallback calls: which requests services make each other only while something is broken.

Recordings of the traffic proxy are on meanwhile. Each request of the plan carries a marker that names its case, so
that what it causes is recognised among all other traffic.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

from temporalio import activity

from activities.asking import ask, require_running
from activities.base import NotRepeatedError, poll, uncancelled
from activities.clocks import Deadline, deadline
from activities.closing import UNKNOWN, close_recordings
from activities.pairs import refuse_foreign
from activities.permit import ASK, READ_CALLS, RECORD_CALLS, Permit, acts, no_permit
from activities.recorded_calls import AGAIN, APART, RecordedCalls, sessions_of
from activities.toolbox import Subject, Toolbox
from clients.proxy import STOP_TIMEOUT, ProxyClient
from clients.requests import prepare
from clients.store.read_models import LogLevel
from workflows.contracts.calls import (
    NEVER_READ,
    TOGETHER,
    AskOrder,
    CallRound,
    CallsFound,
    CallsOrder,
    FallbackCall,
    RealAnswer,
    RealCase,
)
from workflows.contracts.errors import ErrorCode, HoldfastError
from workflows.contracts.execution import ExecutionRef
from workflows.contracts.windows import WindowKind
from workflows.logic import calls as logic
from workflows.logic.cases import case_at
from workflows.logic.durations import (
    CALL_LOOKS,
    MOST_DISCOVERY_PAIRS,
    calls_ttl,
    earlier_recordings,
    pair_requests,
    single_requests,
)
from workflows.logic.exclusions import PlanExclusions
from workflows.logic.guardrails import too_few_for_pairs
from workflows.logic.samples import is_error
from workflows.logic.tokens import calls_marker

_AT_ONCE = 8
"""Recordings that the proxy is asked to start at once: each call lasts as long as a rollout."""


class CallActivities:
    """Acts on the proxy's recordings, and sends the plan's request while they are on."""

    def __init__(self, tools: Toolbox) -> None:
        self._tools = tools

    @activity.defn(name="start_recordings")
    @acts(RECORD_CALLS)
    async def start(self, order: ExecutionRef, permit: Permit) -> None:
        """Record every service of the plan.

        A service that is being recorded already is never recorded again: the proxy would make its sidecar forward to
        itself (`peer-contract` section 3.3). After the death of a worker, what its attempt began is stopped first.

        Raises:
            HoldfastError: NO_PERMIT; ENVIRONMENT_NOT_CLEAN when something has come on since the look of the lock;
                ANALYZE_FAILED when a service that the request reaches cannot be recorded.
        """
        subject = permit.subject
        try:
            if activity.info().attempt > 1:
                await self._stop_earlier(subject)
            # Until the first round has been read, nothing is known of the calls under any failure.
            unread = CallRound(round=1, complete=False, detail=NEVER_READ)
            await self._tools.store.save_call_round(order.execution_id, unread)
            needed = {one.service for one in await self._tools.store.recorded_calls(order.execution_id)}
            await self._refuse_recorded(subject)
            await uncancelled(self._start_all(subject, needed))
        except HoldfastError as error:
            # Only the death of a worker is answered with another attempt: this one has told what is wrong.
            raise NotRepeatedError(error.code, error.message, hint=error.hint) from error
        services = len(subject.plan.services)
        await self._log(order.execution_id, "calls:recording", f"recording the calls of {services} services")

    async def _stop_earlier(self, subject: Subject) -> None:
        timing = subject.execution.timing
        end = Deadline.after(earlier_recordings(timing))
        closing = await close_recordings(self._tools, subject, end, timing.settle, UNKNOWN)
        if not closing.verified:
            raise HoldfastError(ErrorCode.PEER_ERROR, f"earlier recordings could not be stopped: {closing.detail}")

    async def _refuse_recorded(self, subject: Subject) -> None:
        client = self._tools.proxy(subject.plan)
        for service in subject.plan.service_names:
            check = await client.check(namespace=subject.namespace, service=service)
            if check.recording:
                raise HoldfastError(
                    ErrorCode.ENVIRONMENT_NOT_CLEAN,
                    f"{service} has a sidecar of the proxy's already: {check.recording_id or 'of an unknown session'}",
                    hint="`holdfast faults` shows whose it is",
                )

    async def _start_all(self, subject: Subject, needed: set[str]) -> None:
        client, gate = self._tools.proxy(subject.plan), asyncio.Semaphore(_AT_ONCE)

        async def start(service: str) -> None:
            async with gate:
                if activity.is_cancelled():
                    # What has begun is waited for; nothing more is.
                    return
                await self._start_one(client, subject, service, needed=service in needed)

        found = await asyncio.gather(*(start(name) for name in subject.plan.service_names), return_exceptions=True)
        # All of them have ended before the first error is raised: nothing is switched on after that.
        for error in found:
            if error is not None:
                raise error

    async def _start_one(self, client: ProxyClient, subject: Subject, service: str, *, needed: bool) -> None:
        try:
            await client.start_recording(
                namespace=subject.namespace,
                service=service,
                duration_seconds=int(calls_ttl(subject.plan).total_seconds()),
                longest=STOP_TIMEOUT,
            )
        except HoldfastError as error:
            if needed or error.code is not ErrorCode.PEER_ERROR:
                # What may still come on must not be taken for what the proxy has refused.
                raise HoldfastError(
                    ErrorCode.ANALYZE_FAILED, f"{service} cannot be recorded: {error.message}", hint=error.hint
                ) from error
            # The plan's request does not reach it while all is healthy, and the analysis has not recorded it either.
            activity.logger.info("%s cannot be recorded: %s", service, error.code)

    @activity.defn(name="send_healthy")
    @acts(RECORD_CALLS)
    async def send_healthy(self, order: ExecutionRef, permit: Permit) -> None:
        """Send the plan's request while nothing is broken: its calls are what all others are compared with.

        Raises:
            HoldfastError: NO_PERMIT; ANALYZE_FAILED when it fails.
        """
        end = deadline(permit.subject.plan.timeouts.stability)
        await self._send(permit.subject, activity.info().attempt, end)

    async def _send(self, subject: Subject, number: int, end: Deadline) -> int:
        """Send the plan's request until it succeeds; its number. Each has its own, because a failed one says less.

        Callers may go on without a service for a while after it is back.
        """
        sent, what = number, ""

        async def once() -> bool | None:
            nonlocal sent, what
            mark = calls_marker(subject.execution.record_id, 0, sent)
            sample = await self._tools.load.send_once(prepare(subject.plan.request, self._tools.secrets, mark))
            if not is_error(sample):
                return True
            sent, what = sent + AGAIN, sample.error_kind or f"status {sample.status}"
            return None

        if await poll(once, end=end, every=subject.execution.timing.poll) is None:
            raise HoldfastError(
                ErrorCode.ANALYZE_FAILED,
                f"the plan's request fails while nothing is broken: {what}",
                hint="did the system recover from the last fault? see the report's timeline",
            )
        return sent

    @activity.defn(name="ask_broken")
    @acts(ASK)
    async def ask_broken(self, order: AskOrder, permit: Permit) -> None:
        """Send the plan's request while a case's services are really broken, and keep what it gets.

        Raises:
            HoldfastError: NO_PERMIT, also for faults that the ledger has not for this case; FAULT_NOT_RUNNING when a
                fault was not running before, or not any more afterwards; ANALYZE_FAILED when a recording ended then.
        """
        subject, case = permit.subject, case_at(permit.subject.plan.service_names, order.case_index)
        window = permit.window
        if window.kind is WindowKind.PAIRS:
            await refuse_foreign(self._tools, order, subject)
        elif order.faults != {window.service: window.peer_name} or case.services != [window.service]:
            raise no_permit(f"case {order.case_index} is not that of {window.window_id}")
        known = await self._tools.store.real_cases(order.execution_id)
        if any(one.case_index == order.case_index for one in known):
            return
        plan = subject.plan
        wanted = single_requests(plan) if len(case.services) == 1 else pair_requests(plan)
        first, record_id = activity.info().attempt * APART, subject.execution.record_id
        marks = [calls_marker(record_id, order.case_index, first + number) for number in range(wanted)]
        sessions = await sessions_of(self._tools.proxy(plan), subject)
        await require_running(self._tools, subject, order.faults, "before the plan's request was sent")
        answers, measurement = await ask(self._tools, subject, wanted, marks)
        await require_running(self._tools, subject, order.faults, "by the end of the requests, which prove nothing")
        if await sessions_of(self._tools.proxy(plan), subject) != sessions:
            # Each that ends rolls its service out, which puts a sound pod in the place of the broken one.
            raise HoldfastError(ErrorCode.ANALYZE_FAILED, "a recording ended during the requests, which prove nothing")
        kept = [RealAnswer(status=one.status, body=one.body, error=one.error) for one in answers]
        real = RealCase(case_index=order.case_index, answers=kept, measurement=measurement)
        await self._tools.store.save_real_case(order.execution_id, real)

    @activity.defn(name="read_calls")
    @acts(READ_CALLS)
    async def read(self, order: CallsOrder, permit: Permit) -> CallsFound:
        """Read which calls each failure has caused so far, and store those that healthy traffic does not cause.

        A healthy request is sent first. When its calls are in the recordings everything before it is, too. What does
        not come in time makes the round incomplete, which is a result.

        Raises:
            HoldfastError: NO_PERMIT; ANALYZE_FAILED when the healthy request fails.
        """
        subject, recorded = permit.subject, RecordedCalls(self._tools, permit.subject)
        # Counted here, while recordings are read: callers that recover late cost reading nothing of its time.
        end = deadline(subject.plan.timeouts.analyze)
        why_not = await self._unreadable(order, subject, recorded, end)
        if why_not:
            return await self._unread_round(order, why_not)
        detail, number = "", order.round * APART + activity.info().attempt * CALL_LOOKS
        for look in range(CALL_LOOKS):
            left = end.left
            sent = await self._send(subject, number + look, Deadline.after(subject.plan.timeouts.stability))
            end = Deadline.after(left)
            detail = detail or await self._read_up_to(recorded, subject, sent, end)
        found = await self._store_round(order, subject, recorded, detail)
        unread = [] if detail else recorded.unrecorded()
        if not detail:
            unread += [name for name in await self._unread(order) if name not in unread]
        why = detail or (TOGETHER if unread and not single_requests(subject.plan) else "")
        kept = CallRound(round=order.round, complete=not detail and not unread, detail=why, unread=unread)
        await self._tools.store.save_call_round(order.execution_id, kept)
        message = f"round {order.round} of discovery: {found.new} calls that healthy traffic does not cause"
        await self._log(order.execution_id, f"calls:{order.round}", message + (f"; {detail}" if detail else ""))
        return found

    async def _unreadable(self, order: CallsOrder, subject: Subject, recorded: RecordedCalls, end: Deadline) -> str:
        """Why no recorded call would bear a marker, however long we waited; empty when one may."""
        if order.round > 1:
            # What discovery itself has added counts as recorded by now.
            return ""
        if any((await self._tools.store.propagation(order.execution_id)).values()):
            return ""
        if await self._tools.store.recorded_calls(order.execution_id):
            return "the header baggage reaches no service of the plan, so nothing shows which request caused a call"
        # The recordings may have what the analysis has missed: of the healthy request that was sent before all else.
        return await self._unseen(subject, recorded, end)

    async def _unseen(self, subject: Subject, recorded: RecordedCalls, end: Deadline) -> str:
        """Why nothing of this run is in the recordings, for as long as absence must last; empty when something is."""
        looked = False

        async def look() -> bool | None:
            nonlocal looked
            grown = await recorded.read()
            looked = True
            return grown or None

        timing = subject.execution.timing
        if await poll(look, end=min(end, Deadline.after(timing.settle)), every=timing.poll):
            return ""
        if not looked:
            return "the recordings of calls could not be read"
        return recorded.overflowed or "the plan's request reaches none of its services, so none of them was broken"

    async def _unread_round(self, order: CallsOrder, detail: str) -> CallsFound:
        await self._tools.store.save_call_round(
            order.execution_id, CallRound(round=order.round, complete=False, detail=detail)
        )
        await self._log(order.execution_id, f"calls:{order.round}", detail)
        return CallsFound(complete=False)

    async def _read_up_to(self, recorded: RecordedCalls, subject: Subject, number: int, end: Deadline) -> str:
        """Read until the calls of this healthy request are there and nothing follows; why they never were, else."""
        settled = 0

        async def look() -> bool | None:
            nonlocal settled
            grown = await recorded.read()
            settled = settled + 1 if not grown and not recorded.missing(number) else 0
            return True if settled > 1 or recorded.overflowed else None

        every = max(subject.execution.timing.poll, timedelta(milliseconds=50))
        if await poll(look, end=end, every=every) is None:
            late = ", ".join(recorded.missing(number)[:5]) or "a service"
            return f"the recordings of {late} did not show the last request"
        return recorded.overflowed

    async def _unread(self, order: CallsOrder) -> list[str]:
        """Services that were broken, but whose failure the plan's request was not sent to in the end."""
        asked = {one.case_index for one in await self._tools.store.real_cases(order.execution_id)}
        broken = {one.service for one in await self._tools.store.captured(order.execution_id)}
        names = (await self._tools.subject(order.execution_id)).plan.service_names
        return [name for index, name in enumerate(names, start=1) if name in broken and index not in asked]

    async def _store_round(
        self, order: CallsOrder, subject: Subject, recorded: RecordedCalls, detail: str
    ) -> CallsFound:
        known = await recorded.known()
        found = recorded.fallback_calls(order.round, known)
        # What an earlier round found is known by now, but still no call that the analysis recorded.
        calls = logic.as_first_found(found, await self._tools.store.calls(order.execution_id))
        await self._tools.store.save_calls(order.execution_id, calls)
        captured = {
            logic.CallKey(one.service, one.method, one.path)
            for one in await self._tools.store.captured(order.execution_id)
        }
        wanted = logic.to_capture(found, subject.plan.service_names, captured)
        for service, keys in wanted.items():
            await self._tools.store.add_exchanges(order.execution_id, service, await recorded.exchanges(service, keys))
        # Of all rounds: what was captured since counts as known by now, and is a fallback call all the same.
        new = len(logic.only_when_broken(await self._tools.store.calls(order.execution_id)))
        pairs = await self._pairs(order, subject, calls)
        return CallsFound(complete=not detail, new=new, to_capture=sorted(wanted), pairs=pairs)

    async def _pairs(self, order: CallsOrder, subject: Subject, calls: list[FallbackCall]) -> list[int]:
        """Pairs to break for real, in the first round, where the worker allows two faults at once."""
        if order.round > 1 or too_few_for_pairs(self._tools.rails):
            return []
        names, on_purpose = subject.plan.service_names, PlanExclusions(subject.plan)
        asked = {one.case_index for one in await self._tools.store.real_cases(order.execution_id)}
        found = logic.pairs_to_break(calls, names)
        return [one for one in found if one not in asked and on_purpose.reason(case_at(names, one)) is None][
            :MOST_DISCOVERY_PAIRS
        ]

    async def _log(self, execution_id: int, key: str, message: str) -> None:
        await self._tools.store.log(execution_id, key, LogLevel.INFO, message)
