"""How much of the plan was measured, and what prevented the rest."""

from __future__ import annotations

from collections import Counter

from domain.cases.cases import case_at
from domain.measuring.load import CaseOutcome
from domain.plans.exclusions import PlanExclusions
from domain.plans.plan import Plan
from domain.resilience.model import CaseCounts
from reports.build.cases import case_state
from reports.build.reading import StoredRun
from reports.model.report import CaseReport, CaseState, CoverageReport, ReasonCount

MOST_REASONS = 50
_EXAMPLES = 5
_MEASURED = (CaseState.PASSED, CaseState.FAILED, CaseState.INCONCLUSIVE, CaseState.UNJUDGED)


def coverage(run: StoredRun, counts: CaseCounts, cases: list[CaseReport]) -> CoverageReport:
    """Build the coverage of a run.

    The figures cover all cases. The reasons cover only the cases in the report.
    """
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
    """Build the coverage of an ended run from its counts alone."""
    wanted = counts.total - counts.excluded - counts.dispensable
    # If nothing was wanted, that is full coverage, unless there were no cases at all.
    share = 100.0 if counts.total else 0.0
    if wanted:
        share = 100 * counts.measured / wanted
    return CoverageReport(
        total=counts.total,
        measured=counts.measured,
        wanted=wanted,
        share=round(min(share, 100.0), 2),
        at_least=plan.coverage.at_least,
        # Rounded as in `run_verdict`, because binary fractions make slightly less than 29 % of 29 in 100.
        enough=counts.total > 0 and round(share, 9) >= plan.coverage.at_least,
        invalid=counts.invalid,
        skipped=counts.skipped - counts.excluded,
        excluded=counts.excluded,
        missing=counts.total - counts.measured - counts.invalid - counts.skipped,
    )


def _states(run: StoredRun) -> Counter[CaseState]:
    """Count the states of unmeasured cases that have a result."""
    names = run.plan.service_names
    exclusions = PlanExclusions(run.plan)
    return Counter(
        case_state(case_at(names, index), outcome, verdict, exclusions)
        for index, (outcome, verdict) in run.results.found.items()
        if outcome is not CaseOutcome.MEASURED
    )


def _reasons(cases: list[CaseReport]) -> list[ReasonCount]:
    ids_by_reason: dict[tuple[CaseState, str], list[str]] = {}
    for case in cases:
        if case.state not in _MEASURED:
            ids_by_reason.setdefault((case.state, case.reason), []).append(case.case_id)
    counts = [
        ReasonCount(state=state, reason=reason, cases=len(ids), examples=ids[:_EXAMPLES])
        for (state, reason), ids in ids_by_reason.items()
    ]
    return sorted(counts, key=lambda count: -count.cases)[:MOST_REASONS]
