"""Selected pairs run with two real faults, and are compared with the same pairs made of rules."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from domain.executions.execution import Verdict
from domain.guardrails.check import too_few_for_pairs
from domain.guardrails.model import Guardrails
from domain.names import fault_name, named_fault
from domain.pairs import comparing as fidelity
from domain.pairs.comparing import Answer, Side, add_findings, chosen, compared, in_words, per_page
from domain.pairs.fidelity import PairFidelity, PairFinding, PairOutcome
from domain.plans.validation.validate import check_input

PASSED, FAILED = Verdict.PASSED, Verdict.FAILED
PLAN: dict[str, Any] = {
    "name": "many",
    "system": {
        "namespace": "many",
        "proxy": "http://127.0.0.1:1",
        "faults": "http://127.0.0.1:2",
        "services": {f"s{number}": "http://127.0.0.1:3" for number in range(150)},
    },
    "request": {"url": "http://127.0.0.1:4/"},
    "services": [{"name": f"s{number}", "fault": "remove"} for number in range(150)],
    "slo": {"error_rate": "1%"},
}


def finding(with_rules: Answer, *with_faults: Answer, verdicts: Sequence[Verdict] = (PASSED, PASSED)) -> PairFinding:
    """Compare a single answer with rules to several answers with real faults."""
    return compared("a+b", Side([with_rules], verdicts[0], ""), Side(list(with_faults), verdicts[1], "p95 9ms > 5ms"))


def body(**facts: Any) -> Answer:
    """Return an answer with these facts in its body."""
    return Answer(200, json.dumps(facts))


@pytest.mark.parametrize(
    ("share", "cases"), [(100, list(range(10, 20))), (50, [10, 12, 14, 16, 18]), (30, [10, 13, 16]), (1, [10])]
)
def test_a_share_of_pairs_is_spread_evenly(share: float, cases: list[int]) -> None:
    """Always the same pairs, at least one, and not just the first ones."""
    assert chosen(range(10, 20), share) == cases


def test_a_share_never_selects_more_than_its_percentage() -> None:
    """Despite binary fractions. Of no pairs, none are selected."""
    assert len(chosen(range(100), 7)) == 7
    assert chosen([], 100) == []


def test_pages_of_pairs_show_progress_and_stay_small() -> None:
    """One pair per page while there are few, and never a page whose history would be too long."""
    assert [per_page(pairs) for pairs in (1, 50, 51, 500, fidelity.MOST_PAIRS)] == [1, 1, 2, 10, 80]


def test_equal_answers_agree() -> None:
    """The order of a body's fields does not matter."""
    found = finding(Answer(200, '{"a": 1, "b": [true, null]}'), Answer(200, '{"b":[true,null],"a":1}'))
    assert (found.outcome, found.differs) == (PairOutcome.AGREED, [])


def test_every_difference_between_answers_is_reported() -> None:
    """Statuses and verdicts are shown with their values.

    Bodies show only places, because their values stay in the store.
    """
    found = finding(
        Answer(200, '{"items": [{"source": "cache"}]}'),
        Answer(503, '{"items": [], "error": "x"}'),
        verdicts=(PASSED, FAILED),
    )
    assert (found.status_agrees, found.body_agrees, found.verdict_agrees) == (False, False, False)
    assert found.differs == [
        "status 200 with rules, 503 with faults",
        "body at $.error, $.items, $.items[0].source",
        "verdict passed with rules, failed (p95 9ms > 5ms) with faults",
    ]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("550e8400-e29b-41d4-a716-446655440000", "123e4567-e89b-12d3-a456-426614174000"),
        ("at 2024-05-01T10:00:00.123Z", "at 2024-05-01T10:00:07+00:00"),
        ("trace 4bf92f3577b34da6a3ce929d0e0e4736", "trace 00f067aa0ba902b74bf92f3577b34da6"),
        (1714557600123, 1714557607456),
        ("Wed, 01 May 2024 10:00:00 GMT", "Wed, 01 May 2024 10:00:07 GMT"),
    ],
)
def test_ids_and_times_do_not_count_as_a_difference(one: object, other: object) -> None:
    """They differ between any two answers, in JSON and in plain text."""
    assert finding(body(what=one), body(what=other)).body_agrees
    assert finding(Answer(200, f"it is {one}"), Answer(200, f"it is {other}")).body_agrees


