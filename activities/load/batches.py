"""The load test: batches of cases, measured and stored group by group."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

from temporalio import activity

from activities.clocks import server_now
from activities.load.measuring import GroupRun
from activities.permit import MEASURE, Permit, acts, caller, no_permit, writes
from activities.recovery.closing import acting
from activities.run.judging import one_line
from activities.toolbox import Subject, Toolbox
from clients.store.read_models import CaseResult, LogLevel
from domain.cases.cases import case_count, cases_in
from domain.cases.unmeasurable import exclusion_of
from domain.errors import ErrorCode, HoldfastError
from domain.executions.windows import WindowKind
from domain.guardrails.load_limits import overrun
from domain.measuring.blocks import groups_of
from domain.measuring.load import (
    BatchOrder,
    BatchReport,
    Case,
    CaseOutcome,
    CaseRange,
    CaseType,
    Exclusion,
    ExclusionOrder,
)
from domain.measuring.merging import metrics_of
from domain.measuring.sharing import shared
from domain.measuring.stop_conditions import baseline_reason
from domain.names import WorkflowType
from domain.plans.exclusions import PlanExclusions
from domain.plans.plan import Plan

VANISHED = "the rules were gone by the end of the batch: the measurements may show the healthy system"


class LoadActivities:
    """Activities of the load test.

    Those that send load run on the load queue, so that recovery never waits behind them.
    """

    def __init__(self, tools: Toolbox) -> None:
        self._tools = tools

    @activity.defn(name="exclude_cases")
    @writes(WorkflowType.RESILIENCE_TEST)
    async def exclude(self, order: ExclusionOrder) -> BatchReport:
        """Store outcome and reason of every case that is not measured."""
        plan = await self._tools.store.executions.plan(order.execution_id)
        outcomes: Counter[CaseOutcome] = Counter()

        def unmeasured() -> Iterator[CaseResult]:
            for result in _unmeasured_cases(plan, order.exclusions):
                outcomes[result.outcome] += 1
                yield result

        await self._tools.store.results.save_unmeasured(order.execution_id, unmeasured())
        for exclusion in order.exclusions:
            await self._tools.store.logs.add(
                order.execution_id, f"excluded:{exclusion.service}", LogLevel.WARN, exclusion.reason
            )
        return BatchReport(invalid=outcomes[CaseOutcome.INVALID], skipped=outcomes[CaseOutcome.SKIPPED])

    @activity.defn(name="measure_batch")
    @acts(MEASURE)
    async def measure_batch(self, order: BatchOrder, permit: Permit) -> BatchReport:
        """Measure the cases of a batch that have no result yet.

        Groups are measured one after the other, and each is stored before the next begins. Afterwards the rules must
        still be seen to act. If they do not, the affected results are marked invalid (`peer-contract` property 21).

        Raises:
            HoldfastError: NO_PERMIT, which is checked once a batch. STOP_CONDITION when the baseline is not sound, or
                the worker's limit on load is reached.
        """
        _refuse_foreign(order, permit)
        subject = Subject(permit.subject.execution, shared(permit.subject.plan, order.share))
        tokens = await self._tools.store.cases.tokens(order.execution_id)
        # The store knows what is finished. Heartbeats lag behind.
        finished = await self._tools.store.results.finished(order.execution_id, order.cases.first, order.cases.end)
        cases = await self._tools.store.cases.range(order.execution_id, order.cases.first, order.cases.end)
        await self._require_sound(subject, [case for case in cases if case.index in finished])
        for group in groups_of(subject.plan, [case for case in cases if case.index not in finished]):
            await self._measure(subject, group, tokens)
            await self._require_sound(subject, group)
        # Includes what an earlier attempt measured: it may have died before it could check the rules.
        measured = [case for case in cases if finished.get(case.index, CaseOutcome.MEASURED) is CaseOutcome.MEASURED]
        vanished = await self._vanished(subject, measured)
        if vanished:
            indices = [case.index for case in measured if vanished.intersection(case.services)]
            await self._tools.store.results.invalidate(order.execution_id, indices, VANISHED)
        results = await self._tools.store.results.between(order.execution_id, order.cases.first, order.cases.end)
        found = Counter(result.outcome for result in results)
        return BatchReport(
            measured=found[CaseOutcome.MEASURED],
            invalid=found[CaseOutcome.INVALID],
            skipped=found[CaseOutcome.SKIPPED],
            metrics=metrics_of([one_line(result, None, result.reason) for result in results]),
        )

    async def _require_time(self, subject: Subject) -> None:
        """Check that the worker's own limit still allows load for this run.

        That limit applies whatever the plan's own is.

        Raises:
            HoldfastError: STOP_CONDITION.
        """
        rows = await self._tools.store.ledger.of(subject.execution.execution_id)
        began = [row.created_at for row in rows if row.kind is WindowKind.RULES and row.created_at is not None]
        since = server_now() - min(began) if began else timedelta(0)
        for problem in overrun(subject.plan, self._tools.rails, since):
            raise HoldfastError(ErrorCode.STOP_CONDITION, problem.message, hint=problem.hint)

    async def _measure(self, subject: Subject, group: list[Case], tokens: dict[str, str]) -> None:
        await self._require_time(subject)
        done = await GroupRun(self._tools, subject, group, tokens).measure(self._tools.redactor(subject.plan))
        execution_id = subject.execution.execution_id
        await self._tools.store.results.save_group(execution_id, done.results, done.samples)
        if done.warm_up and not done.warm_up.agreed:
            first, last = group[0].case_id, group[-1].case_id
            message = (
                f"{first} to {last}: not warm after {done.warm_up.requests} requests (load.warm_up); measured anyway"
            )
            await self._tools.store.logs.add(execution_id, f"warm-up:{group[0].index}", LogLevel.WARN, message)

    async def _require_sound(self, subject: Subject, cases: list[Case]) -> None:
        """Check that the baseline, if it is among these cases, is sound.

        Without a sound baseline the other cases prove nothing.

        Raises:
            HoldfastError: STOP_CONDITION with the measured value.
        """
        execution_id = subject.execution.execution_id
        for baseline in (case for case in cases if case.case_type is CaseType.BASELINE):
            (result,) = await self._tools.store.results.between(execution_id, baseline.index, baseline.index + 1)
            reason = baseline_reason(result.measurement, subject.plan.stop.baseline) if result.measurement else ""
            if reason:
                await self._tools.store.logs.add(execution_id, "stop:baseline", LogLevel.ERROR, reason)
                raise HoldfastError(ErrorCode.STOP_CONDITION, reason)

    async def _vanished(self, subject: Subject, measured: list[Case]) -> set[str]:
        services = sorted({service for case in measured for service in case.services})
        return set(services) - await acting(self._tools, subject, services)


def _refuse_foreign(order: BatchOrder, permit: Permit) -> None:
    """Refuse pages of other executions, and shares that the plan lacks.

    All shares together are the plan's load, and no more may be sent at once.
    """
    page = caller().workflow_id
    execution_id = order.execution_id
    if re.fullmatch(rf"load/{execution_id}/[0-9]{{1,9}}", page) is None:
        raise no_permit(f"{page[:200]} is not a page of execution {execution_id}")
    share = order.share
    at_once = permit.subject.plan.load.batches_at_once
    if share is not None and not (share.of == at_once and 0 <= share.lane < at_once):
        raise no_permit(f"share {share.lane} of {share.of} is not one of the plan's {at_once}")


def _unmeasured_cases(plan: Plan, exclusions: list[Exclusion]) -> Iterator[CaseResult]:
    """Yield the cases that the plan excludes or that cannot be measured."""
    plan_exclusions = PlanExclusions(plan)
    excluded = {entry.service: entry for entry in exclusions}
    for case in cases_in(plan.service_names, CaseRange(first=0, end=case_count(len(plan.services)))):
        reason = plan_exclusions.reason(case)
        if reason is not None:
            yield _unmeasured(case, CaseOutcome.SKIPPED, reason)
        elif exclusion := exclusion_of(case, excluded):
            yield _unmeasured(case, exclusion.outcome, exclusion.reason)


def _unmeasured(case: Case, outcome: CaseOutcome, reason: str) -> CaseResult:
    return CaseResult(
        case_index=case.index, case_id=case.case_id, case_type=case.case_type, outcome=outcome, reason=reason
    )
