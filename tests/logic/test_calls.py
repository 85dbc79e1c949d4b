"""Which calls a failure adds, which can never have a rule, and which pairs are worth breaking."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows.contracts.calls import FallbackCall
from workflows.logic.calls import (
    DIFFERS,
    FRESH,
    VARIES,
    CallKey,
    added,
    as_first_found,
    fallback_calls,
    healthy_calls,
    in_words,
    key_of,
    most,
    never_ruled,
    only_when_broken,
    pairs_to_break,
    same_shape,
    to_capture,
)
from workflows.logic.cases import case_at, pair_case

SERVICES = ["basket", "catalog", "page", "prices"]
UUIDS = ("0b8f3d52-7d8e-4c54-9d0e-0d6a5f0f1a11", "a7b14f6e-2f7c-4f0e-8d5a-5b8f1a2c3d4e")
KEYS = st.builds(CallKey, st.sampled_from(SERVICES), st.sampled_from(["GET", "POST"]), st.sampled_from(["/a", "/b"]))
CALLS = st.dictionaries(KEYS, st.integers(1, 4)).map(Counter)


def get(service: str, path: str) -> CallKey:
    return CallKey(service, "GET", path)


def call(service: str, path: str, case_index: int) -> FallbackCall:
    return FallbackCall(service=service, method="GET", path=path, case_index=case_index, times=1, new=True, round=1)


def test_of_several_equal_requests_the_one_that_made_most_calls_counts() -> None:
    page, other = get("page", "/"), get("catalog", "/a")
    assert most([Counter({page: 1}), Counter({page: 3, other: 1}), Counter()]) == Counter({page: 3, other: 1})
    assert most([]) == Counter()


@given(CALLS, CALLS)
def test_added_calls_are_those_that_are_more_frequent(healthy: Counter[CallKey], broken: Counter[CallKey]) -> None:
    found = added(healthy, broken)
    for key in healthy.keys() | broken.keys():
        assert found[key] == max(0, broken[key] - healthy[key])
    assert all(found.values())


def test_a_fallback_call_has_its_counts_and_whether_the_analysis_knew_it() -> None:
    healthy = Counter({get("page", "/"): 1, get("prices", "/p"): 1})
    broken = Counter({get("page", "/"): 1, get("prices", "/p"): 3, get("catalog", "/list"): 2})
    known = {get("page", "/"), get("prices", "/p")}
    assert fallback_calls(4, 1, [healthy], broken, known) == [
        FallbackCall(
            service="catalog", method="GET", path="/list", case_index=4, times=2, healthy_times=0, new=True, round=1
        ),
        FallbackCall(
            service="prices", method="GET", path="/p", case_index=4, times=3, healthy_times=1, new=False, round=1
        ),
    ]


def test_of_a_pair_only_what_neither_failure_alone_adds_is_new() -> None:
    healthy: Counter[CallKey] = Counter({get("page", "/"): 1})
    first = healthy + Counter({get("catalog", "/list"): 2})
    second = healthy + Counter({get("catalog", "/list"): 1, get("page", "/again"): 1})
    both = healthy + Counter({get("catalog", "/list"): 2, get("page", "/again"): 1, get("prices", "/old"): 1})
    more = healthy + Counter({get("catalog", "/list"): 3})
    assert [one.healthy_times for one in fallback_calls(9, 2, [healthy, first, second], more, set())] == [2]
    found = fallback_calls(9, 2, [healthy, first, second], both, set())
    assert [key_of(one) for one in found] == [get("prices", "/old")]


def test_a_later_round_does_not_make_a_call_known_to_the_analysis() -> None:
    """Its request was added to the recorded ones meanwhile. Under another failure it is found by that later round."""
    earlier = [call("catalog", "/a", 3)]
    later = [
        call("catalog", "/a", 3).model_copy(update={"new": False, "round": 2, "times": 2}),
        call("catalog", "/a", 4).model_copy(update={"new": False, "round": 2}),
        call("catalog", "/known", 4).model_copy(update={"new": False, "round": 2}),
    ]
    found = [(one.case_index, one.path, one.new, one.round, one.times) for one in as_first_found(later, earlier)]
    assert found == [(3, "/a", True, 1, 2), (4, "/a", True, 2, 1), (4, "/known", False, 2, 1)]


@pytest.mark.parametrize(
    ("path", "other", "same"),
    [
        ("/a", "/a", True),
        ("/a", "/b", False),
        (f"/orders/{UUIDS[0]}", f"/orders/{UUIDS[1]}", True),
        (f"/orders/{UUIDS[0]}", f"/baskets/{UUIDS[1]}", False),
        ("/orders/4711/items", "/orders/123456789012/items", True),
        ("/orders/1711111111", "/orders/4711", True),
        ("/page/12", "/page/13", False),
        ("/v1/a", "/v2/a", False),
        ("/at/2031-02-03T04:05:06Z", "/at/2031-02-03T04:05:09Z", True),
        ("/at/2031-02-03T04%3A05%3A06Z", "/at/2031-02-03T04%3A05%3A09Z", True),
        ("/t/4bf92f3577b34da6a3ce929d0e0e4736", "/t/0af7651916cd43dd8448eb211c80319c", True),
        ("/orders/4711", "/orders/4711/", False),
        ("/a%2Fb", "/a/b", False),
    ],
)
def test_paths_have_the_same_shape_when_only_ids_and_times_differ(path: str, other: str, same: bool) -> None:
    assert same_shape(path, other) is same
    assert same_shape(other, path) is same


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_path_has_the_shape_of_itself(path: str, other: str) -> None:
    assert same_shape(path, path)
    assert same_shape(path, other) is same_shape(other, path)


def test_what_equal_requests_do_differently_can_never_be_ruled() -> None:
    once, always, recorded = get("catalog", "/cache"), get("catalog", "/list"), get("catalog", "/stock")
    assert never_ruled([once, always, recorded], [always], {always, recorded}) == {once: DIFFERS}
    assert never_ruled([always], [once, always], {always}) == {once: DIFFERS}


def test_a_known_path_with_another_id_can_never_be_ruled() -> None:
    """Neither of a healthy request nor under a failure; a service or method of its own makes it another call."""
    known = {get("catalog", f"/orders/{UUIDS[0]}"), get("page", "/rows/1000")}
    varied = get("catalog", f"/orders/{UUIDS[1]}")
    others = [get("page", "/rows/2000"), CallKey("page", "POST", "/rows/2000"), get("prices", "/rows/2000")]
    assert never_ruled([varied], [varied], known, others) == {varied: VARIES, others[0]: VARIES}


def test_an_id_that_nothing_else_has_can_never_be_ruled() -> None:
    """It may be made anew by each request. One that the plan's request or another call has stays the same."""
    fresh, of_the_plan, of_a_call = (get("catalog", f"/again/{one}") for one in (*UUIDS, "1711111111"))
    known = {get("page", "/user/1711111111")}
    found = never_ruled([], [], known, [fresh, of_the_plan, of_a_call], f'{{"user": "{UUIDS[1]}"}}')
    assert found == {fresh: FRESH}


