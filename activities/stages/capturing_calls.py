"""Captures how a service fails at calls that only other failures cause.

The recorded requests of these calls are sent again while the service is broken.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import timedelta

from temporalio import activity

from activities.base import retry_within_attempt
from activities.clocks import deadline
from activities.permit import REPLAY, Permit, acts
from activities.stages.faults import as_in_the_ledger, redacted_answers, summary_of
from activities.stages.recorded_calls import RecordedCalls, is_askable, is_cut
from activities.toolbox import Subject, Toolbox
from clients.http.reader import SHUT_DOOR, Limits, NoAnswerError, Trouble, fetch
from clients.peers.fixtures import refuse_unsound
from clients.store.read_models import LogLevel
from clients.telemetry.tracing import TRACEPARENT, TRACESTATE
from domain.calls.discovery import CallKey
from domain.cases.tokens import BAGGAGE_HEADER, token_of, without_markers
from domain.errors import ErrorCode, HoldfastError
from domain.faults.capture import build_rules, captured_answers
from domain.faults.model import CapturedFailure, FaultOrder, fault_type
from domain.traffic.driving import RecordedEntry
from domain.traffic.exchange import CapturedAnswer, RecordedExchange, ReplayedAnswer

MOST_CALLS = 100
"""Most calls that are captured of one service in one round."""

LONGEST_ANSWER = 1 << 20
"""Most bytes of a captured answer, as in the proxy's replays."""

_LONGEST_REQUEST = timedelta(seconds=30)

_OF_THE_SERVICE = (Trouble.CONNECT, Trouble.TIMEOUT, Trouble.BROKEN)
"""The failures that count as the broken service's own.

Any other error is about the request, or about reading the answer.
"""

_NOT_SENT_AGAIN = frozenset(
    ("host", "content-length", "connection", "transfer-encoding", "accept-encoding", "expect", "keep-alive", "te",
     "upgrade", "proxy-connection", BAGGAGE_HEADER, TRACEPARENT, TRACESTATE)
)  # fmt: skip


