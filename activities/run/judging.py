"""The verdict: first on every measured case, then on the run."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from temporalio import activity

from activities.permit import writes
from activities.run.evidence import Evidence, evidence_of, measured_of
from activities.toolbox import Toolbox
from clients.store.read_models import CaseResult, LogLevel
from domain.calls.model import FoundBy
from domain.cases.cases import case_at
from domain.cases.counting import count_cases
from domain.cases.lines import case_line
from domain.cases.real_verdicts import ALLOW_TWO, Real, Settled, real_verdict, settled, weakness
from domain.cases.thresholds import PlanThresholds
from domain.cases.verdicts import case_verdict, run_verdict
from domain.executions.execution import ExecutionRef, Verdict
from domain.guardrails.model import FAULTS_OF_A_PAIR
from domain.measuring.load import Case, CaseOutcome, CaseType
from domain.measuring.merging import SHOWN_CASES, merged, metrics_of, worst_first
from domain.measuring.metrics import JudgedCases, LoadMetrics
from domain.measuring.statistics import families
from domain.names import WorkflowType
from domain.plans.plan import Plan
from domain.resilience.model import CaseVerdict
from domain.traffic.exchange import Measurement

SHOWN_FAILURES = 50
"""Most failed cases in the run's result, and most inconclusive ones.

