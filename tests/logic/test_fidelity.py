"""Which pairs run with two real faults, and when one that was made of rules stands for them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from workflows.contracts.execution import Verdict
from workflows.contracts.fidelity import PairFidelity, PairFinding, PairOutcome
from workflows.contracts.guardrails import Guardrails
from workflows.logic import fidelity
from workflows.logic.fidelity import Answer, Side, chosen, compared, counted, in_words, per_page
from workflows.logic.guardrails import too_few_for_pairs
from workflows.logic.validation import check_input
from workflows.names import fault_name, named_fault

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
    """What is found of one answer with rules and several with faults."""
    return compared("a+b", Side([with_rules], verdicts[0], ""), Side(list(with_faults), verdicts[1], "p95 9ms > 5ms"))


def body(**facts: Any) -> Answer:
    """An answer with these facts in it."""
    return Answer(200, json.dumps(facts))


@pytest.mark.parametrize(
    ("share", "cases"), [(100, list(range(10, 20))), (50, [10, 12, 14, 16, 18]), (30, [10, 13, 16]), (1, [10])]
)
def test_a_share_is_spread_evenly(share: float, cases: list[int]) -> None:
    """The same ones each time, at least one, and not the first ones only."""
    assert chosen(range(10, 20), share) == cases


def test_no_more_than_so_many_percent_are_chosen() -> None:
    """Binary fractions make nothing of it; of nothing nothing is chosen."""
    assert len(chosen(range(100), 7)) == 7
    assert chosen([], 100) == []


def test_pages_show_progress_and_stay_small() -> None:
    """A pair a page while there are few, and never a page whose history would be too long."""
    assert [per_page(pairs) for pairs in (1, 50, 51, 500, fidelity.MOST_PAIRS)] == [1, 1, 2, 10, 80]


def test_equal_answers_agree() -> None:
    """Whatever the order of a body's fields."""
    found = finding(Answer(200, '{"a": 1, "b": [true, null]}'), Answer(200, '{"b":[true,null],"a":1}'))
    assert (found.outcome, found.differs) == (PairOutcome.AGREED, [])


def test_whatever_differs_is_told() -> None:
    """Values of statuses and verdicts, and of bodies only the places: their values stay in the store."""
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
def test_ids_and_times_are_no_difference(one: object, other: object) -> None:
    """They differ between any two answers; in JSON and in plain text."""
    assert finding(body(what=one), body(what=other)).body_agrees
    assert finding(Answer(200, f"it is {one}"), Answer(200, f"it is {other}")).body_agrees


@pytest.mark.parametrize(
    ("one", "other"), [("cache", "fallback"), (12, 13), (True, 1), (None, "None"), (1, "1"), ([], {})]
)
def test_other_values_are(one: object, other: object) -> None:
    """Also a number, as long as nothing shows that it varies by itself."""
    assert not finding(body(what=one), body(what=other)).body_agrees


def test_a_number_that_varies_among_equal_failures_is_no_difference() -> None:
    """A duration, a counter. A text that varies is an answer of its own."""
    assert finding(body(took=5), body(took=7), body(took=9)).body_agrees
    assert not finding(body(source="x"), body(source="y"), body(source="z")).body_agrees


def test_one_of_several_answers_is_enough() -> None:
    """A system may have more than one answer to the same failures."""
    assert finding(body(source="y"), body(source="x"), body(source="y")).outcome is PairOutcome.AGREED


def test_no_answer_is_a_status_of_its_own() -> None:
    """And says why there was none."""
    found = finding(Answer(503, ""), Answer(None, "", "timeout"))
    assert found.differs == ["status 503 with rules, no answer (timeout) with faults"]


def test_findings_are_counted_and_disagreements_come_first() -> None:
    """Those that agree are counted and not carried."""
    agreed = finding(body(a=1), body(a=1))
    differs = finding(body(a=1), body(a=2))
    unchecked = PairFinding(case_id="c+d", outcome=PairOutcome.UNCHECKED, reason="it failed")
    found = counted(PairFidelity(share=100, measured=9, chosen=3), [unchecked])
    found = counted(found, [agreed, differs])
    assert (found.agreed, found.disagreed, found.unchecked) == (1, 1, 1)
    assert (found.status_agreed, found.body_agreed, found.verdict_agreed) == (2, 1, 2)
    assert [one.outcome for one in found.findings] == [PairOutcome.DISAGREED, PairOutcome.UNCHECKED]
    assert in_words(found) == (
        "pairs with two real faults: 1 of 2 agree with the rules (status 2, body 1, verdict 2), "
        "of 3 of 9 measured pairs; 1 not compared"
    )
    many = counted(PairFidelity(share=100), [differs] * (fidelity.SHOWN + 1))
    assert (len(many.findings), many.disagreed) == (fidelity.SHOWN, fidelity.SHOWN + 1)


def test_a_worker_that_allows_one_fault_allows_no_pair() -> None:
    """Whatever the plan says of its own faults."""
    assert [one.path for one in too_few_for_pairs(Guardrails(max_active_faults=1))] == ["verify_pairs"]
    assert too_few_for_pairs(Guardrails(max_active_faults=2)) == []


@pytest.mark.parametrize("share", ["0%", "101%", 50, "all", True])
def test_a_share_that_is_none_is_refused(share: object) -> None:
    """With its path, before anything."""
    assert [one.path for one in check_input({"plan": PLAN, "verify_pairs": share}).problems] == ["verify_pairs"]


def test_more_pairs_than_anybody_waits_for_are_refused() -> None:
    """150 services have 11,175 pairs."""
    (problem,) = check_input({"plan": PLAN, "verify_pairs": "100%"}).problems
    assert problem.path == "verify_pairs"
    assert "11,175 pairs" in problem.message
    found = check_input({"plan": PLAN, "verify_pairs": "80%"})
    assert found.input is not None
    assert found.input.verify_pairs == 80


def test_a_pair_s_fault_has_a_name_of_its_own() -> None:
    """Even if both windows had the same run id; and its service is still known from it, however long its name."""
    service, run = "s" * 63, "01a1ff5c-2ef7-7bb9-8d8c-d718b11567cd"
    single, pair = (fault_name(2**53 - 1, service, run, attempt) for attempt in (1, 500_500))
    assert single != pair
    assert len(pair) <= 63
    told = named_fault(pair)
    assert told is not None
    assert told.is_in(service)


def test_no_pair_is_explained_by_what_was_measured() -> None:
    """Pairs in doubt are chosen among the measured ones, and there may be none."""
    assert in_words(PairFidelity(share=100)).endswith("none, because no pair was measured")
    assert in_words(PairFidelity(share=100, measured=3)).endswith("none, because none was chosen")


def test_the_log_has_that_pairs_were_in_doubt() -> None:
    """A state that is made of what is stored reads it there."""
    asked, doubted = (fidelity.choice_in_words(2, 9, asked_for=one) for one in (True, False))
    assert [fidelity.measured_in_doubt(line) for line in (asked, doubted, f"{doubted}?")] == [None, 9, None]
