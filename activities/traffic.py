"""Analysis: the proxy records what one user request makes the services say to each other."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from temporalio import activity

from activities.base import poll, uncancelled
from activities.bookkeeping import in_time
from activities.clocks import Deadline, closing_deadline, deadline, elapsed
from activities.closing import UNKNOWN, analysis_of, close_recordings
from activities.left_over import refuse_left_over
from activities.permit import RECORD, Permit, acts, closes, no_permit
from activities.toolbox import Subject, Toolbox
from clients.proxy_wire import AnalysisTask
from clients.requests import prepare
from clients.secrets import Redactor, Secrets
from clients.store.read_models import LogLevel
from workflows.contracts.errors import ErrorCode, HoldfastError
from workflows.contracts.exchange import RecordedExchange
from workflows.contracts.execution import ExecutionRef, Phase, PhaseChange
from workflows.contracts.traffic import (
    AnalysisOrder,
    AnalysisStarted,
    RecordedService,
    RecordedServices,
    RecordingsOrder,
)
from workflows.contracts.windows import RECORDINGS, SETTLED, Closing, WindowKind
from workflows.logic.durations import ANALYSIS_SENDS, analysis_start, recording_ttl
from workflows.logic.samples import is_error
from workflows.logic.tokens import BAGGAGE_HEADER, marker
from workflows.names import lock_of

_SURELY_REMEMBERED = 5 / 6
"""Of the proxy's time of deduplication (50 of 60 s): so long an identical call is surely answered with the first one's
task."""


class TrafficActivities:
    """Acts on the proxy's analysis API, and sends the request that is analysed."""

    def __init__(self, tools: Toolbox) -> None:
        self._tools = tools

    @activity.defn(name="start_analysis")
    @acts(RECORD)
    async def start(self, order: ExecutionRef, permit: Permit) -> AnalysisStarted:
        """Start the analysis. Within the proxy's 60 s of deduplication a repetition finds the first call's task.

        Later it would start a second one beside it, so whatever an earlier attempt started is stopped, seen to be off,
        and waited out first. When the task found belongs to another execution, this waits until the proxy has forgotten
        that one.

        Raises:
            HoldfastError: NO_PERMIT; ANALYZE_FAILED when it is refused, or when no time is left to begin again;
                ENVIRONMENT_NOT_CLEAN when something has come on since the lock's pre-flight.
        """
        subject = permit.subject
        if activity.info().attempt == 1:
            # The first thing that a run switches on. Another installation has no lock and no ledger in common with us.
            await refuse_left_over(self._tools, subject)
        timing = subject.execution.timing
        age = elapsed()
        if activity.info().attempt > 1 and age > timing.analyze_dedupe * _SURELY_REMEMBERED:
            await self._give_up_earlier(subject, age)
        try:
            task = await self._analyze(subject)
        except HoldfastError as error:
            if error.code is not ErrorCode.ANALYZE_CONFLICT:
                raise
            activity.logger.info("waiting for the proxy to forget an equal analysis of another execution")
            await asyncio.sleep(timing.analyze_dedupe.total_seconds())
            task = await self._analyze(subject)
        await self._tools.store.log(order.execution_id, "analysis:started", LogLevel.INFO, f"analysis {task.task_id}")
        return AnalysisStarted(task_id=task.task_id)

    async def _give_up_earlier(self, subject: Subject, age: timedelta) -> None:
        """Stop what an earlier attempt may have started, and wait until the proxy has forgotten its call."""
        dedupe = subject.execution.timing.analyze_dedupe
        if age + dedupe > analysis_start(dedupe):
            raise HoldfastError(
                ErrorCode.ANALYZE_FAILED,
                "it is not known whether the analysis was started, and no time is left to begin again",
                hint="run again; whatever was started is being stopped",
            )
        await self._stop_earlier(subject)
        message = "nobody knows what became of an earlier call: its recordings are off, beginning again"
        await self._tools.store.log(subject.execution.execution_id, "analysis:again", LogLevel.WARN, message)
        await asyncio.sleep(dedupe.total_seconds())
        # Whatever it switched on in the meantime. By now it is through.
        await self._stop_earlier(subject)

    async def _stop_earlier(self, subject: Subject) -> None:
        end = Deadline.after(subject.execution.timing.analyze_dedupe)
        closing = await close_recordings(self._tools, subject, end, timedelta(0))
        if not closing.verified:
            raise HoldfastError(ErrorCode.PEER_ERROR, f"an earlier analysis could not be stopped: {closing.detail}")

    async def _analyze(self, subject: Subject) -> AnalysisTask:
        """Begin, and store which one it is, even when cancelled meanwhile: whoever stops it must be able to ask."""
        execution = subject.execution

        async def begin() -> AnalysisTask:
            task = await self._tools.proxy(subject.plan).analyze(
                req_def_id=execution.req_def_id,
                namespace=subject.namespace,
                services=subject.plan.service_names,
                execution_id=execution.execution_id,
                duration_seconds=int(recording_ttl(subject.plan).total_seconds()),
            )
            change = PhaseChange(
                execution_id=execution.execution_id, phase=Phase.ANALYZING_PATTERNS, analyze_task_id=task.task_id
            )
            await self._tools.store.change_phase(change)
            return task

        return await uncancelled(begin())

    @activity.defn(name="await_patterns")
    @acts(RECORD)
    async def await_patterns(self, order: AnalysisOrder, permit: Permit) -> RecordedServices:
        """Send the request once the proxy listens, wait for the patterns and store them, redacted.

        Raises:
            HoldfastError: NO_PERMIT, also for an analysis that is not the execution's; ANALYZE_TIMEOUT after
                `timeouts.analyze`; ANALYZE_FAILED when the proxy says so, has lost the task, or the request fails while
                everything is healthy.
        """
        subject = permit.subject
        if order.task_id != await analysis_of(self._tools, subject):
            raise no_permit(f"{order.task_id[:100]} is not the analysis of execution {order.execution_id}")
        client = self._tools.proxy(subject.plan)
        longest = subject.plan.timeouts.analyze
        triggered = False
        last = ""

        async def look() -> AnalysisTask | None:
            nonlocal triggered, last
            task = await client.analysis(order.task_id)
            last = str(task.status)
            if task.status.failed:
                raise HoldfastError(ErrorCode.ANALYZE_FAILED, f"the analysis ended as {last}: {task.message}")
            if task.status.collecting and not triggered:
                await self._trigger(subject)
                triggered = True
            return task if task.status.completed else None

        task = await poll(look, end=deadline(longest), every=subject.execution.timing.poll)
        if task is None:
            raise HoldfastError(
                ErrorCode.ANALYZE_TIMEOUT,
                f"the analysis was not complete after {longest.total_seconds():g} s, its last state was {last}",
                hint="raise timeouts.analyze, or look at the proxy's log",
            )
        return await self._keep(subject, task)

    async def _trigger(self, subject: Subject) -> None:
        """Send the plan's request with the marker, exactly as the load test will send it."""
        request = prepare(subject.plan.request, self._tools.secrets, marker(subject.execution.record_id))
        what = ""
        for attempt in range(ANALYSIS_SENDS):
            sample = await self._tools.load.send_once(request)
            if not is_error(sample):
                return
            what = sample.error_kind or f"status {sample.status}"
            await asyncio.sleep(subject.execution.timing.poll.total_seconds() * attempt)
        raise HoldfastError(
            ErrorCode.ANALYZE_FAILED,
            f"the plan's request fails while nothing is broken: {what}",
            hint="check request.url, its headers and body, and that the system is up",
        )

    async def _keep(self, subject: Subject, task: AnalysisTask) -> RecordedServices:
        redactor = self._tools.redactor(subject.plan)
        mark = marker(subject.execution.record_id)
        found = {patterns.service: patterns.exchanges for patterns in task.patterns}
        services, exchanges = [], []
        for name in subject.plan.service_names:
            recorded = found.get(name, [])
            forwarded = bool(recorded) and all(mark in _baggage(one) for one in recorded)
            services.append(RecordedService(service=name, patterns=len(recorded), baggage_forwarded=forwarded))
            # In a thread: it may be megabytes, and heartbeats and closing go on meanwhile.
            exchanges += await asyncio.to_thread(_redacted, recorded, redactor, self._tools.secrets)
        execution_id = subject.execution.execution_id
        await self._tools.store.save_exchanges(execution_id, exchanges)
        await self._tools.store.save_propagation(execution_id, {one.service: one.baggage_forwarded for one in services})
        message = ", ".join(f"{one.service}: {one.patterns}" for one in services)
        await self._tools.store.log(
            subject.execution.execution_id, "analysis:completed", LogLevel.INFO, f"recorded requests: {message}"
        )
        return RecordedServices(services=services)

    @activity.defn(name="stop_recordings")
    @closes
    async def stop(self, order: RecordingsOrder) -> Closing:
        """Stop recordings of the plan's services and verify it; unverified after `timeouts.recovery` is a result.

        Recordings have no names of ours, so those of others must not be taken for them: of an execution that never
        intended any, none is stopped; nor where another one holds the namespace and the ledger has this one's off.
        While the store cannot be asked about that, they are stopped: what is on must not stay on for its sake.
        """
        subject = await self._tools.subject_for_closing(order.execution_id)
        try:
            why = await in_time(self._none_of_ours(subject))
        except HoldfastError as error:
            if not error.kind.retryable:
                raise
            activity.logger.warning("whose recordings are on cannot be read: %s", error.code)
            why = ""
        if why:
            return Closing(verified=True, detail=why)
        settle = timedelta(0) if order.analysis_over else subject.execution.timing.settle
        end = closing_deadline(subject.plan.timeouts.recovery, subject.execution.timing.call_timeout)
        task_id = "" if order.analysis_over else await self._may_begin(subject)
        return await close_recordings(self._tools, subject, end, settle, task_id)

    async def _may_begin(self, subject: Subject) -> str:
        """The analysis that may still begin; `UNKNOWN` for recordings of calls, which no analysis stands for."""
        try:
            rows = await in_time(self._tools.store.ledger_of(subject.execution.execution_id))
        except HoldfastError as error:
            if not error.kind.retryable:
                raise
            return UNKNOWN
        if any(row.kind is WindowKind.CALLS and row.state not in SETTLED for row in rows):
            return UNKNOWN
        return await analysis_of(self._tools, subject)

    async def _none_of_ours(self, subject: Subject) -> str:
        """Why no recording that is on can be the execution's; empty when one may be."""
        execution_id = subject.execution.execution_id
        rows = [row for row in await self._tools.store.ledger_of(execution_id) if row.kind in RECORDINGS]
        if not rows:
            return "nothing was recorded: no intent of it is in the ledger"
        if any(row.state not in SETTLED for row in rows):
            return ""
        lock_id = lock_of(subject.execution)
        for lock in (await self._tools.store.standing(execution_id)).locks:
            if lock.window_id == lock_id and lock.execution_id != execution_id:
                return f"its recordings are off, by the ledger, and execution {lock.execution_id} holds the namespace"
        return ""


def _baggage(exchange: RecordedExchange) -> str:
    return ",".join(value for name, value in exchange.request_headers.items() if name.lower() == BAGGAGE_HEADER)


def _redacted(exchanges: list[RecordedExchange], redactor: Redactor, secrets: Secrets) -> list[RecordedExchange]:
    return [
        one.model_copy(
            update={
                "url": redactor.url(one.url),
                "path": secrets.kept_path(one.path),
                "request_headers": redactor.headers(one.request_headers),
                "request_body": redactor.body(one.request_body, one.request_headers),
                "response_headers": redactor.headers(one.response_headers),
                "response_body": redactor.body(one.response_body, one.response_headers),
            }
        )
        for one in exchanges
    ]