The store has all of them.
"""


class JudgingActivities:
    """Reads results, decides by `domain/cases/verdicts.py`, and writes verdicts."""

    def __init__(self, tools: Toolbox) -> None:
        self._tools = tools

    @activity.defn(name="judge")
    @writes(WorkflowType.RESILIENCE_TEST)
    async def judge(self, order: ExecutionRef) -> JudgedCases:
        """Judge every measured case, then the run.

        Cases without a result count as not measured.
        """
        plan = await self._tools.store.executions.plan(order.execution_id)
        results = await self._tools.store.results.all(order.execution_id)
        planned = await self._tools.store.cases.counts(order.execution_id)
        settled = await self._settle(order.execution_id, plan, results)
        after = [_as_settled(result, settled) for result in results]
        verdicts = {
            index: (decision.verdict, decision.reason)
            for index, decision in settled.items()
            if decision.verdict is not None
        }
        counts = count_cases(
            plan,
            planned,
            {result.case_index: (result.outcome, verdicts.get(result.case_index, (None, ""))[0]) for result in after},
        )
        verdict = run_verdict(counts, plan.coverage)
        saved = _requests_saved(after)
        await self._tools.store.executions.set_verdict(order.execution_id, verdict)
        unsure = f", {counts.inconclusive} inconclusive" if counts.inconclusive else ""
        message = f"verdict {verdict}: {counts.passed} passed, {counts.failed} failed{unsure} of {counts.total} cases"
        message += f"; {saved} requests saved by early decisions" if saved else ""
        message += _beyond_rules_text(settled.values())
        await self._tools.store.logs.add(order.execution_id, "judged", LogLevel.INFO, message)
        return JudgedCases(
            verdict=verdict,
            cases=counts,
            failed_cases=_worst(after, verdicts, Verdict.FAILED),
            inconclusive_cases=_worst(after, verdicts, Verdict.INCONCLUSIVE),
            requests_saved=saved,
            load=_metrics(after, verdicts),
        )

    async def _settle(self, execution_id: int, plan: Plan, results: list[CaseResult]) -> dict[int, Settled]:
        """Settle every measured case, and store it before returning."""
        store = self._tools.store
        verdicts = _case_verdicts(results, plan)
        measured = measured_of(results)
        evidence = await evidence_of(store, execution_id, plan, measured, await store.pairs.of(execution_id))
        if evidence is None:
            await store.results.save_verdicts(execution_id, verdicts)
            return {index: Settled(CaseOutcome.MEASURED, *verdict, None) for index, verdict in verdicts.items()}
        hint = "" if self._tools.rails.max_active_faults >= FAULTS_OF_A_PAIR else ALLOW_TWO
        settled = await asyncio.to_thread(_settled, plan, measured, verdicts, evidence, hint)
        await store.results.settle(execution_id, settled)
        return settled


def _metrics(after: list[CaseResult], verdicts: Mapping[int, tuple[Verdict, str]]) -> LoadMetrics | None:
    """Return the metrics without cases that judging made invalid.

    None if judging made no case invalid.
    """
    counts = [result.outcome is CaseOutcome.MEASURED for result in after]
    if not any(result.measurement and not measured for result, measured in zip(after, counts, strict=True)):
        return None
    lines = [
        case_line(
            result.case_id, result.outcome, result.measurement, *verdicts.get(result.case_index, (None, result.reason))
        )
        if measured
        else case_line(result.case_id, result.outcome, None, None, result.reason)
        for result, measured in zip(after, counts, strict=True)
    ]
    return merged(metrics_of(lines), LoadMetrics(), SHOWN_CASES)


def _settled(
    plan: Plan,
    measured: Mapping[int, Measurement],
    verdicts: Mapping[int, tuple[Verdict, str]],
    evidence: Evidence,
    hint: str,
) -> dict[int, Settled]:
    meets = PlanThresholds(plan)
    baseline = measured.get(0)
    found = {}
    for index, verdict in verdicts.items():
        measurements = evidence.real.get(index)
        if not measurements:
            found[index] = settled(verdict, verdict[0], [], evidence.doubts.doubt_of(index), hint)
            continue
        rules, limits = measured[index], meets.of(case_at(plan.service_names, index))
        reals = [
            Real(
                real.differs,
                *real_verdict(real.measurement, rules, limits, baseline),
                weakness(real.measurement, rules, baseline),
            )
            for real in measurements
        ]
        found[index] = settled(verdict, real_verdict(rules, rules, limits, baseline)[0], reals)
    return found


def _as_settled(result: CaseResult, found: Mapping[int, Settled]) -> CaseResult:
    decision = found.get(result.case_index)
    return result.model_copy(update={"outcome": decision.outcome, "reason": decision.reason}) if decision else result


def _beyond_rules_text(settled: Iterable[Settled]) -> str:
    """Count in words the cases that were not decided by rules alone."""
    found = list(settled)
    by_real_faults = sum(decision.found_by is FoundBy.REAL_FAULTS for decision in found)
    unanswered = sum(decision.outcome is CaseOutcome.INVALID for decision in found)
    text = f"; {by_real_faults} by real faults" if by_real_faults else ""
    return text + (f"; {unanswered} invalid, because no rule answers all their calls" if unanswered else "")


def _case_verdicts(results: list[CaseResult], plan: Plan) -> dict[int, tuple[Verdict, str]]:
    """Return the verdict on each measured case, by its index.

    The comparisons of all cases are judged together, see `_confirmed`.
    """
    baseline = next((result.measurement for result in results if result.case_type is CaseType.BASELINE), None)
    meets = PlanThresholds(plan)
    confirmed = _confirmed(results, plan)
    return {
        result.case_index: case_verdict(
            result.measurement, meets.of(_case(result)), baseline, confirmed=result.case_index in confirmed
        )
        for result in results
        if result.outcome is CaseOutcome.MEASURED and result.measurement
    }


def _case(result: CaseResult) -> Case:
    services = [] if result.case_type is CaseType.BASELINE else result.case_id.split("+")
    return Case(index=result.case_index, case_id=result.case_id, case_type=result.case_type, services=services)


def _confirmed(results: list[CaseResult], plan: Plan) -> set[int]:
    """Return the cases whose regression holds among all cases of the run.

    That is, with `slo.regression.false_alarms` applied to the whole run.
    """
    if plan.slo.regression is None:
        return set()
    comparisons = {
        result.case_index: result.measurement.comparison
        for result in results
        if result.outcome is CaseOutcome.MEASURED and result.measurement and result.measurement.comparison
    }
    # A sequential finding already uses only its share of the false alarms.
    p_values = {index: found.p_value for index, found in comparisons.items() if not found.sequential}
    kept = families.confirmed(list(p_values.values()), plan.slo.regression.false_alarms / 100)
    confirmed = {index for index, keep in zip(p_values, kept, strict=True) if keep}
    return confirmed | {index for index, found in comparisons.items() if found.sequential}


def _requests_saved(results: list[CaseResult]) -> int:
    measurements = [
        result.measurement for result in results if result.outcome is CaseOutcome.MEASURED and result.measurement
    ]
    return sum(
        max(0, measurement.planned - measurement.requests)
        for measurement in measurements
        if measurement.planned is not None
    )


def _worst(results: list[CaseResult], verdicts: dict[int, tuple[Verdict, str]], wanted: Verdict) -> list[CaseVerdict]:
    """Return the worst cases with this verdict."""
    found = [
        one_line(result, *verdicts[result.case_index])
        for result in results
        if verdicts.get(result.case_index, (None, ""))[0] is wanted
    ]
    return sorted(found, key=worst_first)[:SHOWN_FAILURES]


def one_line(result: CaseResult, verdict: Verdict | None, reason: str) -> CaseVerdict:
    """Return the case's line in the run's result."""
    return case_line(result.case_id, result.outcome, result.measurement, verdict, reason)
