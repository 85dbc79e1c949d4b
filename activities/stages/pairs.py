"""Pairs with two real faults, compared with the pairs made of rules."""

from __future__ import annotations

import asyncio

from temporalio import activity

from activities.permit import COMPARE, Permit, acts, no_permit, writes
from activities.run.evidence import evidence_of, measured_of
from activities.run.window_rows import case_index
from activities.stages.plan_requests import require_running, send_requests
from activities.toolbox import Subject, Toolbox
from clients.store.read_models import CaseResult, CheckedPair, LogLevel
from domain.calls.doubts import doubted_pairs
from domain.calls.model import AskOrder
from domain.cases.cases import case_at
from domain.cases.real_verdicts import limits_verdict
from domain.cases.thresholds import PlanThresholds
from domain.errors import ErrorCode, HoldfastError
from domain.executions.execution import ExecutionRef, Verdict
from domain.executions.windows import WindowKind
from domain.guardrails.model import FAULTS_OF_A_PAIR
from domain.measuring.load import CaseOutcome, CaseType
from domain.names import WorkflowType
from domain.pairs import comparing as fidelity
from domain.pairs.comparing import Side, last_answer
from domain.pairs.fidelity import PairChoice, PairFidelity, PairFinding, PairOutcome
from domain.pairs.model import ChosenPairs, PairOrder, PairsOrder, UncheckedPair
from domain.plans.durations import pair_requests
from domain.traffic.exchange import Measurement


