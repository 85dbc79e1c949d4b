"""Discovery of fallback calls: calls that services make only under failures.

The traffic proxy records meanwhile. Each request of the plan carries a marker that names its case, so that the calls
it causes are recognised among all other traffic.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

from temporalio import activity

from activities.base import NotRepeatedError, finish_despite_cancel, poll, poll_until
from activities.clocks import Deadline, deadline
from activities.permit import READ_CALLS, RECORD_CALLS, SEND_REQUEST, Permit, acts, no_permit
from activities.recovery.closing import UNKNOWN, close_recordings
from activities.stages.pairs import refuse_foreign
from activities.stages.plan_requests import require_running, send_requests
from activities.stages.recorded_calls import AGAIN, APART, RecordedCalls, sessions_of
from activities.toolbox import Subject, Toolbox
from clients.drivers.traffic_driver import TrafficDriver
from clients.peers.proxy import STOP_TIMEOUT
from clients.store.read_models import LogLevel
from domain.calls import discovery as logic
from domain.calls.model import (
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
from domain.cases.cases import case_at
from domain.cases.tokens import calls_marker
from domain.errors import ErrorCode, HoldfastError
from domain.executions.execution import ExecutionRef
from domain.executions.windows import WindowKind
from domain.guardrails.check import too_few_for_pairs
from domain.measuring.samples import is_error
from domain.plans.durations import (
    CALL_LOOKS,
    MOST_DISCOVERY_PAIRS,
    calls_ttl,
    earlier_recordings,
    pair_requests,
    single_requests,
)
from domain.plans.exclusions import PlanExclusions

_AT_ONCE = 8
"""Most recordings that are being started at once.

