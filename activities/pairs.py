"""Pairs with two real faults: which, what they answer, and whether the pairs that were made of rules say the same."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

from temporalio import activity

from activities.evidence import evidence_of, measured_of
from activities.permit import COMPARE, Permit, acts, no_permit, writes
from activities.toolbox import Subject, Toolbox
from activities.windows_of import case_index
from clients.load.sending import KEPT_BODY, was_cut
from clients.requests import prepare
from clients.secrets import Redactor
from clients.store.read_models import CaseResult, CheckedPair, LogLevel
from workflows.contracts.errors import ErrorCode, HoldfastError
from workflows.contracts.exchange import Measurement, RequestSample
from workflows.contracts.execution import ExecutionRef, Verdict
from workflows.contracts.fidelity import PairFidelity, PairFinding, PairOutcome
from workflows.contracts.load import CaseOutcome, CaseType
from workflows.contracts.pairs import ChosenPairs, PairOrder, PairsWish, UncheckedPair
from workflows.contracts.windows import WindowKind
from workflows.logic import fidelity
from workflows.logic.cases import case_at
from workflows.logic.doubts import doubted_pairs
from workflows.logic.durations import pair_requests
from workflows.logic.fidelity import Answer, Side, last_answer
from workflows.logic.guardrails import FAULTS_OF_A_PAIR
from workflows.logic.percentiles import measure
from workflows.logic.real_verdicts import real_verdict
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
        message = f"{len(cases)} of {len(measured)} measured pairs run with two real faults"
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
        await self._refuse_foreign(order, subject)
        with_rules = await self._with_rules(order)
        await self._require_running(subject, order.faults, "before the pair was asked")
        answers, measurement = await self._ask(subject)
        await self._require_running(subject, order.faults, "by the end of the pair's requests, which so prove nothing")
        rules, faults = await self._judged(subject, order, with_rules, measurement)
        found = fidelity.compared(order.case_id, Side([last_answer(with_rules)], *rules), Side(answers, *faults))
        pair = CheckedPair(case_index=order.case_index, finding=found, verdict=faults[0], measurement=measurement)
        await self._save(order.execution_id, pair)
        return found

    async def _refuse_foreign(self, order: PairOrder, subject: Subject) -> None:
        """The pair's faults are those that the ledger has open for its two services, and no others."""
        rows = (await self._tools.store.standing(order.execution_id)).rows
        on = {
            row.service: row.peer_name
            for row in rows
            if row.kind is WindowKind.PAIR_FAULT and case_index(row, subject.execution) == order.case_index
        }
        if not on or on != order.faults:
            raise no_permit(f"the ledger has other faults on for pair {order.case_index}")

    async def _with_rules(self, order: PairOrder) -> Measurement:
        """What the load test measured of the pair that was made of rules."""
        (pair,) = await self._tools.store.results_in(order.execution_id, order.case_index, order.case_index + 1)
        if pair.measurement is None:
            raise HoldfastError(ErrorCode.NOT_FOUND, f"{order.case_id} was not measured with rules")
        return pair.measurement

    async def _judged(
        self, subject: Subject, order: PairOrder, with_rules: Measurement, with_faults: Measurement
    ) -> tuple[tuple[Verdict, str], tuple[Verdict, str]]:
        """Both sides by the same thresholds, against the same baseline."""
        results = await self._tools.store.results_in(order.execution_id, 0, 1)
        baseline = results[0].measurement if results else None
        meets = PlanThresholds(subject.plan).of(case_at(subject.plan.service_names, order.case_index))
        rules = real_verdict(with_rules, with_rules, meets, baseline)
        return rules, real_verdict(with_faults, with_rules, meets, baseline)

    async def _require_running(self, subject: Subject, faults: Mapping[str, str], when: str) -> None:
        client = self._tools.faults(subject.plan)
        for service, name in sorted(faults.items()):
            status = await client.status(name)
            if status is None or not status.running:
                raise HoldfastError(
                    ErrorCode.FAULT_NOT_RUNNING,
                    f"fault {name} in {service} was not running {when}",
                    hint="is safety.fault_ttl too short, or does the service heal itself?",
                )

    async def _ask(self, subject: Subject) -> tuple[list[Answer], Measurement]:
        """As the load test does, without baggage: each answer, redacted, and what the requests measured.

        So many at once, or at the plan's rate, evenly: a few requests need no chance between them.
        """
        request = prepare(subject.plan.request, self._tools.secrets, None)
        redactor = self._tools.redactor(subject.plan)
        load, wanted = subject.plan.load, pair_requests(subject.plan)
        samples: list[RequestSample] = []
        answers: list[Answer] = []
        left = iter(range(wanted))

        async def work(after: float) -> None:
            await asyncio.sleep(after)
            for _ in left:
                sample, body = await self._tools.load.ask(request)
                samples.append(sample)
                answers.append(_answer(sample, body, redactor))
                if load.rate is not None:
                    return

        started = time.perf_counter_ns()
        async with asyncio.TaskGroup() as group:
            for number in range(wanted if load.rate is not None else min(load.concurrency, wanted)):
                group.create_task(work(number / load.rate if load.rate is not None else 0))
        last = next((one for one in reversed(answers) if one.status is not None), Answer(None, ""))
        measurement = measure(
            samples,
            duration_us=(time.perf_counter_ns() - started) // 1_000,
            last_status=last.status,
            last_body=last.body,
        )
        return answers, measurement

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


def _measured_pair(result: CaseResult) -> bool:
    return result.case_type is CaseType.DUAL and result.outcome is CaseOutcome.MEASURED


def _answer(sample: RequestSample, body: str, redactor: Redactor) -> Answer:
    """Cut as the load test cuts what it keeps, and then redacted: so the two are cut at the same place."""
    kept = body.encode()[:KEPT_BODY]
    redacted = redactor.body(kept.decode(errors="replace"), cut=was_cut(kept)) if sample.status is not None else ""
    return Answer(sample.status, redacted, sample.error_kind)