@pytest.mark.parametrize(
    ("one", "other"), [("cache", "fallback"), (12, 13), (True, 1), (None, "None"), (1, "1"), ([], {})]
)
def test_other_values_count_as_a_difference(one: object, other: object) -> None:
    """A number too, unless several answers show that it varies by itself."""
    assert not finding(body(what=one), body(what=other)).body_agrees


def test_a_number_that_varies_between_real_answers_is_no_difference() -> None:
    """It is a duration or a counter. A text that varies means a different answer."""
    assert finding(body(took=5), body(took=7), body(took=9)).body_agrees
    assert not finding(body(source="x"), body(source="y"), body(source="z")).body_agrees


def test_a_pair_agrees_if_any_real_answer_agrees() -> None:
    """A system may answer the same failures in more than one way."""
    assert finding(body(source="y"), body(source="x"), body(source="y")).outcome is PairOutcome.AGREED


def test_a_missing_answer_is_compared_as_a_status_with_its_error() -> None:
    found = finding(Answer(503, ""), Answer(None, "", "timeout"))
    assert found.differs == ["status 503 with rules, no answer (timeout) with faults"]


def test_findings_are_counted_and_disagreements_come_first() -> None:
    """Pairs that agree are counted but not listed."""
    agreed = finding(body(a=1), body(a=1))
    differs = finding(body(a=1), body(a=2))
    unchecked = PairFinding(case_id="c+d", outcome=PairOutcome.UNCHECKED, reason="it failed")
    found = add_findings(PairFidelity(share=100, measured=9, chosen=3), [unchecked])
    found = add_findings(found, [agreed, differs])
    assert (found.agreed, found.disagreed, found.unchecked) == (1, 1, 1)
    assert (found.status_agreed, found.body_agreed, found.verdict_agreed) == (2, 1, 2)
    assert [shown.outcome for shown in found.findings] == [PairOutcome.DISAGREED, PairOutcome.UNCHECKED]
    assert in_words(found) == (
        "pairs with two real faults: 1 of 2 agree with the rules (status 2, body 1, verdict 2), "
        "of 3 of 9 measured pairs; 1 not compared"
    )
    many = add_findings(PairFidelity(share=100), [differs] * (fidelity.SHOWN + 1))
    assert (len(many.findings), many.disagreed) == (fidelity.SHOWN, fidelity.SHOWN + 1)


def test_a_worker_that_allows_one_fault_refuses_pairs() -> None:
    """Whatever the plan says about its own faults."""
    assert [problem.path for problem in too_few_for_pairs(Guardrails(max_active_faults=1))] == ["verify_pairs"]
    assert too_few_for_pairs(Guardrails(max_active_faults=2)) == []


@pytest.mark.parametrize("share", ["0%", "101%", 50, "all", True])
def test_an_invalid_share_of_pairs_is_refused(share: object) -> None:
    """It is reported with its path, before anything starts."""
    assert [problem.path for problem in check_input({"plan": PLAN, "verify_pairs": share}).problems] == ["verify_pairs"]


def test_a_share_of_too_many_pairs_is_refused() -> None:
    """150 services have 11,175 pairs, for which nobody would wait."""
    (problem,) = check_input({"plan": PLAN, "verify_pairs": "100%"}).problems
    assert problem.path == "verify_pairs"
    assert "11,175 pairs" in problem.message
    found = check_input({"plan": PLAN, "verify_pairs": "80%"})
    assert found.input is not None
    assert found.input.verify_pairs == 80


def test_the_fault_of_a_pair_has_its_own_name() -> None:
    """Even if both windows had the same run id. The name still identifies the service, however long that name is."""
    service, run = "s" * 63, "01a1ff5c-2ef7-7bb9-8d8c-d718b11567cd"
    single, pair = (fault_name(2**53 - 1, service, run, attempt) for attempt in (1, 500_500))
    assert single != pair
    assert len(pair) <= 63
    named = named_fault(pair)
    assert named is not None
    assert named.is_in(service)


def test_a_run_without_checked_pairs_explains_why() -> None:
    """Pairs in doubt are chosen among the measured ones, and there may be none."""
    assert in_words(PairFidelity(share=100)).endswith("none, because no pair was measured")
    assert in_words(PairFidelity(share=100, measured=3)).endswith("none, because none was chosen")