Each start takes as long as a rollout.
"""


class CallActivities:
    """Controls the proxy's recordings, and sends the plan's request meanwhile."""

    def __init__(self, tools: Toolbox) -> None:
        self._tools = tools

    @activity.defn(name="start_recordings")
    @acts(RECORD_CALLS)
    async def start(self, order: ExecutionRef, permit: Permit) -> None:
        """Record every service of the plan.

        Raises:
            HoldfastError: NO_PERMIT. ENVIRONMENT_NOT_CLEAN when something has come on since the lock's pre-flight.
                ANALYZE_FAILED when a service that the request reaches cannot be recorded.
        """
        subject = permit.subject
        # Until the first round has been read, the calls under every failure are unknown. This is stored before anything
        # is done, so that a store that is away for a moment costs another attempt, and not the run.
        unread = CallRound(round=1, complete=False, detail=NEVER_READ)
        await self._tools.store.calls.save_round(order.execution_id, unread)
        needed = {call.service for call in await self._tools.store.traffic.recorded_calls(order.execution_id)}
        try:
            # An earlier attempt's worker died: stop what it began.
            if activity.info().attempt > 1:
                await self._stop_earlier(subject)
            await self._refuse_recorded(subject)
            await finish_despite_cancel(self._start_all(subject, needed))
        except HoldfastError as error:
            # Only the death of a worker justifies another attempt. This error is the result.
            raise NotRepeatedError.of(error) from error
        # Not `store.logs`: what records records, and it is not stopped and started again for want of a line.
        message = f"recording the calls of {len(subject.plan.services)} services"
        await self._tools.notes.add(order.execution_id, "calls:recording", LogLevel.INFO, message)

    async def _stop_earlier(self, subject: Subject) -> None:
        timing = subject.execution.timing
        end = Deadline.after(earlier_recordings(timing))
        closing = await close_recordings(self._tools, subject, end, timing.settle, UNKNOWN)
        if not closing.verified:
            raise HoldfastError(ErrorCode.PEER_ERROR, f"earlier recordings could not be stopped: {closing.detail}")

    async def _refuse_recorded(self, subject: Subject) -> None:
        # Never record a service twice: its sidecar would forward to itself (`peer-contract` section 3.3).
        client = self._tools.proxy(subject.plan)
        for service in subject.plan.service_names:
            check = await client.check(namespace=subject.namespace, service=service)
            if check.recording:
                raise HoldfastError(
                    ErrorCode.ENVIRONMENT_NOT_CLEAN,
                    f"{service} already has a sidecar of the proxy: {check.recording_id or 'of an unknown session'}",
                    hint="`holdfast faults` shows the owner",
                )

    async def _start_all(self, subject: Subject, needed: set[str]) -> None:
        client = self._tools.proxy(subject.plan)
        gate = asyncio.Semaphore(_AT_ONCE)

        async def start(service: str) -> None:
            async with gate:
                if activity.is_cancelled():
                    # Starts under way are awaited, but no further one begins.
                    return
                await self._start_one(client, subject, service, needed=service in needed)

        found = await asyncio.gather(*(start(name) for name in subject.plan.service_names), return_exceptions=True)
        # Raise only now that all starts have ended, so that nothing is switched on after the error.
        for error in found:
            if error is not None:
                raise error

    async def _start_one(self, client: TrafficDriver, subject: Subject, service: str, *, needed: bool) -> None:
        try:
            await client.start_recording(
                namespace=subject.namespace,
                service=service,
                duration_seconds=int(calls_ttl(subject.plan).total_seconds()),
                longest=STOP_TIMEOUT,
            )
        except HoldfastError as error:
            if needed or error.code is not ErrorCode.PEER_ERROR:
                # Only PEER_ERROR is a refusal. After any other error the recording may still come on.
                raise HoldfastError(
                    ErrorCode.ANALYZE_FAILED, f"{service} cannot be recorded: {error.message}", hint=error.hint
                ) from error
            # Tolerated: the plan's request does not reach this service in a healthy system, and the analysis has
            # recorded nothing of it either.
            activity.logger.info("%s cannot be recorded: %s", service, error.code)

    @activity.defn(name="send_healthy")
    @acts(RECORD_CALLS)
    async def send_healthy(self, order: ExecutionRef, permit: Permit) -> None:
        """Send the plan's request while nothing is broken.

        All other calls are compared with those of this request.

        Raises:
            HoldfastError: NO_PERMIT. ANALYZE_FAILED when the request keeps failing.
        """
        end = deadline(permit.subject.plan.timeouts.stability)
        await self._send(permit.subject, activity.info().attempt, end)

    async def _send(self, subject: Subject, number: int, end: Deadline) -> int:
        """Send the plan's request until it succeeds; return that request's number.

        Every try has a number of its own, because a failed request proves less. It keeps trying until `end`, because
        callers may go on without a service for a while after it is back.
        """
        sent, what = number, ""

        async def once() -> bool | None:
            nonlocal sent, what
            mark = calls_marker(subject.execution.record_id, 0, sent)
            sample = await self._tools.probe(subject.plan).prepare(mark).send_once()
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
    @acts(SEND_REQUEST)
    async def ask_broken(self, order: AskOrder, permit: Permit) -> None:
        """Send the plan's request while a case's services are really broken.

        The answers are stored. A case that has stored answers is not sent again.

        Raises:
            HoldfastError: NO_PERMIT, also for faults that the ledger does not have for this case. FAULT_NOT_RUNNING
                when a fault is not running before or after the requests. ANALYZE_FAILED when a recording ended
                meanwhile.
        """
        subject = permit.subject
        case = case_at(permit.subject.plan.service_names, order.case_index)
        window = permit.window
        if window.kind is WindowKind.PAIRS:
            await refuse_foreign(self._tools, order, subject)
        elif order.faults != {window.service: window.peer_name} or case.services != [window.service]:
            raise no_permit(f"case {order.case_index} is not that of {window.window_id}")
        known = await self._tools.store.calls.real_cases(order.execution_id)
        if any(stored.case_index == order.case_index for stored in known):
            return
        plan = subject.plan
        wanted = single_requests(plan) if len(case.services) == 1 else pair_requests(plan)
        first = activity.info().attempt * APART
        record_id = subject.execution.record_id
        marks = [calls_marker(record_id, order.case_index, first + number) for number in range(wanted)]
        sessions = await sessions_of(self._tools.proxy(plan), subject)
        await require_running(self._tools, subject, order.faults, "before the plan's request was sent")
        answers, measurement = await send_requests(self._tools, subject, wanted, marks)
        await require_running(self._tools, subject, order.faults, "by the end of the requests, which prove nothing")
        if await sessions_of(self._tools.proxy(plan), subject) != sessions:
            # The end of a recording rolls its service out, which replaces the broken pod by a healthy one.
            raise HoldfastError(ErrorCode.ANALYZE_FAILED, "a recording ended during the requests, which prove nothing")
        kept = [RealAnswer(status=answer.status, body=answer.body, error=answer.error) for answer in answers]
        real = RealCase(case_index=order.case_index, answers=kept, measurement=measurement)
        await self._tools.store.calls.save_real_case(order.execution_id, real)

    @activity.defn(name="read_calls")
    @acts(READ_CALLS)
    async def read(self, order: CallsOrder, permit: Permit) -> CallsFound:
        """Read which calls each failure caused, and store the fallback calls.

        Fallback calls are those that healthy traffic does not cause. `CALL_LOOKS` healthy requests are sent as
        sentinels. When the calls of the last one are in the recordings, everything before it is too. If they do not
        arrive in time, the round is incomplete. That is a result, not an error.

        Raises:
            HoldfastError: NO_PERMIT. ANALYZE_FAILED when a healthy request keeps failing.
        """
        subject = permit.subject
        recorded = RecordedCalls(self._tools, permit.subject)
        # The clock runs only while recordings are read: callers that recover late must not use that time up.
        end = deadline(subject.plan.timeouts.analyze)
        why_not = await self._why_unreadable(order, subject, recorded, end)
        if why_not:
            return await self._store_unread_round(order, why_not)
        detail, number = "", order.round * APART + activity.info().attempt * CALL_LOOKS
        for look in range(CALL_LOOKS):
            left = end.left
            sent = await self._send(subject, number + look, Deadline.after(subject.plan.timeouts.stability))
            end = Deadline.after(left)
            detail = detail or await self._read_up_to(recorded, subject, sent, end)
        found = await self._store_round(order, subject, recorded, detail)
        unread = [] if detail else recorded.unrecorded()
        if not detail:
            unread += [name for name in await self._unmet_services(order) if name not in unread]
        why = detail or (TOGETHER if unread and not single_requests(subject.plan) else "")
        kept = CallRound(round=order.round, complete=not detail and not unread, detail=why, unread=unread)
        await self._tools.store.calls.save_round(order.execution_id, kept)
        message = f"round {order.round} of discovery: {found.new} calls that healthy traffic does not cause"
        await self._log(order.execution_id, f"calls:{order.round}", message + (f"; {detail}" if detail else ""))
        return found

    async def _why_unreadable(self, order: CallsOrder, subject: Subject, recorded: RecordedCalls, end: Deadline) -> str:
        """Return why no recorded call can ever bear a marker; empty if one may."""
        if order.round > 1:
            # In round 1 only: later, requests that discovery itself added would count as recorded.
            return ""
        if any((await self._tools.store.traffic.propagation(order.execution_id)).values()):
            return ""
        if await self._tools.store.traffic.recorded_calls(order.execution_id):
            return "the baggage header reaches no service of the plan, so nothing shows which request caused a call"
        # The recordings may have what the analysis missed: calls of the healthy request that was sent first of all.
        return await self._unseen(subject, recorded, end)

    async def _unseen(self, subject: Subject, recorded: RecordedCalls, end: Deadline) -> str:
        """Return why the recordings show nothing of this run; empty as soon as they show something."""
        looked = False

        async def show_something() -> bool:
            nonlocal looked
            grown = await recorded.read()
            looked = True
            return grown

        timing = subject.execution.timing
        if await poll_until(show_something, end=min(end, Deadline.after(timing.settle)), every=timing.poll):
            return ""
        if not looked:
            return "the recordings of calls could not be read"
        return recorded.overflowed or "the plan's request reaches none of its services, so none of them was broken"

    async def _store_unread_round(self, order: CallsOrder, detail: str) -> CallsFound:
        await self._tools.store.calls.save_round(
            order.execution_id, CallRound(round=order.round, complete=False, detail=detail)
        )
        await self._log(order.execution_id, f"calls:{order.round}", detail)
        return CallsFound(complete=False)

    async def _read_up_to(self, recorded: RecordedCalls, subject: Subject, number: int, end: Deadline) -> str:
        """Read until this healthy request's calls are there and nothing follows.

        Return why that did not happen in time, or nothing.
        """
        settled = 0

        async def complete() -> bool:
            nonlocal settled
            grown = await recorded.read()
            settled = settled + 1 if not grown and not recorded.missing(number) else 0
            return settled > 1 or bool(recorded.overflowed)

        every = max(subject.execution.timing.poll, timedelta(milliseconds=50))
        if not await poll_until(complete, end=end, every=every):
            late = ", ".join(recorded.missing(number)[:5]) or "a service"
            return f"the recordings of {late} did not show the last request"
        return recorded.overflowed

    async def _unmet_services(self, order: CallsOrder) -> list[str]:
        """Return broken services whose failure the plan's request never met."""
        asked = {stored.case_index for stored in await self._tools.store.calls.real_cases(order.execution_id)}
        broken = {answer.service for answer in await self._tools.store.traffic.captured(order.execution_id)}
        names = (await self._tools.subject(order.execution_id)).plan.service_names
        return [name for index, name in enumerate(names, start=1) if name in broken and index not in asked]

    async def _store_round(
        self, order: CallsOrder, subject: Subject, recorded: RecordedCalls, detail: str
    ) -> CallsFound:
        known = await recorded.known()
        found = recorded.fallback_calls(order.round, known)
        # Calls found in an earlier round are known by now. Restore that the analysis had not recorded them.
        calls = logic.as_first_found(found, await self._tools.store.calls.all(order.execution_id))
        await self._tools.store.calls.save(order.execution_id, calls)
        captured = {
            logic.CallKey(answer.service, answer.method, answer.path)
            for answer in await self._tools.store.traffic.captured(order.execution_id)
        }
        wanted = logic.to_capture(found, subject.plan.service_names, captured)
        for service, keys in wanted.items():
            await self._tools.store.traffic.add_exchanges(
                order.execution_id, service, await recorded.exchanges(service, keys)
            )
        # Over all rounds: a call captured since then is known by now, but still a fallback call.
        new = len(logic.only_when_broken(await self._tools.store.calls.all(order.execution_id)))
        pairs = await self._pairs(order, subject, calls)
        return CallsFound(complete=not detail, new=new, to_capture=sorted(wanted), pairs=pairs)

    async def _pairs(self, order: CallsOrder, subject: Subject, calls: list[FallbackCall]) -> list[int]:
        """Choose the pairs to break for real.

        Only in the first round, and only if the worker allows two faults at once.
        """
        if order.round > 1 or too_few_for_pairs(self._tools.rails):
            return []
        names = subject.plan.service_names
        plan_exclusions = PlanExclusions(subject.plan)
        asked = {stored.case_index for stored in await self._tools.store.calls.real_cases(order.execution_id)}
        found = logic.pairs_to_break(calls, names)
        return [pair for pair in found if pair not in asked and plan_exclusions.reason(case_at(names, pair)) is None][
            :MOST_DISCOVERY_PAIRS
        ]

    async def _log(self, execution_id: int, key: str, message: str) -> None:
        await self._tools.store.logs.add(execution_id, key, LogLevel.INFO, message)
