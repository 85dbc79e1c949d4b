"""Rules at the proxy: upserted once, seen to act, removed and seen not to act."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from itertools import groupby

from temporalio import activity

from activities.base import NotRepeatedError, poll, uncancelled
from activities.clocks import Deadline, closing_deadline, deadline, server_now
from activities.closing import acting, close_rules
from activities.permit import UPSERT, Permit, acts, closes, no_permit, reads
from activities.toolbox import Subject, Toolbox
from clients.store.read_models import LogLevel
from workflows.contracts.errors import ErrorCode, HoldfastError
from workflows.contracts.exchange import Rule
from workflows.contracts.load import RulesOrder, RulesUpserted
from workflows.contracts.plan import Plan
from workflows.contracts.windows import Closing
from workflows.logic.capture import build_rules
from workflows.logic.cases import case_count
from workflows.logic.durations import rules_ttl

_Missing = Callable[[], Awaitable[set[str]]]


class RulesActivities:
    """Acts on the proxy's fixtures API."""

    def __init__(self, tools: Toolbox) -> None:
        self._tools = tools

    @activity.defn(name="upsert_rules")
    @acts(UPSERT)
    async def upsert(self, order: RulesOrder, permit: Permit) -> RulesUpserted:
        """Ask the proxy, once, to answer with the captured failures of these services.

        Not repeatable: an upsert on top of an earlier one makes a sidecar forward to itself (`peer-contract` section
        3.3), so every service is asked first whether a sidecar is in place. No trouble with the peer repeats it; only
        when its worker died there is another attempt, and that one removes what the dead one did, or is still doing.

        How long they live is computed from the plan, whatever the order says.

        Raises:
            HoldfastError: NO_PERMIT; RULES_REJECTED when a service is not clean or the proxy refuses; a PEER_ code when
                the outcome is unknown. None of them is repeated.
        """
        subject = permit.subject
        order = _within_the_plan(order, subject.plan)
        try:
            if activity.info().attempt > 1:
                await self._remove_earlier(subject, order)
            return await self._upsert(subject, order)
        except HoldfastError as error:
            raise NotRepeatedError(error.code, error.message, hint=error.hint) from error

    async def _remove_earlier(self, subject: Subject, order: RulesOrder) -> None:
        """Remove rules of an attempt whose worker died, until the proxy can no longer be putting them in."""
        end = Deadline.after(subject.execution.timing.call_timeout)
        closing = await close_rules(self._tools, subject, order.services, end, subject.execution.timing.settle)
        if not closing.verified:
            raise HoldfastError(ErrorCode.RULES_REJECTED, f"an earlier attempt left rules behind: {closing.detail}")

    async def _upsert(self, subject: Subject, order: RulesOrder) -> RulesUpserted:
        client = self._tools.proxy(subject.plan)
        for service in order.services:
            check = await client.check(namespace=subject.namespace, service=service)
            if check.recording:
                raise HoldfastError(
                    ErrorCode.RULES_REJECTED,
                    f"{service} still has a sidecar of session {check.recording_id}; rules on top of it would break it",
                    hint=f"see {subject.plan.system.proxy}/api/interceptions/active",
                )
        rules = await self._rules(subject, order)
        expires_at = server_now() + timedelta(seconds=order.ttl_seconds)
        await uncancelled(
            client.upsert_rules(
                namespace=subject.namespace,
                record_id=subject.execution.record_id,
                ttl_seconds=order.ttl_seconds,
                rules=rules,
                longest=subject.execution.timing.upsert(len(order.services)),
            )
        )
        message = f"{len(rules)} rules for {len(order.services)} services upserted as {subject.execution.record_id}"
        await self._tools.store.log(order.execution_id, "rules:upserted", LogLevel.INFO, message)
        return RulesUpserted(
            record_id=subject.execution.record_id,
            rules=len(rules),
            services=order.services,
            ttl_seconds=order.ttl_seconds,
            expires_at=expires_at,
        )

    async def _rules(self, subject: Subject, order: RulesOrder) -> list[Rule]:
        tokens = await self._tools.store.tokens(order.execution_id)
        kept = await self._tools.store.captured(order.execution_id)
        wire = self._tools.secrets.path_on_the_wire
        captured = sorted(
            (one.model_copy(update={"path": wire(one.path)}) for one in kept if one.service in order.services),
            key=lambda one: (one.service, one.position),
        )
        rules = []
        for service, answers in groupby(captured, key=lambda one: one.service):
            rules += build_rules(subject.execution.record_id, service, tokens[service], list(answers))
        return rules

    @activity.defn(name="await_rules_registered")
    @reads
    async def await_registered(self, order: RulesOrder) -> None:
        """Wait until the proxy knows a session for every service.

        Raises:
            HoldfastError: INTERCEPTOR_NOT_READY after `timeouts.rules_ready`, naming the services.
        """
        subject = await self._tools.subject(order.execution_id)
        client = self._tools.proxy(subject.plan)

        async def missing() -> set[str]:
            found = await client.rules_active(record_id=subject.execution.record_id, services=order.services)
            return set(order.services) - found

        await self._until_none(subject, missing, "the proxy has no active rules for")

    @activity.defn(name="await_rules_acting")
    @reads
    async def await_acting(self, order: RulesOrder) -> None:
        """Wait until every service's rules are seen to act, by their canaries.

        Raises:
            HoldfastError: INTERCEPTOR_NOT_READY after `timeouts.rules_ready`, naming the services.
        """
        subject = await self._tools.subject(order.execution_id)

        async def missing() -> set[str]:
            return set(order.services) - await acting(self._tools, subject, order.services)

        await self._until_none(subject, missing, "the rules do not act in")
        await self._tools.store.log(order.execution_id, "rules:acting", LogLevel.INFO, "all rules were seen to act")

    async def _until_none(self, subject: Subject, missing: _Missing, failed: str) -> None:
        longest = subject.plan.timeouts.rules_ready
        left: set[str] = set()

        async def look() -> bool | None:
            nonlocal left
            left = await missing()
            return None if left else True

        if await poll(look, end=deadline(longest), every=subject.execution.timing.poll) is None:
            raise HoldfastError(
                ErrorCode.INTERCEPTOR_NOT_READY,
                f"{failed} {', '.join(sorted(left))} after {longest.total_seconds():g} s",
                hint="is the sidecar rolled out, and is timeouts.rules_ready long enough for a rollout?",
            )

    @activity.defn(name="remove_rules")
    @closes
    async def remove(self, order: RulesOrder) -> Closing:
        """Delete the rules and see that they no longer act; unverified after `timeouts.recovery` is a result.

        Those of the execution's record id, as the store has it, in services of its plan.
        """
        subject = await self._tools.subject_for_closing(order.execution_id)
        known = [service for service in order.services if service in subject.plan.service_names]
        order = order.model_copy(update={"services": known})
        end = closing_deadline(subject.plan.timeouts.recovery, subject.execution.timing.call_timeout)
        settle = timedelta(0) if order.known_to_be_on else subject.execution.timing.settle
        closing = await close_rules(self._tools, subject, order.services, end, settle)
        await self._tools.notes.add(
            order.execution_id, "rules:removed", LogLevel.INFO, closing.detail or "all rules are gone"
        )
        return closing


def _within_the_plan(order: RulesOrder, plan: Plan) -> RulesOrder:
    """The order, for services of the plan, with the life that the plan gives to rules.

    Raises:
        HoldfastError: NO_PERMIT for a service that the plan does not have.
    """
    strange = [service for service in order.services if service not in plan.service_names]
    if strange:
        raise no_permit(f"{strange[0][:100]} is no service of the plan")
    ttl = int(rules_ttl(plan, case_count(len(plan.services))).total_seconds())
    return order.model_copy(update={"ttl_seconds": ttl})
