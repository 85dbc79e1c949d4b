"""What becomes of a case: by its rules, by really broken services where they differ, and of a case in doubt."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.store.samples import measurement
from workflows.contracts.calls import Doubt, DoubtKind, FoundBy
from workflows.contracts.execution import Verdict
from workflows.contracts.load import CaseOutcome
from workflows.contracts.slo import Limits
from workflows.logic.real_verdicts import ALLOW_TWO, Real, real_verdict, settled
from workflows.logic.thresholds import Thresholds

PASSED, FAILED, INCONCLUSIVE = Verdict.PASSED, Verdict.FAILED, Verdict.INCONCLUSIVE
STATUS = "status 200 with rules, 500 with faults"
BROKEN = Real([STATUS], FAILED, "error rate 100% > 1%")
SOUND = Real([STATUS], PASSED, "")
LIKE_RULES = Real([], PASSED, "")
BY_RULES = {PASSED: (PASSED, ""), FAILED: (FAILED, "p95 9.0ms > 5ms"), INCONCLUSIVE: (INCONCLUSIVE, "too few")}


def doubt(kind: DoubtKind) -> Doubt:
    return Doubt(case_index=7, kind=kind, reason="nobody saw it")


@pytest.mark.parametrize("rules", [PASSED, INCONCLUSIVE])
def test_a_failure_that_only_real_faults_show_stands(rules: Verdict) -> None:
    found = settled(BY_RULES[rules], PASSED, [BROKEN])
    assert found == (
        CaseOutcome.MEASURED,
        FAILED,
        f"error rate 100% > 1%; found with real faults: {STATUS}",
        FoundBy.REAL_FAULTS,
    )


def test_a_failure_that_real_faults_do_not_show_is_none() -> None:
    found = settled(BY_RULES[FAILED], FAILED, [SOUND])
    assert found == (CaseOutcome.MEASURED, PASSED, f"found with real faults: {STATUS}", FoundBy.REAL_FAULTS)


def test_a_regression_is_not_disproved_by_few_requests() -> None:
    """Real faults are asked too seldom for it."""
    assert settled((FAILED, "regression: slower"), PASSED, [SOUND])[:3] == (
        CaseOutcome.MEASURED,
        FAILED,
        "regression: slower",
    )
    assert settled(BY_RULES[INCONCLUSIVE], PASSED, [SOUND]).verdict is INCONCLUSIVE


@pytest.mark.parametrize("rules", Verdict)
def test_answers_as_by_rules_change_no_verdict(rules: Verdict) -> None:
    found = settled(BY_RULES[rules], rules, [LIKE_RULES])
    assert found == (CaseOutcome.MEASURED, *BY_RULES[rules], FoundBy.RULES)


def test_a_failure_that_both_show_is_that_of_the_rules() -> None:
    assert settled(BY_RULES[FAILED], FAILED, [BROKEN]) == (CaseOutcome.MEASURED, *BY_RULES[FAILED], FoundBy.RULES)


def test_the_worse_of_two_real_answers_counts() -> None:
    """One with real faults that agrees with the rules, or fails, outweighs one that passes."""
    assert settled(BY_RULES[PASSED], PASSED, [SOUND, BROKEN]).verdict is FAILED
    assert settled(BY_RULES[FAILED], FAILED, [SOUND, BROKEN]).verdict is FAILED
    assert settled(BY_RULES[FAILED], FAILED, [SOUND, LIKE_RULES]).verdict is FAILED


@pytest.mark.parametrize("rules", Verdict)
def test_an_unanswered_call_makes_a_case_invalid(rules: Verdict) -> None:
    found = settled(BY_RULES[rules], rules, [], doubt(DoubtKind.UNANSWERED), ALLOW_TWO)
    assert found == (CaseOutcome.INVALID, None, "nobody saw it", None)


@pytest.mark.parametrize("kind", sorted(set(DoubtKind) - {DoubtKind.UNANSWERED}))
def test_what_is_in_doubt_never_passes(kind: DoubtKind) -> None:
    found = settled(BY_RULES[PASSED], PASSED, [], doubt(kind), ALLOW_TWO)
    assert found == (CaseOutcome.MEASURED, INCONCLUSIVE, f"nobody saw it; {ALLOW_TWO}", FoundBy.RULES)
    assert settled(BY_RULES[PASSED], PASSED, [], doubt(kind)).reason == "nobody saw it"
    for rules in (FAILED, INCONCLUSIVE):
        assert settled(BY_RULES[rules], rules, [], doubt(kind), ALLOW_TWO)[1:3] == BY_RULES[rules]


@pytest.mark.parametrize("kind", DoubtKind)
def test_real_answers_leave_no_doubt(kind: DoubtKind) -> None:
    assert settled(BY_RULES[PASSED], PASSED, [LIKE_RULES], doubt(kind)).verdict is PASSED


def test_real_faults_are_judged_by_the_limits_beside_the_same_baseline() -> None:
    meets = Thresholds(Limits.model_construct(error_rate=1.0, p50=None, p95=timedelta(milliseconds=5), p99=None))
    rules = measurement()
    assert real_verdict(measurement(error_rate=0, success_p95_us=4000), rules, meets, None) == (PASSED, "")
    verdict, reason = real_verdict(measurement(error_rate=50, success_p95_us=4000), rules, meets, None)
    assert (verdict, reason) == (FAILED, "error rate 50% > 1%")
    # How long it took is no matter, unless nothing succeeded at all.
    assert real_verdict(measurement(error_rate=0, success_p95_us=9_000), rules, meets, None) == (PASSED, "")
    only_p95 = Thresholds(Limits.model_construct(error_rate=None, p50=None, p95=timedelta(milliseconds=5), p99=None))
    assert real_verdict(measurement(success_p95_us=None), rules, only_p95, None)[0] is FAILED
