"""Analysis: the proxy records the calls that one user request causes."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from temporalio import activity

from activities.base import finish_despite_cancel, poll
from activities.clocks import Deadline, closing_deadline, deadline, elapsed
from activities.permit import RECORD, Permit, acts, closes, no_permit
from activities.recovery.active_at_peers import refuse_left_over
from activities.recovery.bookkeeping import in_time
from activities.recovery.closing import UNKNOWN, analysis_of, close_recordings
from activities.toolbox import Subject, Toolbox
from clients.secrets.values import Redactor, Secrets
from clients.store.read_models import LogLevel
from domain.cases.tokens import BAGGAGE_HEADER, analysis_marker
from domain.errors import ErrorCode, HoldfastError
from domain.executions.execution import ExecutionRef
from domain.executions.windows import RECORDINGS, SETTLED, Closing, WindowKind
from domain.measuring.samples import is_error
from domain.names import lock_of
from domain.plans.durations import ANALYSIS_SENDS, analysis_start, recording_ttl
from domain.resilience.model import Phase, PhaseChange
from domain.traffic.driving import AnalysisTask
from domain.traffic.exchange import RecordedExchange
from domain.traffic.summary import (
    AnalysisOrder,
    AnalysisStarted,
    RecordedService,
    RecordedServices,
    RecordingsOrder,
)

_SURELY_REMEMBERED = 5 / 6
"""Safe share of the proxy's deduplication time (50 of 60 s).

