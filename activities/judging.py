"""The verdict: every measured case against the SLO, then the run."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from temporalio import activity

from activities.evidence import Evidence, evidence_of, measured_of
from activities.permit import writes
from activities.toolbox import Toolbox
from clients.store.read_models import CaseResult, LogLevel
from workflows.contracts.calls import FoundBy
from workflows.contracts.exchange import Measurement
from workflows.contracts.execution import CaseVerdict, ExecutionRef, Verdict
from workflows.contracts.guardrails import FAULTS_OF_A_PAIR
from workflows.contracts.load import Case, CaseOutcome, CaseType
from workflows.contracts.metrics import JudgedCases, LoadMetrics
from workflows.contracts.plan import Plan
from workflows.logic.case_lines import case_line
from workflows.logic.cases import case_at
from workflows.logic.counting import count_cases
from workflows.logic.metrics import SHOWN_CASES, merged, metrics_of, worst_first
from workflows.logic.real_verdicts import ALLOW_TWO, Real, Settled, real_verdict, settled, weakness
from workflows.logic.statistics import families
from workflows.logic.thresholds import PlanThresholds
from workflows.logic.verdicts import case_verdict, run_verdict
from workflows.names import WorkflowType

SHOWN_FAILURES = 50
"""Failing cases, and as many inconclusive ones, that travel with the run's result; all of them are in the store."""


class JudgingActivities:
    """Reads results, decides by `logic/verdicts.py`, writes verdicts."""

    def __init__(self, tools: Toolbox) -> None:
        self._tools = tools

    @activity.defn(name="judge")
    @writes(WorkflowType.RESILIENCE_TEST)
    async def judge(self, order: ExecutionRef) -> JudgedCases:
        """Judge every measured case, then the run; cases without a result count as not measured."""
        plan = await self._tools.store.plan(order.execution_id)
        results = await self._tools.store.results(order.execution_id)
        planned = await self._tools.store.case_counts(order.execution_id)
        settled = await self._settle(order.execution_id, plan, results)
        after = [_as_settled(one, settled) for one in results]
        verdicts = {index: (one.verdict, one.reason) for index, one in settled.items() if one.verdict is not None}
        counts = count_cases(
            plan,
            planned,
            {one.case_index: (one.outcome, verdicts.get(one.case_index, (None, ""))[0]) for one in after},
        )
        verdict, saved = run_verdict(counts, plan.coverage), _saved(after)
        await self._tools.store.set_verdict(order.execution_id, verdict)
        unsure = f", {counts.inconclusive} inconclusive" if counts.inconclusive else ""
        message = f"verdict {verdict}: {counts.passed} passed, {counts.failed} failed{unsure} of {counts.total} cases"
        message += f"; {saved} requests saved by early decisions" if saved else ""
        message += _beside_rules(settled.values())
        await self._tools.store.log(order.execution_id, "judged", LogLevel.INFO, message)
        return JudgedCases(
            verdict=verdict,
            cases=counts,
            failed_cases=_worst(after, verdicts, Verdict.FAILED),
            inconclusive_cases=_worst(after, verdicts, Verdict.INCONCLUSIVE),
            requests_saved=saved,
            load=_metrics(after, verdicts),
        )

    async def _settle(self, execution_id: int, plan: Plan, results: list[CaseResult]) -> dict[int, Settled]:
        """What becomes of every measured case, by its index; on the disk when this returns."""
        store, verdicts, measured = self._tools.store, _case_verdicts(results, plan), measured_of(results)
        evidence = await evidence_of(store, execution_id, plan, measured, await store.pairs(execution_id))
        if evidence is None:
            await store.save_case_verdicts(execution_id, verdicts)
            return {index: Settled(CaseOutcome.MEASURED, *verdict, None) for index, verdict in verdicts.items()}
        hint = "" if self._tools.rails.max_active_faults >= FAULTS_OF_A_PAIR else ALLOW_TWO
        settled = await asyncio.to_thread(_settled, plan, measured, verdicts, evidence, hint)
        await store.settle_cases(execution_id, settled)
        return settled


