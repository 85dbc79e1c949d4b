"""Outcome and verdict of a case, from its rules, from really broken services and from doubts."""

from __future__ import annotations

from datetime import timedelta

import pytest

from domain.calls.model import Doubt, DoubtKind, FoundBy
from domain.cases.real_verdicts import ALLOW_TWO, Real, real_verdict, settled
from domain.cases.thresholds import Thresholds
from domain.executions.execution import Verdict
from domain.measuring.load import CaseOutcome
from domain.plans.slo import Limits
from tests.support.store.samples import measurement

PASSED, FAILED, INCONCLUSIVE = Verdict.PASSED, Verdict.FAILED, Verdict.INCONCLUSIVE
STATUS = "status 200 with rules, 500 with faults"
BROKEN = Real([STATUS], FAILED, "error rate 100% > 1%")
SOUND = Real([STATUS], PASSED, "")
LIKE_RULES = Real([], PASSED, "")
BY_RULES = {PASSED: (PASSED, ""), FAILED: (FAILED, "p95 9.0ms > 5ms"), INCONCLUSIVE: (INCONCLUSIVE, "too few")}


def doubt(kind: DoubtKind) -> Doubt:
    return Doubt(case_index=7, kind=kind, reason="nobody saw it")


@pytest.mark.parametrize("rules", [PASSED, INCONCLUSIVE])
def test_a_failure_found_only_with_real_faults_fails_the_case(rules: Verdict) -> None:
    found = settled(BY_RULES[rules], PASSED, [BROKEN])
    assert found == (
        CaseOutcome.MEASURED,
        FAILED,
        f"error rate 100% > 1%; found with real faults: {STATUS}",
        FoundBy.REAL_FAULTS,
    )


def test_a_failure_not_confirmed_by_real_faults_passes() -> None:
    found = settled(BY_RULES[FAILED], FAILED, [SOUND])
    assert found == (CaseOutcome.MEASURED, PASSED, f"found with real faults: {STATUS}", FoundBy.REAL_FAULTS)


def test_real_faults_do_not_disprove_a_regression() -> None:
    """Too few requests are sent with real faults."""
    assert settled((FAILED, "regression: slower"), PASSED, [SOUND])[:3] == (
        CaseOutcome.MEASURED,
        FAILED,
        "regression: slower",
    )
    assert settled(BY_RULES[INCONCLUSIVE], PASSED, [SOUND]).verdict is INCONCLUSIVE


@pytest.mark.parametrize("rules", Verdict)
def test_real_answers_equal_to_the_rules_keep_the_verdict(rules: Verdict) -> None:
    found = settled(BY_RULES[rules], rules, [LIKE_RULES])
    assert found == (CaseOutcome.MEASURED, *BY_RULES[rules], FoundBy.RULES)


def test_a_failure_found_both_ways_keeps_the_reason_from_the_rules() -> None:
    assert settled(BY_RULES[FAILED], FAILED, [BROKEN]) == (CaseOutcome.MEASURED, *BY_RULES[FAILED], FoundBy.RULES)


def test_the_worse_of_two_real_answers_counts() -> None:
    """A real case that fails or agrees with the rules outweighs one that passes."""
    assert settled(BY_RULES[PASSED], PASSED, [SOUND, BROKEN]).verdict is FAILED
    assert settled(BY_RULES[FAILED], FAILED, [SOUND, BROKEN]).verdict is FAILED
    assert settled(BY_RULES[FAILED], FAILED, [SOUND, LIKE_RULES]).verdict is FAILED


@pytest.mark.parametrize("rules", Verdict)
def test_an_unanswered_call_makes_a_case_invalid(rules: Verdict) -> None:
    found = settled(BY_RULES[rules], rules, [], doubt(DoubtKind.UNANSWERED), ALLOW_TWO)
    assert found == (CaseOutcome.INVALID, None, "nobody saw it", None)


@pytest.mark.parametrize("kind", sorted(set(DoubtKind) - {DoubtKind.UNANSWERED}))
def test_a_case_in_doubt_never_passes(kind: DoubtKind) -> None:
    found = settled(BY_RULES[PASSED], PASSED, [], doubt(kind), ALLOW_TWO)
    assert found == (CaseOutcome.MEASURED, INCONCLUSIVE, f"nobody saw it; {ALLOW_TWO}", FoundBy.RULES)
    assert settled(BY_RULES[PASSED], PASSED, [], doubt(kind)).reason == "nobody saw it"
    for rules in (FAILED, INCONCLUSIVE):
        assert settled(BY_RULES[rules], rules, [], doubt(kind), ALLOW_TWO)[1:3] == BY_RULES[rules]


@pytest.mark.parametrize("kind", DoubtKind)
def test_real_answers_remove_a_doubt(kind: DoubtKind) -> None:
    assert settled(BY_RULES[PASSED], PASSED, [LIKE_RULES], doubt(kind)).verdict is PASSED


def test_real_faults_are_judged_by_error_limits_against_the_same_baseline() -> None:
    meets = Thresholds(Limits.model_construct(error_rate=1.0, p50=None, p95=timedelta(milliseconds=5), p99=None))
    rules = measurement()
    assert real_verdict(measurement(error_rate=0, success_p95_us=4000), rules, meets, None) == (PASSED, "")
    verdict, reason = real_verdict(measurement(error_rate=50, success_p95_us=4000), rules, meets, None)
    assert (verdict, reason) == (FAILED, "error rate 50% > 1%")
    # Latency does not matter, unless no request succeeded at all.
    assert real_verdict(measurement(error_rate=0, success_p95_us=9_000), rules, meets, None) == (PASSED, "")
    only_p95 = Thresholds(Limits.model_construct(error_rate=None, p50=None, p95=timedelta(milliseconds=5), p99=None))
    assert real_verdict(measurement(success_p95_us=None), rules, only_p95, None)[0] is FAILED
