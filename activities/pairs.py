"""Pairs with two real faults: which, what they answer, and whether the pairs that were made of rules say the same."""

from __future__ import annotations

import asyncio

from temporalio import activity

from activities.asking import ask, require_running
from activities.evidence import evidence_of, measured_of
from activities.permit import COMPARE, Permit, acts, no_permit, writes
from activities.toolbox import Subject, Toolbox
from activities.windows_of import case_index
from clients.store.read_models import CaseResult, CheckedPair, LogLevel
from workflows.contracts.calls import AskOrder
from workflows.contracts.errors import ErrorCode, HoldfastError
from workflows.contracts.exchange import Measurement
from workflows.contracts.execution import ExecutionRef, Verdict
from workflows.contracts.fidelity import PairFidelity, PairFinding, PairOutcome
from workflows.contracts.guardrails import FAULTS_OF_A_PAIR
from workflows.contracts.load import CaseOutcome, CaseType
from workflows.contracts.pairs import ChosenPairs, PairOrder, PairsWish, UncheckedPair
from workflows.contracts.windows import WindowKind
from workflows.logic import fidelity
from workflows.logic.cases import case_at
from workflows.logic.doubts import doubted_pairs
from workflows.logic.durations import pair_requests
from workflows.logic.fidelity import Side, last_answer
from workflows.logic.real_verdicts import limits_verdict
from workflows.logic.thresholds import PlanThresholds
from workflows.names import WorkflowType


