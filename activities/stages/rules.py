"""Rules at the proxy: upserted once, verified, deleted, and verified again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from itertools import groupby

from temporalio import activity

from activities.base import NotRepeatedError, finish_despite_cancel, poll_until
from activities.clocks import Deadline, closing_deadline, deadline
from activities.permit import UPSERT, Permit, acts, closes, no_permit, reads
from activities.recovery.closing import acting, close_rules
from activities.toolbox import Subject, Toolbox
from clients.store.read_models import LogLevel
from domain.cases.cases import case_count
from domain.errors import ErrorCode, HoldfastError
from domain.executions.windows import Closing
from domain.faults.capture import build_rules
from domain.measuring.load import RulesOrder, RulesUpserted
from domain.plans.durations import rules_ttl
from domain.plans.plan import Plan
from domain.traffic.exchange import Rule

_Missing = Callable[[], Awaitable[set[str]]]


class RulesActivities:
    """Controls the proxy's rules, through its fixtures API."""

    def __init__(self, tools: Toolbox) -> None:
        self._tools = tools

    @activity.defn(name="upsert_rules")
    @acts(UPSERT)
    async def upsert(self, order: RulesOrder, permit: Permit) -> RulesUpserted:
        """Upsert the rules that answer with these services' captured failures.

        It must not be repeated blindly: an upsert on top of an earlier one makes a sidecar forward to itself
        (`peer-contract` section 3.3). So no peer error is retried. There is another attempt only after the death of the
        worker or a defect of ours.

        The rules' TTL is computed from the plan, whatever the order contains.

        Raises:
            HoldfastError: NO_PERMIT. RULES_REJECTED when a service is not clean or the proxy refuses. A PEER_ code when
                the outcome is unknown. None of them is retried.
        """
        subject = permit.subject
        order = _within_the_plan(order, subject.plan)
        # Read before anything is done, so that a store that is away for a moment costs another attempt and not the run.
        rules = await self._rules(subject, order)
        try:
            if activity.info().attempt > 1:
                # Delete what the earlier attempt did, or what the proxy is still doing for it.
                await self._remove_earlier(subject, order)
            return await self._upsert(subject, order, rules)
        except HoldfastError as error:
            raise NotRepeatedError.of(error) from error

    async def _remove_earlier(self, subject: Subject, order: RulesOrder) -> None:
        """Delete the rules of an earlier attempt until no more can appear."""
        end = Deadline.after(subject.execution.timing.call_timeout)
        closing = await close_rules(self._tools, subject, order.services, end, subject.execution.timing.settle)
        if not closing.verified:
            raise HoldfastError(ErrorCode.RULES_REJECTED, f"an earlier attempt left rules behind: {closing.detail}")

    async def _upsert(self, subject: Subject, order: RulesOrder, rules: list[Rule]) -> RulesUpserted:
        client = self._tools.proxy(subject.plan)
        # A rule on top of an existing sidecar would make it forward to itself.
        for service in order.services:
            check = await client.check(namespace=subject.namespace, service=service)
            if check.recording:
                raise HoldfastError(
                    ErrorCode.RULES_REJECTED,
                    f"{service} still has a sidecar of session {check.recording_id}; rules on top of it would break it",
                    hint=f"see {subject.plan.system.proxy}/api/interceptions/active",
                )
        await finish_despite_cancel(
            client.upsert_rules(
                namespace=subject.namespace,
                record_id=subject.execution.record_id,
                ttl_seconds=order.ttl_seconds,
                rules=rules,
                longest=subject.execution.timing.upsert(len(order.services)),
            )
        )
        message = f"{len(rules)} rules for {len(order.services)} services upserted as {subject.execution.record_id}"
        # Not `store.logs`: what is on is on, and an upsert is not repeated because its line cannot be written.
        await self._tools.notes.add(order.execution_id, "rules:upserted", LogLevel.INFO, message)
        return RulesUpserted(
            record_id=subject.execution.record_id,
            rules=len(rules),
            services=order.services,
            ttl_seconds=order.ttl_seconds,
        )

    async def _rules(self, subject: Subject, order: RulesOrder) -> list[Rule]:
        tokens = await self._tools.store.cases.tokens(order.execution_id)
        on_the_wire = self._tools.secrets.path_on_the_wire
        captured = [
            answer.model_copy(update={"path": on_the_wire(answer.path)})
            for answer in await self._tools.store.traffic.captured(order.execution_id)
            if answer.service in order.services
        ]
        # `groupby` needs the answers of a service side by side.
        captured.sort(key=lambda answer: (answer.service, answer.position))
        rules = []
        for service, answers in groupby(captured, key=lambda answer: answer.service):
            rules += build_rules(subject.execution.record_id, service, tokens[service], list(answers))
        return rules

    @activity.defn(name="await_rules_registered")
    @reads
    async def await_registered(self, order: RulesOrder) -> None:
        """Wait until the proxy lists a session for every service.

        Raises:
            HoldfastError: INTERCEPTOR_NOT_READY after `timeouts.rules_ready`, naming the services.
        """
        subject = await self._tools.subject(order.execution_id)
        client = self._tools.proxy(subject.plan)

        async def missing() -> set[str]:
            found = await client.rules_active(record_id=subject.execution.record_id, services=order.services)
            return set(order.services) - found

        await self._await_none_missing(subject, missing, "the proxy has no active rules for")

    @activity.defn(name="await_rules_acting")
    @reads
    async def await_acting(self, order: RulesOrder) -> None:
        """Wait until every service's canary shows that its rules act.

        Raises:
            HoldfastError: INTERCEPTOR_NOT_READY after `timeouts.rules_ready`, naming the services.
        """
        subject = await self._tools.subject(order.execution_id)

        async def missing() -> set[str]:
            return set(order.services) - await acting(self._tools, subject, order.services)

        await self._await_none_missing(subject, missing, "the rules do not act in")
        await self._tools.store.logs.add(
            order.execution_id, "rules:acting", LogLevel.INFO, "all rules were seen to act"
        )

    async def _await_none_missing(self, subject: Subject, missing: _Missing, failed: str) -> None:
        longest = subject.plan.timeouts.rules_ready
        left: set[str] = set()

        async def none_missing() -> bool:
            nonlocal left
            left = await missing()
            return not left

        if not await poll_until(none_missing, end=deadline(longest), every=subject.execution.timing.poll):
            raise HoldfastError(
                ErrorCode.INTERCEPTOR_NOT_READY,
                f"{failed} {', '.join(sorted(left))} after {longest.total_seconds():g} s",
                hint="is the sidecar rolled out, and is timeouts.rules_ready long enough for a rollout?",
            )

    @activity.defn(name="remove_rules")
    @closes
    async def remove(self, order: RulesOrder) -> Closing:
        """Delete the rules and verify that they no longer act.

        If that cannot be verified within `timeouts.recovery`, the result is unverified. It is not an error. Only rules
        of the execution's stored record id, in services of its plan, are deleted.
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
    """Return the order with the TTL that the plan gives to rules.

    Raises:
        HoldfastError: NO_PERMIT for a service that the plan does not have.
    """
    unknown = [service for service in order.services if service not in plan.service_names]
    if unknown:
        raise no_permit(f"{unknown[0][:100]} is not a service of the plan")
    ttl = int(rules_ttl(plan, case_count(len(plan.services))).total_seconds())
    return order.model_copy(update={"ttl_seconds": ttl})
