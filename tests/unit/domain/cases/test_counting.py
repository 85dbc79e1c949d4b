"""Counts of cases, shown with the verdict of a run."""

from __future__ import annotations

from domain.cases.counting import count_cases
from domain.executions.execution import Verdict
from domain.measuring.load import CaseOutcome, CaseType
from domain.plans.plan import Plan
from domain.plans.validation.validate import check_plan
from domain.resilience.model import CaseCounts
from tests.support.plans.builders import good

KINDS = {CaseType.BASELINE: 1, CaseType.SINGLE: 2, CaseType.DUAL: 1}
MEASURED = (CaseOutcome.MEASURED, Verdict.PASSED)


def plan(**more: object) -> Plan:
    """Build a plan of two services: baseline, two singles, one pair."""
    document = good() | more
    checked, problems = check_plan(document)
    assert checked is not None, problems
    assert len(checked.services) == 2
    return checked


def counts(checked: Plan, *outcomes: tuple[CaseOutcome, Verdict | None]) -> CaseCounts:
    """Count the cases of these outcomes, given in the order of the cases."""
    return count_cases(checked, KINDS, dict(enumerate(outcomes)))


def test_an_excluded_case_is_not_counted_as_dispensable_too() -> None:
    skipped, invalid = (CaseOutcome.SKIPPED, None), (CaseOutcome.INVALID, None)
    first, second = plan().service_names
    found = counts(
        plan(exclude=[f"{first}+{second}"], coverage={"may_lack": [first, "*+*"]}), MEASURED, invalid, skipped, skipped
    )
    assert (found.total, found.measured, found.invalid, found.skipped) == (4, 1, 1, 2)
    assert (found.excluded, found.dispensable) == (1, 1)


def test_a_measured_case_is_never_dispensable() -> None:
    """It has a result, and the result counts."""
    first, _ = plan().service_names
    failed = (CaseOutcome.MEASURED, Verdict.FAILED)
    found = counts(plan(coverage={"may_lack": [first]}), MEASURED, failed, MEASURED, MEASURED)
    assert (found.failed, found.passed, found.dispensable) == (1, 3, 0)


def test_cases_without_a_result_are_counted_only_in_the_total() -> None:
    """A run that ended early has such cases."""
    found = counts(plan(), MEASURED)
    assert (found.total, found.measured, found.skipped, found.excluded) == (4, 1, 0, 0)


def test_coverage_may_lack_accepts_only_cases() -> None:
    """Mistakes have a path and a hint, as for exclusions."""
    checked, problems = check_plan(good() | {"coverage": {"may_lack": ["baseline", "nobody+*"]}})
    assert checked is None
    assert [problem.path for problem in problems] == ["coverage.may_lack[0]", "coverage.may_lack[1]"]
    assert all(problem.hint for problem in problems)
