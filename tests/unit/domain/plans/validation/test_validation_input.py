"""Validation of the input of a run, which wraps the plan."""

from typing import Any

import pytest

from domain.executions.execution import IfBusy, Leftovers
from domain.plans.validation.validate import check_input, check_plan
from tests.support.plans.builders import changed, good

INPUTS: list[tuple[Any, tuple[Any, ...], str, str]] = [
    (None, (), "input", "no input was given | start with --input-file"),
    ([good()], (), "input", "not a list"),
    ("text", (), "input", "not text"),
    ({"plan": good()}, ({},), "input", "2 inputs were given"),
    ({}, (), "plan", "missing | is the plan document"),
    ({"plan": None}, (), "plan", "must be a mapping of fields, but has no value"),
    ({"plan": "shop.yaml"}, (), "plan", "must be a mapping of fields, not text"),
    ({"plan": good(), "if_busy": "wiat"}, (), "if_busy", "did you mean 'wait'?"),
    ({"plan": good(), "leftovers": "clena"}, (), "leftovers", "did you mean 'clean'?"),
    ({"plan": good(), "ifBusy": "wait"}, (), "ifBusy", "unknown field | did you mean 'if_busy'?"),
    ({"plan": good(), "requested_by": 3}, (), "requested_by", "must be text"),
    ({"plan": good(), 3: 3}, (), "", "a field's name must be text"),
    (good(), (), "input", "is a plan itself"),
]


@pytest.mark.parametrize(("raw", "extra", "path", "text"), INPUTS, ids=lambda value: str(value)[:30])
def test_a_wrong_input_is_reported(raw: Any, extra: tuple[Any, ...], path: str, text: str) -> None:
    """A run takes exactly one object, of exactly this form."""
    checked = check_input(raw, extra)
    assert (checked.plan, checked.input) == (None, None)
    assert [problem.path for problem in checked.problems] == [path]
    assert text in f"{checked.problems[0].message} | {checked.problems[0].hint}"


def test_a_valid_input_is_accepted_with_its_defaults() -> None:
    checked = check_input({"plan": good(), "if_busy": "wait", "leftovers": "clean", "requested_by": "ci"})
    assert checked.problems == []
    assert checked.plan == check_plan(good())[0]
    assert checked.input is not None
    assert (checked.input.if_busy, checked.input.requested_by, checked.input.plan) == (IfBusy.WAIT, "ci", good())
    assert checked.input.leftovers is Leftovers.CLEAN
    defaults = check_input({"plan": good()}).input
    assert defaults is not None
    assert (defaults.if_busy, defaults.leftovers) == (IfBusy.REFUSE, Leftovers.REFUSE)


def test_problems_of_the_input_and_of_its_plan_are_reported_together() -> None:
    """Two inputs, a wrong if_busy and a wrong plan make three problems. The plan's problem has the plan's own path."""
    checked = check_input({"plan": changed(("slo",), {}), "if_busy": "no"}, ("more",))
    assert [problem.path for problem in checked.problems] == ["input", "if_busy", "slo"]