def test_calls_are_captured_once_where_a_rule_can_be_made_of_them() -> None:
    """Not what has a reason against it, was captured, was known before, or is at a service outside the plan."""
    wanted = [call("catalog", "/b", 1), call("catalog", "/a", 2), call("catalog", "/a", 3), call("page", "/", 0)]
    open_ = call("catalog", "/x", 1).model_copy(update={"reason": VARIES})
    known = call("catalog", "/y", 1).model_copy(update={"new": False})
    others = [open_, known, call("mail", "/", 1), call("catalog", "/done", 1)]
    found = to_capture([*wanted, *others], SERVICES, {get("catalog", "/done")})
    assert found == {"catalog": [get("catalog", "/a"), get("catalog", "/b")], "page": [get("page", "/")]}


def test_of_what_two_failures_cause_only_calls_at_their_own_services_are_captured() -> None:
    pair = pair_case(len(SERVICES), SERVICES.index("catalog"), SERVICES.index("prices"))
    calls = [call("prices", "/old", pair), call("page", "/again", pair)]
    assert to_capture(calls, SERVICES, set()) == {"prices": [get("prices", "/old")]}


def test_pairs_are_broken_where_one_failure_adds_calls_to_the_other_service() -> None:
    """Not for calls to the broken service itself, to a service outside the plan, under no failure or under two."""
    calls = [
        call("catalog", "/list", 1 + SERVICES.index("prices")),
        call("prices", "/old", 1 + SERVICES.index("catalog")),
        call("basket", "/again", 1 + SERVICES.index("page")),
        call("page", "/again", 1 + SERVICES.index("page")),
        call("mail", "/", 1 + SERVICES.index("page")),
        call("page", "/config", 0),
        call("page", "/both", 5),
    ]
    assert [case_at(SERVICES, index).case_id for index in pairs_to_break(calls, SERVICES)] == [
        "basket+page",
        "catalog+prices",
    ]


def test_a_hostile_path_is_shown_on_one_short_line() -> None:
    shown = in_words(get("catalog", "/\x1b[2J\n" + "x" * 10_000))
    assert shown.isprintable()
    assert len(shown) < 200


def test_calls_that_only_failures_cause_are_counted_once() -> None:
    """However many failures cause them, and also when a pair's is held against that of its single."""
    calls = [
        FallbackCall(service=service, method="GET", path=path, case_index=case, times=2, healthy_times=healthy,
                     new=False, round=2)
        for service, path, case, healthy in (
            ("a", "/list", 1, 0), ("a", "/list", 4, 1), ("a", "/usual", 1, 1), ("b", "/missed", 0, 0),
            ("b", "/missed", 1, 1),
        )
    ]  # fmt: skip
    assert only_when_broken(calls) == {CallKey("a", "GET", "/list")}
    assert healthy_calls(calls)[CallKey("a", "GET", "/usual")] == 1
