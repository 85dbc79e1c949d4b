"""Validation never raises, whatever it is given."""

import copy
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from domain.errors import Problem
from domain.plans.validation.validate import check_input, check_plan
from tests.support.plans.builders import FULL, good

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=20,
)
ODD: st.SearchStrategy[Any] = st.sampled_from(
    [
        None, True, 0, -1, 2**63, 10**400, 1.5, float("nan"), "", " ", "\n", "\ud800", "x" * 300, "3s", "1%", "http://",
        "http://[", "http://h:x", "${env:", "${env:A}", "remove", "GET", "POST", [], {}, [[]], {"": None}, {"a": {}},
        {"delay": []}, {"remove": 1}, {"type": {}, "experiment": []}, {"experiment": {"matchers": {"": [""]}}}, (1,),
        b"x",
    ]
)  # fmt: skip


def _places(value: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place, *(found for key, part in inner for found in _places(part, (*place, key)))]


@st.composite
def mutated(draw: st.DrawFn) -> Any:
    """A good plan with up to four parts replaced, removed or added."""
    raw: Any = good()
    raw["services"].append({"name": "x", "fault": copy.deepcopy(FULL)})
    for _ in range(draw(st.integers(1, 4))):
        *outer, last = draw(st.sampled_from(_places(raw)[1:]))
        inner = raw
        for part in outer:
            inner = inner[part]
        change = draw(st.sampled_from(["replace", "remove", "add"]))
        if change == "replace":
            inner[last] = copy.deepcopy(draw(ODD | JSON))
        elif change == "remove":
            del inner[last]
        elif isinstance(inner, dict):
            inner[draw(st.text(max_size=10) | st.sampled_from(["delay", "json", "slo", "fault"]))] = copy.deepcopy(
                draw(ODD)
            )
        if len(_places(raw)) == 1:
            break
    return raw


def _sound(found: list[Problem]) -> None:
    for problem in found:
        line = str(problem)
        line.encode()
        assert problem.message
        assert problem.hint
        assert "\n" not in line
        assert len(line) < 2_000


@given(JSON)
def test_any_json_is_a_plan_or_has_problems(raw: Any) -> None:
    plan, found = check_plan(raw)
    assert (plan is None) == bool(found)
    _sound(found)
    checked = check_input(raw)
    assert (checked.plan is None) == bool(checked.problems)


@given(mutated())
def test_a_mutated_plan_is_a_plan_or_has_problems(raw: Any) -> None:
    """Near misses reach deeper rules than noise does."""
    plan, found = check_plan(raw)
    assert (plan is None) == bool(found)
    _sound(found)
    checked = check_input({"plan": raw})
    assert (checked.plan is None) == bool(checked.problems)
    json.dumps([problem.model_dump() for problem in checked.problems])
