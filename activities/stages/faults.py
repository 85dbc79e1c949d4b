"""One real fault, from injection through replay to removal.

Its name is in the ledger before it is injected.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

from temporalio import activity

from activities.base import finish_despite_cancel, poll, retry_within_attempt
from activities.clocks import closing_deadline, deadline, elapsed
from activities.permit import INJECT, REPLAY, Permit, acts, closes, no_permit, reads
from activities.recovery.bookkeeping import in_time
from activities.recovery.closing import close_fault
from activities.stages.recorded_calls import recording_is_on
from activities.toolbox import Subject, Toolbox
from clients.drivers.fault_driver import FaultDriver
from clients.peers.fixtures import refuse_unsound
from clients.secrets.values import Redactor
from clients.store.read_models import LogLevel
from domain.cases.tokens import token_of
from domain.errors import ErrorCode, HoldfastError
from domain.executions.windows import Closing
from domain.faults.capture import build_rules, captured_answers, has_effect, has_no_result
from domain.faults.driving import FaultExists, FaultIntent, FaultStatus
from domain.faults.model import CapturedFailure, FaultOrder, FaultRunning, fault_type
from domain.names import named_fault
from domain.plans.durations import fault_ttl
from domain.traffic.exchange import CapturedAnswer, ReplayedAnswer

_UNKNOWN_OUTCOME = {ErrorCode.PEER_ERROR, ErrorCode.PEER_TIMEOUT, ErrorCode.PEER_UNREACHABLE, ErrorCode.PEER_GARBAGE}
"""After these errors the fault may or may not exist.

