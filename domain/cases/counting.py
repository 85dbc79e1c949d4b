"""Case counts: the figures beside a verdict."""

from __future__ import annotations

from collections.abc import Mapping

from domain.cases.cases import case_at
from domain.executions.execution import Verdict
from domain.measuring.load import CaseOutcome, CaseType
from domain.plans.exclusions import Dispensable, PlanExclusions
from domain.plans.plan import Plan
from domain.resilience.model import CaseCounts


def count_cases(
    plan: Plan, kinds: Mapping[CaseType, int], found: Mapping[int, tuple[CaseOutcome, Verdict | None]]
) -> CaseCounts:
    """Count the cases by type, outcome and verdict.

    `kinds`: the generated cases by type. `found`: outcome and verdict by case index; cases may still be missing.
    """
    outcomes = [outcome for outcome, _ in found.values()]
    verdicts = [verdict for _, verdict in found.values()]
    on_purpose = PlanExclusions(plan)
    dispensable = Dispensable(plan)
    unmeasured = [
        case_at(plan.service_names, index)
        for index, (outcome, _) in found.items()
        if outcome is not CaseOutcome.MEASURED
    ]
    missed = [case for case in unmeasured if on_purpose.reason(case) is None]
    return CaseCounts(
        total=sum(kinds.values()),
        baseline=kinds.get(CaseType.BASELINE, 0),
        single=kinds.get(CaseType.SINGLE, 0),
        dual=kinds.get(CaseType.DUAL, 0),
        measured=outcomes.count(CaseOutcome.MEASURED),
        invalid=outcomes.count(CaseOutcome.INVALID),
        skipped=outcomes.count(CaseOutcome.SKIPPED),
        excluded=len(unmeasured) - len(missed),
        dispensable=sum(case in dispensable for case in missed),
        passed=verdicts.count(Verdict.PASSED),
        failed=verdicts.count(Verdict.FAILED),
        inconclusive=verdicts.count(Verdict.INCONCLUSIVE),
    )