class CaptureActivities:
    """Sends recorded requests to a broken service's address in the plan."""

    def __init__(self, tools: Toolbox) -> None:
        self._tools = tools

    @activity.defn(name="capture_calls")
    @acts(REPLAY)
    async def capture(self, order: FaultOrder, permit: Permit) -> CapturedFailure:
        """Send a service's newly found requests while its fault is active.

        How it failed is stored.

        Raises:
            HoldfastError: NO_PERMIT. REPLAY_FAILED when there is nothing to send, or the fault was not running
                throughout. RULES_REJECTED when no rule made of the failure could act.
        """
        order = as_in_the_ledger(order, permit)
        subject = permit.subject
        recorded = await self._uncaptured(subject, order)
        # The proxy only replays what its analysis recorded. So these requests are read from the recordings again,
        # secrets included, and sent from here.
        requests = await self._requests(subject, order, recorded)
        answers = await self._send(subject, order, requests)
        cut = [is_cut(entry) for entry in requests]
        # Another attempt would send real business requests again.
        end, every = deadline(subject.plan.timeouts.replay), subject.execution.timing.poll
        captured = await retry_within_attempt(
            lambda: self._keep_if_broken(subject, order, recorded, answers, cut), end=end, every=every
        )
        return summary_of(order, captured)

    async def _keep_if_broken(
        self,
        subject: Subject,
        order: FaultOrder,
        recorded: list[RecordedExchange],
        answers: list[ReplayedAnswer],
        cut: list[bool],
    ) -> list[CapturedAnswer]:
        status = await self._tools.faults(subject.plan).status(order.fault_name)
        if status is None or not status.running:
            raise HoldfastError(
                ErrorCode.REPLAY_FAILED,
                f"fault {order.fault_name} was gone by the end, so what was captured proves nothing",
                hint="is safety.fault_ttl too short, or does the service heal itself?",
            )
        return await self._keep(subject, order, recorded, answers, cut)

    async def _uncaptured(self, subject: Subject, order: FaultOrder) -> list[RecordedExchange]:
        """Return the service's stored requests that have no captured failure yet."""
        store = self._tools.store
        execution_id = subject.execution.execution_id
        known = {
            (failure.method, failure.path)
            for failure in await store.traffic.captured(execution_id)
            if failure.service == order.service
        }
        calls = {
            (call.method, call.path)
            for call in await store.calls.all(execution_id)
            if call.service == order.service and call.new and not call.reason
        }
        stored = await store.traffic.exchanges(execution_id, order.service)
        return [exchange for exchange in stored if (exchange.method, exchange.path) in calls - known][:MOST_CALLS]

    async def _requests(
        self, subject: Subject, order: FaultOrder, recorded: list[RecordedExchange]
    ) -> list[RecordedEntry]:
        seen = RecordedCalls(self._tools, subject)
        await seen.read()
        found = [seen.request(CallKey(order.service, exchange.method, exchange.path)) for exchange in recorded]
        requests = [entry for entry in found if entry is not None and is_askable(entry)]
        if not requests or len(requests) < len(found):
            raise HoldfastError(
                ErrorCode.REPLAY_FAILED,
                f"the recording of {order.service} no longer has the requests",
                hint="was its pod replaced, or the proxy restarted?",
            )
        return requests

    async def _send(
        self, subject: Subject, order: FaultOrder, requests: Iterable[RecordedEntry]
    ) -> list[ReplayedAnswer]:
        # One after the other: these are real requests, to a service that is broken.
        end = deadline(subject.plan.timeouts.replay)
        address = subject.plan.system.services[order.service].rstrip("/")
        answers = []
        for request in requests:
            seconds = min(_LONGEST_REQUEST, max(end.left, timedelta(seconds=1))).total_seconds()
            answers.append(await _answer(address, request, Limits(seconds=seconds, body=LONGEST_ANSWER)))
        return answers

    async def _keep(
        self,
        subject: Subject,
        order: FaultOrder,
        recorded: list[RecordedExchange],
        answers: list[ReplayedAnswer],
        cut: list[bool],
    ) -> list[CapturedAnswer]:
        """Store the captured failures.

        `cut` has a flag for each request: whether only the beginning of its healthy answer is known.
        """
        service = subject.plan.service(order.service)
        secrets = self._tools.secrets
        redacted = await asyncio.to_thread(redacted_answers, answers, self._tools.redactor(subject.plan))
        redacted = [
            _with_healthy_body(answer, healthy) if short else answer
            for answer, healthy, short in zip(redacted, recorded, cut, strict=True)
        ]
        on_wire = [
            exchange.model_copy(update={"path": secrets.path_on_the_wire(exchange.path)}) for exchange in recorded
        ]
        captured = [
            failure.model_copy(update={"position": recorded[failure.position].position})
            for failure in captured_answers(order.service, redacted, on_wire, service.substitute_status)
        ]
        refuse_unsound(
            build_rules(subject.execution.record_id, order.service, token_of(subject.plan, order.service), captured)
        )
        if not captured:
            raise HoldfastError(ErrorCode.REPLAY_FAILED, f"none of the answers of {order.service} belongs to a request")
        kept = [failure.model_copy(update={"path": secrets.kept_path(failure.path)}) for failure in captured]
        kind = fault_type(service.fault)
        await self._tools.store.traffic.save_captured(order.execution_id, kind, kept)
        message = f"{order.service} broken at {len(kept)} calls that only other failures cause"
        key = f"fault:{order.fault_name}:captured"
        await self._tools.store.logs.add(order.execution_id, key, LogLevel.INFO, message)
        return captured


def _with_healthy_body(answer: ReplayedAnswer, healthy: RecordedExchange) -> ReplayedAnswer:
    """Return the answer, with the healthy body if it begins with that."""
    # No more of the healthy answer is known. So an answer that begins with it counts as equal: the fault had no effect.
    begins = bool(healthy.response_body) and answer.body.startswith(healthy.response_body)
    return answer.model_copy(update={"body": healthy.response_body}) if begins else answer


async def _answer(address: str, request: RecordedEntry, limits: Limits) -> ReplayedAnswer:
    """Send one request; return its answer in the proxy's replay format."""
    url = address + request.target
    headers = {name: value for name, value in request.request_headers.items() if name not in _NOT_SENT_AGAIN}
    # Keep the baggage that propagated with the request, but not our markers of a case's calls.
    baggage = without_markers(request.request_headers.get(BAGGAGE_HEADER, ""))
    if baggage:
        headers[BAGGAGE_HEADER] = baggage
    body = request.request_body.encode() or None
    try:
        answer = await fetch(request.method, url, limits, headers=headers, body=body)
    except NoAnswerError as error:
        if error.trouble not in _OF_THE_SERVICE or error.name == SHUT_DOOR:
            raise HoldfastError(
                ErrorCode.REPLAY_FAILED,
                f"no answer to {request.method} {request.path[:200]}: {error.trouble} ({error.name})",
            ) from error
        return ReplayedAnswer(url=url, method=request.method, status=0, error_message=error.name)
    kind = {"content-type": [answer.content_type]} if answer.content_type else {}
    return ReplayedAnswer(url=url, method=request.method, status=answer.status, headers=kind, body=answer.text)