Only its status, requested by name, shows that (`peer-contract` section 2.2).
"""


class FaultActivities:
    """Controls the fault service, and the proxy for the replay."""

    def __init__(self, tools: Toolbox) -> None:
        self._tools = tools

    @activity.defn(name="inject_fault")
    @acts(INJECT)
    async def inject(self, order: FaultOrder, permit: Permit) -> None:
        """Inject the service's fault, or adopt that of an earlier attempt.

        Its name is the one in the window's ledger row, which follows from execution, service and the window's run.

        Raises:
            HoldfastError: NO_PERMIT. FAULT_REJECTED when the fault service refuses the spec. A PEER_ code when the
                outcome is unknown and the fault does not exist (the next attempt then injects it).
        """
        order = as_in_the_ledger(order, permit)
        subject = permit.subject
        client = self._tools.faults(subject.plan)
        if activity.info().attempt > 1 and await client.status(order.fault_name) is not None:
            return
        try:
            await self._inject(client, subject, order)
        except FaultExists:
            return
        except HoldfastError as error:
            if error.code not in _UNKNOWN_OUTCOME or await client.status(order.fault_name) is None:
                raise

    async def _inject(self, driver: FaultDriver, subject: Subject, order: FaultOrder) -> None:
        service = subject.plan.service(order.service)
        recorded = await recording_is_on(self._tools, order.execution_id)
        intent = FaultIntent(
            fault=service.fault, service=service.name, namespace=subject.namespace, beside_recording=recorded
        )
        ttl = min(fault_ttl(subject.plan), self._tools.rails.longest_fault)
        kind = fault_type(service.fault)
        await self._log(order, "injecting", f"injecting {kind} into {order.service} as {order.fault_name}")
        await finish_despite_cancel(driver.inject(order.fault_name, ttl, intent))

    @activity.defn(name="await_fault_running")
    @reads
    async def await_running(self, order: FaultOrder) -> FaultRunning:
        """Wait until the fault runs in all its targets.

        Raises:
            HoldfastError: FAULT_NOT_RUNNING when it failed, is missing, or took longer than `timeouts.fault_running`.
        """
        subject = await self._tools.subject(order.execution_id)
        client = self._tools.faults(subject.plan)
        longest = subject.plan.timeouts.fault_running
        started = elapsed()
        last: FaultStatus | None = None

        async def look() -> FaultStatus | None:
            nonlocal last
            last = await client.status(order.fault_name)
            if last is None or last.failed:
                raise _not_running(order, last, "it failed" if last else "it does not exist")
            return last if last.running else None

        if await poll(look, end=deadline(longest), every=subject.execution.timing.poll) is None:
            raise _not_running(order, last, f"not running after {longest.total_seconds():g} s")
        waited = (elapsed() - started).total_seconds()
        return FaultRunning(fault_name=order.fault_name, waited_seconds=waited)

    @activity.defn(name="replay_and_capture")
    @acts(REPLAY)
    async def replay(self, order: FaultOrder, permit: Permit) -> CapturedFailure:
        """Replay the service's recorded requests while its fault is active.

        How it failed is stored.

        Raises:
            HoldfastError: NO_PERMIT. REPLAY_FAILED when nothing was replayed, or the fault was not running throughout.
                RULES_REJECTED when no rule made of the failure could act.
        """
        order = as_in_the_ledger(order, permit)
        subject = permit.subject
        end = deadline(subject.plan.timeouts.replay)
        answers = await self._replay(subject, order, end.left)
        # Another attempt would send real business requests again.
        every = subject.execution.timing.poll
        return await retry_within_attempt(lambda: self._keep(subject, order, answers), end=end, every=every)

    async def _keep(self, subject: Subject, order: FaultOrder, answers: list[ReplayedAnswer]) -> CapturedFailure:
        """Store how the service failed, if its fault is still running."""
        status = await self._tools.faults(subject.plan).status(order.fault_name)
        if status is None or not status.running:
            raise HoldfastError(
                ErrorCode.REPLAY_FAILED,
                f"fault {order.fault_name} was gone by the end of the replay, so what was captured proves nothing",
                hint="is safety.fault_ttl shorter than the replay, or does the service heal itself?",
            )
        captured = await self._capture(subject, order, answers)
        if not captured:
            raise HoldfastError(
                ErrorCode.REPLAY_FAILED,
                f"the proxy replayed requests for {order.service} that are not among its recorded requests",
                hint="a rule made from them would never act",
            )
        # Refused here, an unsound rule costs this service its cases. Refused at the upsert, it would cost all of them.
        token = token_of(subject.plan, order.service)
        refuse_unsound(build_rules(subject.execution.record_id, order.service, token, captured))
        summary = summary_of(order, captured)
        substitute = ", the plan's substitute, because there was no HTTP answer" if summary.substituted else ""
        await self._log(order, "captured", f"{order.service} answered with status {summary.status}{substitute}")
        return summary

    async def _replay(self, subject: Subject, order: FaultOrder, longest: timedelta) -> list[ReplayedAnswer]:
        """Replay the recorded requests once."""
        # Every peer error becomes REPLAY_FAILED, which is not retried: a replay sends real business requests.
        try:
            answers = await self._tools.proxy(subject.plan).replay(
                execution_id=order.execution_id, namespace=subject.namespace, service=order.service, longest=longest
            )
        except HoldfastError as error:
            raise HoldfastError(ErrorCode.REPLAY_FAILED, error.message, hint=error.hint) from error
        if not answers:
            raise HoldfastError(
                ErrorCode.REPLAY_FAILED,
                f"the proxy replayed nothing for {order.service}",
                hint="it has no recorded request of this service under this execution",
            )
        if any(has_no_result(answer) for answer in answers):
            raise HoldfastError(
                ErrorCode.REPLAY_FAILED,
                f"the proxy does not report how {order.service} answered: neither a status nor an error",
                hint="is this a version of the proxy that Holdfast supports?",
            )
        return answers

    async def _capture(
        self, subject: Subject, order: FaultOrder, answers: list[ReplayedAnswer]
    ) -> list[CapturedAnswer]:
        service = subject.plan.service(order.service)
        secrets = self._tools.secrets
        recorded = [
            exchange.model_copy(update={"path": secrets.path_on_the_wire(exchange.path)})
            for exchange in await self._tools.store.traffic.exchanges(order.execution_id, order.service)
        ]
        # Redacted before the comparison, because the healthy answer in the store is redacted too. In a thread, because
        # answers may be megabytes, and heartbeats and closing must go on.
        redacted = await asyncio.to_thread(redacted_answers, answers, self._tools.redactor(subject.plan))
        captured = captured_answers(order.service, redacted, recorded, service.substitute_status)
        kept = [failure.model_copy(update={"path": secrets.kept_path(failure.path)}) for failure in captured]
        kind = fault_type(service.fault)
        await self._tools.store.traffic.save_captured(order.execution_id, kind, kept)
        return captured

    @activity.defn(name="recover_fault")
    @closes
    async def recover(self, order: FaultOrder) -> Closing:
        """Delete the fault and verify that it is gone.

        If that cannot be verified within `timeouts.recovery`, the result is unverified. It is not an error.

        Raises:
            HoldfastError: NO_PERMIT for a fault that is not the execution's, by its name or by the ledger.
        """
        await self._refuse_foreign(order)
        subject = await self._tools.subject_for_closing(order.execution_id)
        end = closing_deadline(subject.plan.timeouts.recovery, subject.execution.timing.call_timeout)
        settle = timedelta(0) if order.known_to_exist else subject.execution.timing.settle
        closing = await close_fault(self._tools, subject, order.fault_name, end, settle)
        message = closing.detail or f"{order.fault_name} is gone from {order.service}"
        await self._tools.notes.add(order.execution_id, _key(order, "recovered"), LogLevel.INFO, message)
        return closing

    async def _refuse_foreign(self, order: FaultOrder) -> None:
        """Refuse to delete another execution's fault.

        A fault is the execution's by its name or by the ledger.
        """
        # The name comes first, because it needs no store. For any other name an unreadable store raises
        # STORE_UNAVAILABLE, which is retried.
        named = named_fault(order.fault_name)
        if named is not None and named.execution_id == order.execution_id:
            return
        rows = await in_time(self._tools.store.ledger.of(order.execution_id))
        if not order.fault_name or all(row.peer_name != order.fault_name for row in rows):
            name = order.fault_name[:100]
            raise no_permit(f"{name or 'a fault without a name'} is not a fault of execution {order.execution_id}")

    async def _log(self, order: FaultOrder, key: str, message: str) -> None:
        await self._tools.store.logs.add(order.execution_id, _key(order, key), LogLevel.INFO, message)


def _key(order: FaultOrder, moment: str) -> str:
    return f"fault:{order.fault_name}:{moment}"


def as_in_the_ledger(order: FaultOrder, permit: Permit) -> FaultOrder:
    """Return the order with the fault name from its window's row.

    Raises:
        HoldfastError: NO_PERMIT when the order is about another service or fault.
    """
    row = permit.window
    if order.service != row.service or order.fault_name not in ("", row.peer_name):
        raise no_permit(
            f"{order.fault_name[:100] or 'a fault'} in {order.service[:100]} is not that of {row.window_id}"
        )
    return order.model_copy(update={"fault_name": row.peer_name})


def redacted_answers(answers: list[ReplayedAnswer], redactor: Redactor) -> list[ReplayedAnswer]:
    """Redact answers, except for their address.

    The address matches an answer to its request, and is not kept.
    """
    return [
        answer.model_copy(
            update={
                "headers": {
                    name: [redacted for value in values for redacted in redactor.headers({name: value}).values()]
                    for name, values in answer.headers.items()
                },
                "body": redactor.body(
                    answer.body, {name: values[0] for name, values in answer.headers.items() if values}
                ),
                "error_message": redactor.text(answer.error_message),
            }
        )
        for answer in answers
    ]


def _not_running(order: FaultOrder, status: FaultStatus | None, why: str) -> HoldfastError:
    detail = f" ({status.detail})" if status and status.detail else ""
    return HoldfastError(
        ErrorCode.FAULT_NOT_RUNNING,
        f"fault {order.fault_name} in {order.service}: {why}{detail}",
        hint="check the experiment and its matchers",
    )


def summary_of(order: FaultOrder, captured: list[CapturedAnswer]) -> CapturedFailure:
    """Return what a run needs to know about a captured failure."""
    return CapturedFailure(
        service=order.service,
        responses=len(captured),
        status=captured[0].status,
        substituted=any(answer.substituted for answer in captured),
        no_effect=not has_effect(captured),
    )
