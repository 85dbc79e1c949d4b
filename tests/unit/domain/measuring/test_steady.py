"""The steady state: which answers meet it, and why others do not."""

from __future__ import annotations

from typing import Any

import pytest

from domain.measuring.steady_state import SteadyAnswer, unmet
from domain.plans.plan import Plan
from domain.plans.validation.validate import check_plan
from tests.support.plans.builders import good


def plan(**steady: Any) -> Plan:
    found, problems = check_plan(good() | {"steady_state": steady})
    assert found is not None, problems
    return found


def answer(status: int | None = 200, **facts: Any) -> SteadyAnswer:
    return SteadyAnswer.model_validate({"status": status, "latency_us": 1_000} | facts)


@pytest.mark.parametrize(
    ("steady", "answers"),
    [
        ({}, [answer(), answer(204), answer(302), answer(399)]),
        ({"status": [404]}, [answer(404)] * 3),
        ({"status": [200, 500]}, [answer(500), answer(200)]),
        ({"within": "2ms"}, [answer(latency_us=2_000)]),
        ({"body_contains": "ok"}, [answer(body='{"state": "ok"}')]),
        ({"error_rate": "50%"}, [answer(), answer(500)]),
        ({"error_rate": "34%"}, [answer(), answer(), answer(None)]),
    ],
)
def test_these_answers_meet_the_steady_state(steady: dict[str, Any], answers: list[SteadyAnswer]) -> None:
    """Bounds are inclusive. By default, statuses 200 to 399 are good."""
    assert unmet(answers, plan(**steady)) == ""


@pytest.mark.parametrize(
    ("steady", "answers", "words"),
    [
        ({}, [answer(500)], "status 500 (1 of 1); the limit is 0%"),
        ({}, [answer(), answer(400), answer(199)], "status 400 (1 of 3), status 199 (1 of 3); the limit is 0%"),
        ({"status": [200]}, [answer(302)], "status 302, not 200 (1 of 1)"),
        ({"status": [200, 404]}, [answer(204)], "status 204, not 200 or 404 (1 of 1)"),
        ({"within": "2ms"}, [answer(latency_us=2_001)], "later than 2ms (1 of 1)"),
        (
            {"body_contains": "ok"},
            [answer(body="down"), answer(body="OK")],
            "a body without steady_state.body_contains",
        ),
        ({}, [answer(None, error_kind="timeout"), answer(None)], "timeout (1 of 2), no answer (1 of 2)"),
        ({"error_rate": "50%"}, [answer(500), answer(500), answer()], "status 500 (2 of 3); the limit is 50%"),
        ({"error_rate": "33.3%"}, [answer(500), answer(), answer()], "the limit is 33.3%"),
    ],
)
def test_an_unmet_steady_state_is_explained(steady: dict[str, Any], answers: list[SteadyAnswer], words: str) -> None:
    """The reason has what was seen, how often, and how much is allowed."""
    assert words in unmet(answers, plan(**steady))


def test_only_the_first_reason_of_an_answer_is_reported() -> None:
    """A wrong status explains the wrong body that comes with it."""
    found = unmet([answer(503, latency_us=10**6, body="")], plan(within="2ms", body_contains="ok"))
    assert found == "status 503 (1 of 1); the limit is 0%"


def test_at_most_three_reasons_are_reported_most_frequent_first() -> None:
    """One sentence, however many answers there are."""
    answers = [answer(status) for status in (500, 501, 501, 502, 502, 502, 503, 503, 503, 503)]
    found = unmet(answers, plan())
    assert found == "status 503 (4 of 10), status 502 (3 of 10), status 501 (2 of 10); the limit is 0%"


def test_reasons_never_contain_the_body_of_an_answer() -> None:
    """A body may hold something that must not appear in a status."""
    assert "s3cret" not in unmet([answer(500, body="s3cret")] * 2, plan(body_contains="ok"))