def _metrics(after: list[CaseResult], verdicts: Mapping[int, tuple[Verdict, str]]) -> LoadMetrics | None:
    """The load test's metrics without the cases that judging has made invalid; None where there are none."""
    counts = [one.outcome is CaseOutcome.MEASURED for one in after]
    if not any(one.measurement and not measured for one, measured in zip(after, counts, strict=True)):
        return None
    lines = [
        case_line(one.case_id, one.outcome, one.measurement, *verdicts.get(one.case_index, (None, one.reason)))
        if measured
        else case_line(one.case_id, one.outcome, None, None, one.reason)
        for one, measured in zip(after, counts, strict=True)
    ]
    return merged(metrics_of(lines), LoadMetrics(), SHOWN_CASES)


def _settled(
    plan: Plan,
    measured: Mapping[int, Measurement],
    verdicts: Mapping[int, tuple[Verdict, str]],
    evidence: Evidence,
    hint: str,
) -> dict[int, Settled]:
    meets, baseline = PlanThresholds(plan), measured.get(0)
    found = {}
    for index, verdict in verdicts.items():
        asked = evidence.real.get(index)
        if not asked:
            found[index] = settled(verdict, verdict[0], [], evidence.doubts.doubt_of(index), hint)
            continue
        rules, limits = measured[index], meets.of(case_at(plan.service_names, index))
        reals = [
            Real(
                one.differs,
                *real_verdict(one.measurement, rules, limits, baseline),
                weakness(one.measurement, rules, baseline),
            )
            for one in asked
        ]
        found[index] = settled(verdict, real_verdict(rules, rules, limits, baseline)[0], reals)
    return found


def _as_settled(result: CaseResult, found: Mapping[int, Settled]) -> CaseResult:
    one = found.get(result.case_index)
    return result.model_copy(update={"outcome": one.outcome, "reason": one.reason}) if one else result


def _beside_rules(settled: Iterable[Settled]) -> str:
    """How many cases rules alone did not decide."""
    found = list(settled)
    really = sum(one.found_by is FoundBy.REAL_FAULTS for one in found)
    unanswered = sum(one.outcome is CaseOutcome.INVALID for one in found)
    text = f"; {really} by real faults" if really else ""
    return text + (f"; {unanswered} invalid, because no rule answers all that they call" if unanswered else "")


def _case_verdicts(results: list[CaseResult], plan: Plan) -> dict[int, tuple[Verdict, str]]:
    """What became of each measured case, by its index: all comparisons of the run are held together."""
    baseline = next((one.measurement for one in results if one.case_type is CaseType.BASELINE), None)
    meets, confirmed = PlanThresholds(plan), _confirmed(results, plan)
    return {
        one.case_index: case_verdict(
            one.measurement, meets.of(_case(one)), baseline, confirmed=one.case_index in confirmed
        )
        for one in results
        if one.outcome is CaseOutcome.MEASURED and one.measurement
    }


def _case(result: CaseResult) -> Case:
    services = [] if result.case_type is CaseType.BASELINE else result.case_id.split("+")
    return Case(index=result.case_index, case_id=result.case_id, case_type=result.case_type, services=services)


def _confirmed(results: list[CaseResult], plan: Plan) -> set[int]:
    """Whose regression stays one among all cases of the run (`slo.regression.false_alarms`)."""
    if plan.slo.regression is None:
        return set()
    comparisons = {
        one.case_index: one.measurement.comparison
        for one in results
        if one.outcome is CaseOutcome.MEASURED and one.measurement and one.measurement.comparison
    }
    # A sequential finding has its share of the false alarms already.
    fixed = {index: found.p_value for index, found in comparisons.items() if not found.sequential}
    kept = families.confirmed(list(fixed.values()), plan.slo.regression.false_alarms / 100)
    stays = {index for index, keep in zip(fixed, kept, strict=True) if keep}
    return stays | {index for index, found in comparisons.items() if found.sequential}


def _saved(results: list[CaseResult]) -> int:
    found = [one.measurement for one in results if one.outcome is CaseOutcome.MEASURED and one.measurement]
    return sum(max(0, one.planned - one.requests) for one in found if one.planned is not None)


def _worst(results: list[CaseResult], verdicts: dict[int, tuple[Verdict, str]], wanted: Verdict) -> list[CaseVerdict]:
    """The worst cases of this verdict."""
    found = [
        one_line(result, *verdicts[result.case_index])
        for result in results
        if verdicts.get(result.case_index, (None, ""))[0] is wanted
    ]
    return sorted(found, key=worst_first)[:SHOWN_FAILURES]


def one_line(result: CaseResult, verdict: Verdict | None, reason: str) -> CaseVerdict:
    """One line of the result, as people read it."""
    return case_line(result.case_id, result.outcome, result.measurement, verdict, reason)
