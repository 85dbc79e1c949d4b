"""How much of what the plan asks for was measured, and why the rest was not."""

from __future__ import annotations

from collections import Counter

from domain.cases.cases import case_at
from domain.executions.execution import CaseCounts
from domain.measuring.load import CaseOutcome
from domain.plans.exclusions import PlanExclusions
from domain.plans.plan import Plan
from reports.build.cases import case_state
from reports.build.reading import StoredRun
from reports.model.report import CaseReport, CaseState, CoverageReport, ReasonCount

MOST_REASONS = 50
_EXAMPLES = 5
_MEASURED = (CaseState.PASSED, CaseState.FAILED, CaseState.INCONCLUSIVE, CaseState.UNJUDGED)


def coverage(run: StoredRun, counts: CaseCounts, cases: list[CaseReport]) -> CoverageReport:
    """Of all cases; the reasons are those of the cases in the report."""
    states = _states(run)
    return counted_coverage(run.plan, counts).model_copy(
        update={
            "invalid": states[CaseState.INVALID],
            "skipped": states[CaseState.SKIPPED],
            "excluded": states[CaseState.EXCLUDED],
            "missing": counts.total - len(run.results.found),
            "reasons": _reasons(cases),
        }
    )


def counted_coverage(plan: Plan, counts: CaseCounts) -> CoverageReport:
    """What the counts of a run that has ended tell, without the cases themselves."""
    wanted = counts.total - counts.excluded - counts.dispensable
    share = 100 * counts.measured / wanted if wanted else 100.0 if counts.total else 0.0
    return CoverageReport(
        total=counts.total,
        measured=counts.measured,
        wanted=wanted,
        share=round(min(share, 100.0), 2),
        at_least=plan.coverage.at_least,
        # Rounded as `run_verdict` does: 29 of 100 is 29 %, whatever binary fractions make of it.
        enough=counts.total > 0 and round(share, 9) >= plan.coverage.at_least,
        invalid=counts.invalid,
        skipped=counts.skipped - counts.excluded,
        excluded=counts.excluded,
        missing=counts.total - counts.measured - counts.invalid - counts.skipped,
    )


def _states(run: StoredRun) -> Counter[CaseState]:
    """Of the cases that have a result, but none of measured ones."""
    names, on_purpose = run.plan.service_names, PlanExclusions(run.plan)
    return Counter(
        case_state(case_at(names, index), outcome, verdict, on_purpose)
        for index, (outcome, verdict) in run.results.found.items()
        if outcome is not CaseOutcome.MEASURED
    )


def _reasons(cases: list[CaseReport]) -> list[ReasonCount]:
    found: dict[tuple[CaseState, str], list[str]] = {}
    for one in cases:
        if one.state not in _MEASURED:
            found.setdefault((one.state, one.reason), []).append(one.case_id)
    counts = [
        ReasonCount(state=state, reason=reason, cases=len(ids), examples=ids[:_EXAMPLES])
        for (state, reason), ids in found.items()
    ]
    return sorted(counts, key=lambda one: -one.cases)[:MOST_REASONS]
