"""Who may be broken at once: never more than allowed, never two on one call path, and nobody waits who need not."""

from __future__ import annotations

from itertools import combinations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.faults.call_paths import CallPaths, may_begin
from domain.plans.validation.validate import check_plan
from tests.support.plans.builders import good, problems

NAMES = [f"s{number}" for number in range(9)]
Calls = dict[str, list[str]]
CALLS: st.SearchStrategy[Calls] = st.fixed_dictionaries(
    {name: st.lists(st.sampled_from(NAMES), max_size=3) for name in NAMES}
)


def reaching(calls: Calls) -> set[tuple[str, str]]:
    """Who reaches whom, worked out in another way: until no step adds anything."""
    found = {(caller, called) for caller, names in calls.items() for called in names}
    while True:
        more = {(one, other) for (one, by), (via, other) in product(found, found) if by == via} - found
        if not more:
            return found
        found |= more


@pytest.mark.parametrize(
    ("calls", "common"),
    [
        ({"a": ["b"]}, [("a", "b")]),
        ({"a": ["b"], "b": ["c"]}, [("a", "b"), ("a", "c"), ("b", "c")]),
        # Two callers of one, and two that one calls, are on two paths.
        ({"a": ["c"], "b": ["c"]}, [("a", "c"), ("b", "c")]),
        ({"a": ["b", "c"]}, [("a", "b"), ("a", "c")]),
        ({"a": ["b"], "b": ["a"]}, [("a", "b")]),
        ({}, []),
    ],
)
def test_services_have_a_common_path_when_one_reaches_the_other(calls: Calls, common: list[tuple[str, str]]) -> None:
    paths = CallPaths(calls)
    assert [pair for pair in combinations("abc", 2) if pair[1] in paths.through(pair[0])] == common


@given(CALLS)
def test_it_is_so_for_every_graph_and_from_both_ends(calls: Calls) -> None:
    """Circles among them."""
    paths, reached = CallPaths(calls), reaching(calls)
    for one, other in product(NAMES, NAMES):
        common = one == other or (one, other) in reached or (other, one) in reached
        assert (other in paths.through(one)) == (one in paths.through(other)) == common


@given(CALLS, st.integers(1, 16), st.data())
def test_all_are_broken_once_whatever_ends_when(calls: Calls, most: int, data: st.DataObject) -> None:
    """At each moment no more than allowed, no two on one path, and nobody waits who need not."""
    paths, waiting, broken, ended = CallPaths(calls), list(NAMES), set[str](), list[str]()
    while waiting or broken:
        begun = may_begin(waiting, broken, most, paths)
        waiting = [name for name in waiting if name not in begun]
        broken |= set(begun)
        assert 0 < len(broken) <= most
        assert not any(other in paths.through(one) for one, other in combinations(broken, 2))
        assert len(broken) == most or all(paths.through(name) & broken for name in waiting)
        gone = data.draw(st.sampled_from(sorted(broken)))
        broken.remove(gone)
        ended.append(gone)
    assert sorted(ended) == NAMES


def test_order_is_kept_but_one_that_must_wait_is_overtaken() -> None:
    paths = CallPaths({"a": ["b"], "b": [], "c": [], "d": []})
    assert may_begin(["a", "b", "c", "d"], [], 2, paths) == ["a", "c"]
    assert may_begin(["b", "d"], ["a"], 2, paths) == ["d"]
    assert may_begin(["b", "d"], ["c"], 2, paths) == ["b"]
    assert may_begin(["a", "b", "c", "d"], [], 1, paths) == ["a"]


def several(first: object, second: object, most: object = 2) -> dict[str, object]:
    """The good plan with these calls of its two services; None: not said."""
    plan = good()
    for service, calls in zip(plan["services"], (first, second), strict=True):
        if calls is not None:
            service["calls"] = calls
    plan["system"]["services"]["stock"] = "http://127.0.0.1:18085"
    plan["safety"]["max_active_faults"] = most
    return plan


@pytest.mark.parametrize(
    ("plan", "found"),
    [
        (several([], None), {"services[1]": "whom it calls is not said, which safety.max_active_faults: 2 needs"}),
        (several(None, None), {"services[0]": "add calls: [...]", "services[1]": "calls: [] when there are none"}),
        (several(["shiping"], []), {"services[0].calls[0]": "did you mean 'shipping'?"}),
        (several(["stock"], []), {"services[0].calls[0]": "leave it out, and name the services under test"}),
        (several(["nowhere-near-it"], []), {"services[0].calls[0]": "is not among the services under test"}),
        (several([], ["reviews", "shipping"]), {"services[1].calls[1]": "'shipping' calls itself"}),
        (several([], ["reviews", "reviews"]), {"services[1].calls[1]": "named already | see services[1].calls[0]"}),
        (several("shipping", []), {"services[0].calls": "must be a list, not text"}),
        (several([3], []), {"services[0].calls[0]": "must be text"}),
        (several(["reviews"], None, 1), {"services[0].calls[0]": "calls itself"}),
        (several([], [], 17), {"safety.max_active_faults": "at most 16"}),
        (several([], [], 0), {"safety.max_active_faults": "at least 1"}),
        (several([], [], "2"), {"safety.max_active_faults": "must be a whole number"}),
    ],
)
def test_a_mistake_is_told_where_it_is(plan: dict[str, object], found: dict[str, str]) -> None:
    """With what to do about it, and one problem for each."""
    told = problems(plan)
    assert list(told) == list(found)
    for path, words in found.items():
        assert words in told[path]


@pytest.mark.parametrize(
    "plan", [several([], []), several(["shipping"], ["reviews"], 16), several(None, None, 1), several([], None, 1)]
)
def test_what_is_said_is_taken(plan: dict[str, object]) -> None:
    """Circles as well; and with one at a time nobody needs to say anything."""
    assert check_plan(plan)[1] == []
