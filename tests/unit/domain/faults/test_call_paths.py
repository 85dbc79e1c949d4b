"""Services broken at the same time: never more than allowed, never two on one call path, and none waits needlessly."""

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
    """Compute which service reaches which by a second method: add steps until nothing changes."""
    found = {(caller, called) for caller, names in calls.items() for called in names}
    while True:
        more = {(first, last) for (first, by), (via, last) in product(found, found) if by == via} - found
        if not more:
            return found
        found |= more


@pytest.mark.parametrize(
    ("calls", "common"),
    [
        ({"a": ["b"]}, [("a", "b")]),
        ({"a": ["b"], "b": ["c"]}, [("a", "b"), ("a", "c"), ("b", "c")]),
        # Two callers of the same service are on two paths, and so are two services with the same caller.
        ({"a": ["c"], "b": ["c"]}, [("a", "c"), ("b", "c")]),
        ({"a": ["b", "c"]}, [("a", "b"), ("a", "c")]),
        ({"a": ["b"], "b": ["a"]}, [("a", "b")]),
        ({}, []),
    ],
)
def test_services_share_a_path_when_either_reaches_the_other(calls: Calls, common: list[tuple[str, str]]) -> None:
    paths = CallPaths(calls)
    assert [pair for pair in combinations("abc", 2) if pair[1] in paths.through(pair[0])] == common


@given(CALLS)
def test_sharing_a_path_is_symmetric_in_every_graph(calls: Calls) -> None:
    """Includes graphs with cycles."""
    paths, reached = CallPaths(calls), reaching(calls)
    for first, second in product(NAMES, NAMES):
        common = first == second or (first, second) in reached or (second, first) in reached
        assert (second in paths.through(first)) == (first in paths.through(second)) == common


@given(CALLS, st.integers(1, 16), st.data())
def test_every_service_is_broken_once_in_whatever_order_faults_end(
    calls: Calls, most: int, data: st.DataObject
) -> None:
    """At any time at most `most` are broken and no two share a path. No service waits without need."""
    paths, waiting, broken, ended = CallPaths(calls), list(NAMES), set[str](), list[str]()
    while waiting or broken:
        begun = may_begin(waiting, broken, most, paths)
        waiting = [name for name in waiting if name not in begun]
        broken |= set(begun)
        assert 0 < len(broken) <= most
        assert not any(second in paths.through(first) for first, second in combinations(broken, 2))
        assert len(broken) == most or all(paths.through(name) & broken for name in waiting)
        gone = data.draw(st.sampled_from(sorted(broken)))
        broken.remove(gone)
        ended.append(gone)
    assert sorted(ended) == NAMES


def test_services_begin_in_order_but_overtake_a_service_that_must_wait() -> None:
    paths = CallPaths({"a": ["b"], "b": [], "c": [], "d": []})
    assert may_begin(["a", "b", "c", "d"], [], 2, paths) == ["a", "c"]
    assert may_begin(["b", "d"], ["a"], 2, paths) == ["d"]
    assert may_begin(["b", "d"], ["c"], 2, paths) == ["b"]
    assert may_begin(["a", "b", "c", "d"], [], 1, paths) == ["a"]


def several(first: object, second: object, most: object = 2) -> dict[str, object]:
    """Return the good plan with these calls of its two services. None leaves `calls` out."""
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
        (several([], None), {"services[1]": "has no calls, which safety.max_active_faults: 2 needs"}),
        (several(None, None), {"services[0]": "add calls: [...]", "services[1]": "calls: [] if there are none"}),
        (several(["shiping"], []), {"services[0].calls[0]": "did you mean 'shipping'?"}),
        (several(["stock"], []), {"services[0].calls[0]": "leave it out, and name the services under test"}),
        (several(["nowhere-near-it"], []), {"services[0].calls[0]": "is not among the services under test"}),
        (several([], ["reviews", "shipping"]), {"services[1].calls[1]": "'shipping' calls itself"}),
        (several([], ["reviews", "reviews"]), {"services[1].calls[1]": "already named | see services[1].calls[0]"}),
        (several("shipping", []), {"services[0].calls": "must be a list, not text"}),
        (several([3], []), {"services[0].calls[0]": "must be text"}),
        (several(["reviews"], None, 1), {"services[0].calls[0]": "calls itself"}),
        (several([], [], 17), {"safety.max_active_faults": "at most 16"}),
        (several([], [], 0), {"safety.max_active_faults": "at least 1"}),
        (several([], [], "2"), {"safety.max_active_faults": "must be a whole number"}),
    ],
)
def test_a_mistake_in_calls_is_reported_at_its_path(plan: dict[str, object], found: dict[str, str]) -> None:
    """Each is one problem, with advice on how to fix it."""
    reported = problems(plan)
    assert list(reported) == list(found)
    for path, words in found.items():
        assert words in reported[path]


@pytest.mark.parametrize(
    "plan", [several([], []), several(["shipping"], ["reviews"], 16), several(None, None, 1), several([], None, 1)]
)
def test_valid_calls_are_accepted(plan: dict[str, object]) -> None:
    """Cycles too. Plans that break one service at a time need not list any calls."""
    assert check_plan(plan)[1] == []
