"""How a service fails at calls that only other failures cause: the recorded requests, sent again while it is broken."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import timedelta

from temporalio import activity

from activities.clocks import deadline
from activities.faults import as_in_the_ledger, redacted_answers, summary_of
from activities.permit import REPLAY, Permit, acts
from activities.recorded_calls import RecordedCalls, is_askable, is_cut
from activities.toolbox import Subject, Toolbox
from clients.fixtures import refuse_unsound
from clients.proxy_wire import RecordedEntry
from clients.reader import SHUT_DOOR, Limits, NoAnswerError, Trouble, fetch
from clients.store.read_models import LogLevel
from workflows.contracts.errors import ErrorCode, HoldfastError
from workflows.contracts.exchange import CapturedAnswer, RecordedExchange, ReplayedAnswer
from workflows.contracts.faults import CapturedFailure, FaultOrder
from workflows.logic.calls import CallKey
from workflows.logic.capture import build_rules, captured_answers
from workflows.logic.faults import expand
from workflows.logic.tokens import BAGGAGE_HEADER, token_of, without_markers

MOST_CALLS = 100
"""Of one service in one round."""

LONGEST_ANSWER = 1 << 20
"""Bytes of an answer that are captured, as the proxy's replays may have."""

_LONGEST_REQUEST = timedelta(seconds=30)

_OF_THE_SERVICE = (Trouble.CONNECT, Trouble.TIMEOUT, Trouble.BROKEN)
"""What a broken service does. Anything else is trouble with the request, or with reading: no failure of the service."""

_NOT_SENT_AGAIN = frozenset(
    ("host", "content-length", "connection", "transfer-encoding", "accept-encoding", "expect", "keep-alive", "te",
     "upgrade", "proxy-connection", BAGGAGE_HEADER)
)  # fmt: skip


class CaptureActivities:
    """Sends recorded requests to one broken service, at its address in the plan."""

    def __init__(self, tools: Toolbox) -> None:
        self._tools = tools

    @activity.defn(name="capture_calls")
    @acts(REPLAY)
    async def capture(self, order: FaultOrder, permit: Permit) -> CapturedFailure:
        """Send a service's newly found requests while its fault is on, and store how it failed.

        The proxy replays what its analysis has recorded, and nothing else; so these requests are read from its
        recordings once more, secrets included, and sent from here.

        Raises:
            HoldfastError: NO_PERMIT; REPLAY_FAILED when there is nothing to send, or the fault was not running all the
                while; RULES_REJECTED when no rule made of it could act.
        """
        order, subject = as_in_the_ledger(order, permit), permit.subject
        recorded = await self._uncaptured(subject, order)
        requests = await self._requests(subject, order, recorded)
        answers = await self._send(subject, order, requests)
        status = await self._tools.faults(subject.plan).status(order.fault_name)
        if status is None or not status.running:
            raise HoldfastError(
                ErrorCode.REPLAY_FAILED,
                f"fault {order.fault_name} was gone by the end, so what was captured proves nothing",
                hint="is safety.fault_ttl too short, or does the service heal itself?",
            )
        cut = [is_cut(one) for one in requests]
        captured = await self._keep(subject, order, recorded, answers, cut)
        return summary_of(order, captured)

    async def _uncaptured(self, subject: Subject, order: FaultOrder) -> list[RecordedExchange]:
        """Requests of the service that were stored and have no captured failure yet."""
        store, execution_id = self._tools.store, subject.execution.execution_id
        known = {(one.method, one.path) for one in await store.captured(execution_id) if one.service == order.service}
        calls = {
            (one.method, one.path)
            for one in await store.calls(execution_id)
            if one.service == order.service and one.new and not one.reason
        }
        stored = await store.exchanges(execution_id, order.service)
        return [one for one in stored if (one.method, one.path) in calls - known][:MOST_CALLS]

    async def _requests(
        self, subject: Subject, order: FaultOrder, recorded: list[RecordedExchange]
    ) -> list[RecordedEntry]:
        seen = RecordedCalls(self._tools, subject)
        await seen.read()
        found = [seen.request(CallKey(order.service, one.method, one.path)) for one in recorded]
        requests = [one for one in found if one is not None and is_askable(one)]
        if not requests or len(requests) < len(found):
            raise HoldfastError(
                ErrorCode.REPLAY_FAILED,
                f"the recording of {order.service} does not have the requests any more",
                hint="was its pod replaced, or the proxy restarted?",
            )
        return requests

    async def _send(
        self, subject: Subject, order: FaultOrder, requests: Iterable[RecordedEntry]
    ) -> list[ReplayedAnswer]:
        """One after the other: real requests, to a service that is broken."""
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
        """Store what came back. `cut`: whether only the beginning of each healthy answer is known."""
        service, secrets = subject.plan.service(order.service), self._tools.secrets
        redacted = await asyncio.to_thread(redacted_answers, answers, self._tools.redactor(subject.plan))
        redacted = [
            _as_long_as(answer, healthy) if short else answer
            for answer, healthy, short in zip(redacted, recorded, cut, strict=True)
        ]
        on_wire = [one.model_copy(update={"path": secrets.path_on_the_wire(one.path)}) for one in recorded]
        captured = [
            one.model_copy(update={"position": recorded[one.position].position})
            for one in captured_answers(order.service, redacted, on_wire, service.substitute_status)
        ]
        refuse_unsound(
            build_rules(subject.execution.record_id, order.service, token_of(subject.plan, order.service), captured)
        )
        if not captured:
            raise HoldfastError(ErrorCode.REPLAY_FAILED, f"nothing that {order.service} answered belongs to a request")
        kept = [one.model_copy(update={"path": secrets.kept_path(one.path)}) for one in captured]
        kind = expand(service.fault, service.name, subject.namespace).type
        await self._tools.store.save_captured(order.execution_id, kind, kept)
        message = f"{order.service} broken at {len(kept)} calls that only other failures cause"
        key = f"fault:{order.fault_name}:captured"
        await self._tools.store.log(order.execution_id, key, LogLevel.INFO, message)
        return captured


def _as_long_as(answer: ReplayedAnswer, healthy: RecordedExchange) -> ReplayedAnswer:
    """An answer that begins as the healthy one, of which no more is known, is that one: the fault changed nothing."""
    begins = bool(healthy.response_body) and answer.body.startswith(healthy.response_body)
    return answer.model_copy(update={"body": healthy.response_body}) if begins else answer


async def _answer(address: str, request: RecordedEntry, limits: Limits) -> ReplayedAnswer:
    """Send one request, and say what came back in the form in which the proxy says it of its replays."""
    url = address + request.target
    headers = {name: value for name, value in request.request_headers.items() if name not in _NOT_SENT_AGAIN}
    # What propagated with it stays, but not what marks the calls of a case.
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
                f"no answer to {request.method} {request.path[:200]} can be had: {error.trouble} ({error.name})",
            ) from error
        return ReplayedAnswer(url=url, method=request.method, status=0, error_message=error.name)
    kind = {"content-type": [answer.content_type]} if answer.content_type else {}
    return ReplayedAnswer(url=url, method=request.method, status=answer.status, headers=kind, body=answer.text)