Within it, an identical call surely returns the first call's task.
"""


class TrafficActivities:
    """Controls the proxy's analysis, and sends the request to be analysed."""

    def __init__(self, tools: Toolbox) -> None:
        self._tools = tools

    @activity.defn(name="start_analysis")
    @acts(RECORD)
    async def start(self, order: ExecutionRef, permit: Permit) -> AnalysisStarted:
        """Start the analysis, and return its task.

        If the proxy returns a task of another execution, this waits until the proxy has forgotten that task.

        Raises:
            HoldfastError: NO_PERMIT. ANALYZE_FAILED when it is refused, or when no time is left to start again.
                ENVIRONMENT_NOT_CLEAN when something has come on since the lock's pre-flight.
        """
        subject = permit.subject
        if activity.info().attempt == 1:
            # This is the first thing that a run switches on. Another installation shares no lock and no ledger with us,
            # so only the peers can show what it has active.
            await refuse_left_over(self._tools, subject)
        timing = subject.execution.timing
        age = elapsed()
        # Within the proxy's 60 s of deduplication, a retry gets the first call's task. Later it would start a second
        # analysis beside the first. So what an earlier attempt started is first stopped, verified, and waited out.
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
        # Not `store.logs`: what was started is not given up because its line cannot be written.
        await self._tools.notes.add(order.execution_id, "analysis:started", LogLevel.INFO, f"analysis {task.task_id}")
        return AnalysisStarted(task_id=task.task_id)

    async def _give_up_earlier(self, subject: Subject, age: timedelta) -> None:
        """Stop what an earlier attempt may have started.

        Then wait until the proxy has forgotten that call.
        """
        dedupe = subject.execution.timing.analyze_dedupe
        if age + dedupe > analysis_start(dedupe):
            raise HoldfastError(
                ErrorCode.ANALYZE_FAILED,
                "it is not known whether the analysis was started, and no time is left to start again",
                hint="run again; whatever was started is being stopped",
            )
        await self._stop_earlier(subject)
        message = "the outcome of an earlier call is not known: its recordings are off, starting again"
        await self._tools.store.logs.add(subject.execution.execution_id, "analysis:again", LogLevel.WARN, message)
        await asyncio.sleep(dedupe.total_seconds())
        # Stop what that call switched on in the meantime. By now it has finished.
        await self._stop_earlier(subject)

    async def _stop_earlier(self, subject: Subject) -> None:
        end = Deadline.after(subject.execution.timing.analyze_dedupe)
        closing = await close_recordings(self._tools, subject, end, timedelta(0))
        if not closing.verified:
            raise HoldfastError(ErrorCode.PEER_ERROR, f"an earlier analysis could not be stopped: {closing.detail}")

    async def _analyze(self, subject: Subject) -> AnalysisTask:
        """Start the analysis and store its id, even when cancelled meanwhile."""
        # Closing needs the stored id to ask the proxy whether the analysis still begins.
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
            await self._tools.store.executions.change_phase(change)
            return task

        return await finish_despite_cancel(begin())

    @activity.defn(name="await_patterns")
    @acts(RECORD)
    async def await_patterns(self, order: AnalysisOrder, permit: Permit) -> RecordedServices:
        """Send the request once the proxy listens, and store the redacted patterns.

        Raises:
            HoldfastError: NO_PERMIT, also for an analysis that is not the execution's. ANALYZE_TIMEOUT after
                `timeouts.analyze`. ANALYZE_FAILED when the proxy reports it, has lost the task, or the request fails
                while everything is healthy.
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
        """Send the plan's request as the load test does, plus the marker."""
        probe = self._tools.probe(subject.plan).prepare(analysis_marker(subject.execution.record_id))
        trouble = ""
        for attempt in range(ANALYSIS_SENDS):
            sample = await probe.send_once()
            if not is_error(sample):
                return
            trouble = sample.error_kind or f"status {sample.status}"
            await asyncio.sleep(subject.execution.timing.poll.total_seconds() * attempt)
        raise HoldfastError(
            ErrorCode.ANALYZE_FAILED,
            f"the plan's request fails while nothing is broken: {trouble}",
            hint="check request.url, its headers and body, and that the system is up",
        )

    async def _keep(self, subject: Subject, task: AnalysisTask) -> RecordedServices:
        redactor = self._tools.redactor(subject.plan)
        mark = analysis_marker(subject.execution.record_id)
        found = {patterns.service: patterns.exchanges for patterns in task.patterns}
        services, exchanges = [], []
        for name in subject.plan.service_names:
            recorded = found.get(name, [])
            forwarded = bool(recorded) and all(mark in _baggage(exchange) for exchange in recorded)
            services.append(RecordedService(service=name, patterns=len(recorded), baggage_forwarded=forwarded))
            # In a thread: the exchanges may be megabytes, and heartbeats and closing must go on.
            exchanges += await asyncio.to_thread(_redacted, recorded, redactor, self._tools.secrets)
        execution_id = subject.execution.execution_id
        await self._tools.store.traffic.save_exchanges(execution_id, exchanges)
        await self._tools.store.traffic.save_propagation(
            execution_id, {service.service: service.baggage_forwarded for service in services}
        )
        message = ", ".join(f"{service.service}: {service.patterns}" for service in services)
        await self._tools.store.logs.add(
            subject.execution.execution_id, "analysis:completed", LogLevel.INFO, f"recorded requests: {message}"
        )
        return RecordedServices(services=services)

    @activity.defn(name="stop_recordings")
    @closes
    async def stop(self, order: RecordingsOrder) -> Closing:
        """Stop recordings of the plan's services, and verify that they are off.

        If that cannot be verified within `timeouts.recovery`, the result is unverified. It is not an error.

        The proxy chooses the names of recordings, so others' must not be mistaken for ours. None is stopped for an
        execution that never intended any, nor if the ledger shows its recordings as closed and another execution holds
        the namespace.
        """
        subject = await self._tools.subject_for_closing(order.execution_id)
        try:
            why = await in_time(self._why_none_ours(subject))
        except HoldfastError as error:
            if not error.kind.retryable:
                raise
            activity.logger.warning("the store does not show whose recordings are on: %s", error.code)
            # Stop them anyway: an unreadable store must not keep recordings on.
            why = ""
        if why:
            return Closing(verified=True, detail=why)
        settle = timedelta(0) if order.analysis_over else subject.execution.timing.settle
        end = closing_deadline(subject.plan.timeouts.recovery, subject.execution.timing.call_timeout)
        task_id = "" if order.analysis_over else await self._beginning_analysis(subject)
        return await close_recordings(self._tools, subject, end, settle, task_id)

    async def _beginning_analysis(self, subject: Subject) -> str:
        """Return the id of an analysis that may still begin.

        `UNKNOWN` for recordings of calls, because they belong to no analysis, and while the store cannot be asked.
        """
        try:
            rows = await in_time(self._tools.store.ledger.of(subject.execution.execution_id))
        except HoldfastError as error:
            if not error.kind.retryable:
                raise
            return UNKNOWN
        if any(row.kind is WindowKind.CALLS and row.state not in SETTLED for row in rows):
            return UNKNOWN
        return await analysis_of(self._tools, subject)

    async def _why_none_ours(self, subject: Subject) -> str:
        """Return why no active recording can be the execution's, or nothing."""
        execution_id = subject.execution.execution_id
        rows = [row for row in await self._tools.store.ledger.of(execution_id) if row.kind in RECORDINGS]
        if not rows:
            return "nothing was recorded: no intent of it is in the ledger"
        if any(row.state not in SETTLED for row in rows):
            return ""
        lock_id = lock_of(subject.execution)
        for lock in (await self._tools.store.standings.of(execution_id)).locks:
            if lock.window_id == lock_id and lock.execution_id != execution_id:
                return f"the ledger shows its recordings as off, and execution {lock.execution_id} holds the namespace"
        return ""


def _baggage(exchange: RecordedExchange) -> str:
    return ",".join(value for name, value in exchange.request_headers.items() if name.lower() == BAGGAGE_HEADER)


def _redacted(exchanges: list[RecordedExchange], redactor: Redactor, secrets: Secrets) -> list[RecordedExchange]:
    return [
        exchange.model_copy(
            update={
                "url": redactor.url(exchange.url),
                "path": secrets.kept_path(exchange.path),
                "request_headers": redactor.headers(exchange.request_headers),
                "request_body": redactor.body(exchange.request_body, exchange.request_headers),
                "response_headers": redactor.headers(exchange.response_headers),
                "response_body": redactor.body(exchange.response_body, exchange.response_headers),
            }
        )
        for exchange in exchanges
    ]