class PairActivities:
    """Sends the load test's request while two services are really broken."""

    def __init__(self, tools: Toolbox) -> None:
        self._tools = tools

    @activity.defn(name="choose_pairs")
    @writes(WorkflowType.RESILIENCE_TEST)
    async def choose(self, wish: PairsOrder) -> ChosenPairs:
        """Choose a share of the measured pairs, and those in doubt.

        A repetition chooses the same pairs. None are chosen if the worker does not allow two faults at once.
        """
        results = await self._tools.store.results.all(wish.execution_id)
        measured = [result.case_index for result in results if _is_measured_pair(result)]
        cases: list[int] = []
        if self._tools.rails.max_active_faults >= FAULTS_OF_A_PAIR:
            asked = fidelity.chosen(measured, wish.share) if wish.share is not None else []
            doubted = await self._doubted(wish.execution_id, results, measured)
            cases = sorted(list(dict.fromkeys([*asked, *doubted]))[: fidelity.MOST_PAIRS])
        if wish.share is not None or cases:
            choice = PairChoice(
                asked_for=wish.share is not None, share=wish.share, measured=len(measured), chosen=len(cases)
            )
            await self._tools.store.progress.save_pair_choice(wish.execution_id, choice)
            message = fidelity.choice_in_words(choice)
            await self._tools.store.logs.add(wish.execution_id, "pairs:chosen", LogLevel.INFO, message)
        return ChosenPairs(measured=len(measured), cases=cases)

    async def _doubted(self, execution_id: int, results: list[CaseResult], measured: list[int]) -> list[int]:
        """Return the pairs that rules leave in doubt."""
        # Without the pairs measured since then, or a repetition would choose other pairs.
        plan = await self._tools.store.executions.plan(execution_id)
        evidence = await evidence_of(self._tools.store, execution_id, plan, measured_of(results))
        if evidence is None:
            return []
        return await asyncio.to_thread(
            doubted_pairs, evidence.doubts, plan.service_names, set(measured), evidence.real, evidence.substituted
        )

    @activity.defn(name="compare_pair")
    @acts(COMPARE)
    async def compare(self, order: PairOrder, permit: Permit) -> PairFinding:
        """Send the plan's request while both faults are active, and compare.

        A pair with a stored result is not sent again.

        Raises:
            HoldfastError: NO_PERMIT, also for faults that the ledger does not have for this pair. FAULT_NOT_RUNNING
                when a fault is not running before or after the requests.
        """
        known = await self._tools.store.pairs.of(order.execution_id, order.case_index)
        if known:
            return known[0].finding
        subject = permit.subject
        await refuse_foreign(self._tools, order, subject)
        with_rules = await self._with_rules(order)
        await require_running(self._tools, subject, order.faults, "before the pair was asked")
        answers, measurement = await send_requests(self._tools, subject, pair_requests(subject.plan))
        await require_running(self._tools, subject, order.faults, "by the end of its requests: they prove nothing")
        rules, faults = await self._judge_both(subject, order, with_rules, measurement)
        found = fidelity.compared(order.case_id, Side([last_answer(with_rules)], *rules), Side(answers, *faults))
        pair = CheckedPair(case_index=order.case_index, finding=found, verdict=faults[0], measurement=measurement)
        await self._save(order.execution_id, pair)
        return found

    async def _with_rules(self, order: PairOrder) -> Measurement:
        """Return the load test's measurement of the pair made of rules."""
        (pair,) = await self._tools.store.results.between(order.execution_id, order.case_index, order.case_index + 1)
        if pair.measurement is None:
            raise HoldfastError(ErrorCode.NOT_FOUND, f"{order.case_id} was not measured with rules")
        return pair.measurement

    async def _judge_both(
        self, subject: Subject, order: PairOrder, with_rules: Measurement, with_faults: Measurement
    ) -> tuple[tuple[Verdict, str], tuple[Verdict, str]]:
        """Judge both sides by the same limits, latency included, against the same baseline.

        Latency decides no case. That real faults are slower than rules is worth reporting.
        """
        results = await self._tools.store.results.between(order.execution_id, 0, 1)
        baseline = results[0].measurement if results else None
        meets = PlanThresholds(subject.plan).of(case_at(subject.plan.service_names, order.case_index))
        rules = limits_verdict(with_rules, with_rules, meets, baseline)
        return rules, limits_verdict(with_faults, with_rules, meets, baseline)

    @activity.defn(name="note_unchecked_pair")
    @writes(WorkflowType.PAIRS_WINDOW)
    async def unchecked(self, pair: UncheckedPair) -> PairFinding:
        """Record that a pair could not be verified, and why.

        A stored result of the pair is kept and returned instead.
        """
        (case,) = await self._tools.store.cases.range(pair.execution_id, pair.case_index, pair.case_index + 1)
        found = PairFinding(case_id=case.case_id, outcome=PairOutcome.UNCHECKED, reason=pair.reason)
        await self._save(pair.execution_id, CheckedPair(case_index=pair.case_index, finding=found))
        return (await self._tools.store.pairs.of(pair.execution_id, pair.case_index))[0].finding

    async def _save(self, execution_id: int, pair: CheckedPair) -> None:
        found = pair.finding
        await self._tools.store.pairs.save(execution_id, pair)
        level = LogLevel.INFO if found.outcome is PairOutcome.AGREED else LogLevel.WARN
        why = "; ".join(found.differs) or found.reason
        message = f"{found.case_id} with two real faults: {found.outcome}" + (f": {why}" if why else "")
        await self._tools.store.logs.add(execution_id, f"pair:{found.case_id}", level, message)

    @activity.defn(name="conclude_pairs")
    @writes(WorkflowType.RESILIENCE_TEST)
    async def conclude(self, order: ExecutionRef) -> None:
        """Log how many of the stored pairs agree."""
        store = self._tools.store
        measured = sum(_is_measured_pair(result) for result in await store.results.all(order.execution_id))
        pairs = await store.pairs.of(order.execution_id)
        blank = PairFidelity(share=100, measured=measured, chosen=len(pairs))
        found = fidelity.add_findings(blank, [checked.finding for checked in pairs])
        await store.logs.add(order.execution_id, "pairs:verified", LogLevel.INFO, fidelity.in_words(found))


async def refuse_foreign(tools: Toolbox, order: PairOrder | AskOrder, subject: Subject) -> None:
    """Refuse a pair whose faults are not exactly those in the ledger.

    Raises:
        HoldfastError: NO_PERMIT.
    """
    rows = (await tools.store.standings.of(order.execution_id)).rows
    active = {
        row.service: row.peer_name
        for row in rows
        if row.kind is WindowKind.PAIR_FAULT and case_index(row, subject.execution) == order.case_index
    }
    if not active or active != order.faults:
        raise no_permit(f"the ledger has other faults on for pair {order.case_index}")


def _is_measured_pair(result: CaseResult) -> bool:
    return result.case_type is CaseType.DUAL and result.outcome is CaseOutcome.MEASURED
