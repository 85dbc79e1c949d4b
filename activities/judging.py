"""The verdict: every measured case against the SLO, then the run."""

from __future__ import annotations

from temporalio import activity

from activities.base import step
from activities.toolbox import Toolbox
from clients.store.read_models import CaseResult, LogLevel
from workflows.contracts.exchange import Measurement
from workflows.contracts.execution import CaseVerdict, ExecutionRef, Judgement, Verdict
from workflows.contracts.load import CaseOutcome, CaseType
from workflows.contracts.slo import Slo
from workflows.logic.counting import count_cases
from workflows.logic.verdicts import case_verdict, run_verdict, success_latency

SHOWN_FAILURES = 50
"""Failing cases that travel with the run's result; all of them are in the store."""


class JudgingActivities:
    """Reads results, decides by `logic/verdicts.py`, writes verdicts."""

    def __init__(self, tools: Toolbox) -> None:
        self._tools = tools

    @activity.defn(name="judge")
    @step
    async def judge(self, order: ExecutionRef) -> Judgement:
        """Judge every measured case, then the run; cases without a result count as not measured."""
        plan = await self._tools.store.plan(order.execution_id)
        results = await self._tools.store.results(order.execution_id)
        planned = await self._tools.store.case_counts(order.execution_id)
        verdicts = _case_verdicts(results, plan.slo)
        await self._tools.store.save_case_verdicts(order.execution_id, verdicts)
        counts = count_cases(
            plan,
            planned,
            {one.case_index: (one.outcome, verdicts.get(one.case_index, (None, ""))[0]) for one in results},
        )
        verdict = run_verdict(counts, plan.coverage)
        await self._tools.store.set_verdict(order.execution_id, verdict)
        message = f"verdict {verdict}: {counts.passed} passed, {counts.failed} failed of {counts.total} cases"
        await self._tools.store.log(order.execution_id, "judged", LogLevel.INFO, message)
        failed = [one_line(result, *verdicts[result.case_index]) for result in results if _failed(result, verdicts)]
        failed.sort(key=lambda case: (-(case.error_rate or 0), -(case.p95_ms or 0)))
        return Judgement(verdict=verdict, cases=counts, failed_cases=failed[:SHOWN_FAILURES])


def _case_verdicts(results: list[CaseResult], slo: Slo) -> dict[int, tuple[Verdict, str]]:
    baseline = next((one.measurement for one in results if one.case_type is CaseType.BASELINE), None)
    return {
        one.case_index: case_verdict(one.measurement, slo, baseline)
        for one in results
        if one.outcome is CaseOutcome.MEASURED and one.measurement
    }


def _failed(result: CaseResult, verdicts: dict[int, tuple[Verdict, str]]) -> bool:
    return verdicts.get(result.case_index, (Verdict.PASSED, ""))[0] is Verdict.FAILED


def one_line(result: CaseResult, verdict: Verdict | None, reason: str) -> CaseVerdict:
    """One line of the result, as people read it."""
    measurement = result.measurement
    return CaseVerdict(
        case_id=result.case_id,
        outcome=result.outcome,
        verdict=verdict,
        p50_ms=_ms(measurement, "p50"),
        p95_ms=_ms(measurement, "p95"),
        p99_ms=_ms(measurement, "p99"),
        error_rate=measurement.error_rate if measurement else None,
        requests=measurement.requests if measurement else 0,
        reason=reason,
    )


def _ms(measurement: Measurement | None, percentile: str) -> float | None:
    latency = success_latency(measurement, percentile) if measurement else None
    return None if latency is None else round(latency.total_seconds() * 1000, 3)