class PairActivities:
    """Asks what the load test has asked, while two services are really broken."""

    def __init__(self, tools: Toolbox) -> None:
        self._tools = tools

    @activity.defn(name="choose_pairs")
    @writes(WorkflowType.RESILIENCE_TEST)
    async def choose(self, wish: PairsWish) -> ChosenPairs:
        """Choose a share of the measured pairs, and those in doubt; the same ones whenever it is asked.

        None where the worker allows no two faults at once.
        """
        results = await self._tools.store.results(wish.execution_id)
        measured = [one.case_index for one in results if _measured_pair(one)]
        cases: list[int] = []
        if self._tools.rails.max_active_faults >= FAULTS_OF_A_PAIR:
            asked = fidelity.chosen(measured, wish.share) if wish.share is not None else []
            doubted = await self._doubted(wish.execution_id, results, measured)
            cases = sorted(list(dict.fromkeys([*asked, *doubted]))[: fidelity.MOST_PAIRS])
        if wish.share is not None or cases:
            message = fidelity.choice_in_words(len(cases), len(measured), asked_for=wish.share is not None)
            await self._tools.store.log(wish.execution_id, "pairs:chosen", LogLevel.INFO, message)
        return ChosenPairs(measured=len(measured), cases=cases)

    async def _doubted(self, execution_id: int, results: list[CaseResult], measured: list[int]) -> list[int]:
        """The pairs that rules leave in doubt. Not by pairs that were asked since: a repetition would choose others."""
        plan = await self._tools.store.plan(execution_id)
        evidence = await evidence_of(self._tools.store, execution_id, plan, measured_of(results))
        if evidence is None:
            return []
        return await asyncio.to_thread(
            doubted_pairs, evidence.doubts, plan.service_names, set(measured), evidence.real, evidence.substituted
        )

    @activity.defn(name="compare_pair")
    @acts(COMPARE)
    async def compare(self, order: PairOrder, permit: Permit) -> PairFinding:
        """Send the plan's request while both faults are on, and compare; one that was compared is not asked again.

        Raises:
            HoldfastError: NO_PERMIT, also for faults that the ledger has not for this pair; FAULT_NOT_RUNNING when a
                fault was not running before, or not any more afterwards.
        """
        known = await self._tools.store.pairs(order.execution_id, order.case_index)
        if known:
            return known[0].finding
        subject = permit.subject
        await refuse_foreign(self._tools, order, subject)
        with_rules = await self._with_rules(order)
        await require_running(self._tools, subject, order.faults, "before the pair was asked")
        answers, measurement = await ask(self._tools, subject, pair_requests(subject.plan))
        await require_running(self._tools, subject, order.faults, "by the end of its requests: they prove nothing")
        rules, faults = await self._judged(subject, order, with_rules, measurement)
        found = fidelity.compared(order.case_id, Side([last_answer(with_rules)], *rules), Side(answers, *faults))
        pair = CheckedPair(case_index=order.case_index, finding=found, verdict=faults[0], measurement=measurement)
        await self._save(order.execution_id, pair)
        return found

    async def _with_rules(self, order: PairOrder) -> Measurement:
        """What the load test measured of the pair that was made of rules."""
        (pair,) = await self._tools.store.results_in(order.execution_id, order.case_index, order.case_index + 1)
        if pair.measurement is None:
            raise HoldfastError(ErrorCode.NOT_FOUND, f"{order.case_id} was not measured with rules")
        return pair.measurement

    async def _judged(
        self, subject: Subject, order: PairOrder, with_rules: Measurement, with_faults: Measurement
    ) -> tuple[tuple[Verdict, str], tuple[Verdict, str]]:
        """Both sides by the same thresholds, against the same baseline.

        By latency as well, which decides no case: that real faults are slower than rules is worth knowing.
        """
        results = await self._tools.store.results_in(order.execution_id, 0, 1)
        baseline = results[0].measurement if results else None
        meets = PlanThresholds(subject.plan).of(case_at(subject.plan.service_names, order.case_index))
        rules = limits_verdict(with_rules, with_rules, meets, baseline)
        return rules, limits_verdict(with_faults, with_rules, meets, baseline)

    @activity.defn(name="note_unchecked_pair")
    @writes(WorkflowType.PAIRS_WINDOW)
    async def unchecked(self, pair: UncheckedPair) -> PairFinding:
        """Record that a pair could not be verified, and why; what is known of it already stays."""
        (case,) = await self._tools.store.cases(pair.execution_id, pair.case_index, pair.case_index + 1)
        found = PairFinding(case_id=case.case_id, outcome=PairOutcome.UNCHECKED, reason=pair.reason)
        await self._save(pair.execution_id, CheckedPair(case_index=pair.case_index, finding=found))
        return (await self._tools.store.pairs(pair.execution_id, pair.case_index))[0].finding

    async def _save(self, execution_id: int, pair: CheckedPair) -> None:
        found = pair.finding
        await self._tools.store.save_pair(execution_id, pair)
        level = LogLevel.INFO if found.outcome is PairOutcome.AGREED else LogLevel.WARN
        why = "; ".join(found.differs) or found.reason
        message = f"{found.case_id} with two real faults: {found.outcome}" + (f": {why}" if why else "")
        await self._tools.store.log(execution_id, f"pair:{found.case_id}", level, message)

    @activity.defn(name="conclude_pairs")
    @writes(WorkflowType.RESILIENCE_TEST)
    async def conclude(self, order: ExecutionRef) -> None:
        """Log how many pairs agree, as the store has them."""
        store = self._tools.store
        measured = sum(_measured_pair(one) for one in await store.results(order.execution_id))
        pairs = await store.pairs(order.execution_id)
        blank = PairFidelity(share=100, measured=measured, chosen=len(pairs))
        found = fidelity.counted(blank, [one.finding for one in pairs])
        await store.log(order.execution_id, "pairs:verified", LogLevel.INFO, fidelity.in_words(found))


async def refuse_foreign(tools: Toolbox, order: PairOrder | AskOrder, subject: Subject) -> None:
    """Refuse a pair whose faults are not those that the ledger has open for its two services, and no others.

    Raises:
        HoldfastError: NO_PERMIT.
    """
    rows = (await tools.store.standing(order.execution_id)).rows
    on = {
        row.service: row.peer_name
        for row in rows
        if row.kind is WindowKind.PAIR_FAULT and case_index(row, subject.execution) == order.case_index
    }
    if not on or on != order.faults:
        raise no_permit(f"the ledger has other faults on for pair {order.case_index}")


def _measured_pair(result: CaseResult) -> bool:
    return result.case_type is CaseType.DUAL and result.outcome is CaseOutcome.MEASURED
