"""Doubts about cases made of rules: exactly those cases, with the gravest reason, for a thousand services at once."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.calls.discovery import CallKey, key_of
from domain.calls.doubts import Doubts, disagreeing, doubted_pairs, doubts
from domain.calls.model import TOGETHER, CallRound, DoubtKind, FallbackCall, RealAnswer, RealCase
from domain.cases.cases import case_at, case_count, pair_case, places_of
from domain.pairs.comparing import MOST_PAIRS
from tests.support.store.samples import measurement

SERVICES = ["basket", "catalog", "page", "prices"]
READ = [CallRound(round=1, complete=True)]
ALL = range(case_count(len(SERVICES)))
UNANSWERED, UNSEEN = DoubtKind.UNANSWERED, DoubtKind.UNSEEN
DISAGREES, UNREAD = DoubtKind.DISAGREES, DoubtKind.UNREAD


def index_of(*names: str) -> int:
    places = [SERVICES.index(name) for name in names]
    if not places:
        return 0
    return 1 + places[0] if len(places) == 1 else pair_case(len(SERVICES), places[0], places[1])


def call(service: str, path: str, *broken: str, reason: str = "") -> FallbackCall:
    return FallbackCall(
        service=service,
        method="GET",
        path=path,
        case_index=index_of(*broken),
        times=1,
        new=True,
        round=1,
        reason=reason,
    )


def kinds(found: Doubts) -> dict[str, DoubtKind]:
    """Return every case in doubt, by its id."""
    return {case_at(SERVICES, index).case_id: doubt.kind for index, doubt in found.among(ALL).items()}


LISTING = call("catalog", "/listprices/1", "prices")


def test_a_call_without_a_rule_makes_its_pair_unanswered() -> None:
    found = doubts(SERVICES, [LISTING], set(), READ)
    assert kinds(found) == {"catalog+prices": UNANSWERED}
    doubt = found.doubt_of(index_of("catalog", "prices"))
    assert doubt is not None
    assert doubt.case_index == index_of("catalog", "prices")
    assert doubt.reason == "no rule answers GET /listprices/1 at catalog, called while prices is broken"


def test_a_call_with_a_rule_makes_its_pair_unseen() -> None:
    found = doubts(SERVICES, [LISTING], {key_of(LISTING)}, READ)
    assert kinds(found) == {"catalog+prices": UNSEEN}
    doubt = found.doubt_of(index_of("catalog", "prices"))
    assert doubt is not None
    assert doubt.reason == (
        "it was not seen what happens without GET /listprices/1 at catalog, called while prices is broken"
    )


@pytest.mark.parametrize("captured", [set(), {key_of(LISTING)}])
def test_a_really_broken_pair_is_not_in_doubt(captured: set[CallKey]) -> None:
    real = {index_of("catalog", "prices")}
    assert kinds(doubts(SERVICES, [LISTING], captured, READ, real=real)) == {}


def test_an_open_call_of_a_healthy_request_makes_its_services_cases_unanswered() -> None:
    """The same holds for an open call that only the service's own failure adds."""
    cases = {"catalog", "basket+catalog", "catalog+page", "catalog+prices"}
    for opened in (call("catalog", "/x/1711111111"), call("catalog", "/retry", "catalog")):
        assert kinds(doubts(SERVICES, [opened], set(), READ)) == dict.fromkeys(cases, UNANSWERED)
        real = {index_of("catalog")}
        assert kinds(doubts(SERVICES, [opened], set(), READ, real=real)).keys() == cases - {"catalog"}
    nothing = doubts(SERVICES, [call("catalog", "/x")], set(), READ).doubt_of(index_of("catalog"))
    assert nothing is not None
    assert "called while nothing is broken" in nothing.reason


def test_an_open_call_under_two_failures_affects_only_that_pair() -> None:
    at_third = call("page", "/last", "catalog", "prices")
    assert kinds(doubts(SERVICES, [at_third], set(), READ)) == {}
    at_one = call("catalog", "/last", "catalog", "prices")
    assert kinds(doubts(SERVICES, [at_one], set(), READ)) == {"catalog+prices": UNANSWERED}
    assert kinds(doubts(SERVICES, [at_one], {key_of(at_one)}, READ)) == {"catalog+prices": UNSEEN}


def test_calls_at_unknown_services_or_cases_cause_no_doubt() -> None:
    strange = [call("mail", "/", "prices"), LISTING.model_copy(update={"case_index": 99})]
    assert kinds(doubts(SERVICES, strange, set(), READ)) == {}


def test_a_reason_names_some_calls_and_why_the_first_has_no_rule() -> None:
    many = [call("catalog", f"/{number}", "prices", reason="it varies") for number in range(5)]
    doubt = doubts(SERVICES, many, set(), READ).doubt_of(index_of("catalog", "prices"))
    assert doubt is not None
    assert doubt.reason.startswith("no rule answers GET /0 at catalog, called while prices is broken; GET /1")
    assert doubt.reason.endswith("; and 2 more: it varies")


def test_a_single_that_disagrees_with_its_rule_puts_its_pairs_in_doubt() -> None:
    found = doubts(SERVICES, [], set(), READ, real={index_of("page")}, disagreeing={index_of("page")})
    assert kinds(found) == dict.fromkeys(("basket+page", "catalog+page", "page+prices"), DISAGREES)
    pair = index_of("basket", "page")
    assert kinds(doubts(SERVICES, [], set(), READ, real={pair}, disagreeing={pair})) == {}


def test_unread_calls_put_cases_in_doubt() -> None:
    """All cases, or those of the named services. If services were broken together, only pairs are in doubt."""
    every = {case_at(SERVICES, index).case_id for index in ALL if index}
    of_page = {"page", "basket+page", "catalog+page", "page+prices"}
    named = CallRound(round=1, complete=False, detail="no session", unread=["page"])
    for rounds, cases in (
        ([CallRound(round=1, complete=False, detail="the proxy was gone")], every),
        ([named], of_page),
        ([*READ, named.model_copy(update={"round": 2})], of_page),
        ([named.model_copy(update={"detail": TOGETHER})], of_page - {"page"}),
        ([*READ, CallRound(round=2, complete=False)], set()),
        ([CallRound(round=2, complete=True)], every),
    ):
        assert kinds(doubts(SERVICES, [], set(), rounds)) == dict.fromkeys(cases, UNREAD)
    doubt = doubts(SERVICES, [], set(), [named]).doubt_of(index_of("basket", "page"))
    assert doubt is not None
    assert doubt.reason == "the calls of page, or those without it, could not be read: no session"


def test_without_any_round_nothing_is_in_doubt() -> None:
    """Runs from before fallback calls were discovered have no rounds."""
    assert kinds(doubts(SERVICES, [LISTING], set(), [], disagreeing={index_of("page")})) == {}


def test_the_gravest_doubt_of_a_case_counts() -> None:
    unread = [CallRound(round=1, complete=False)]
    pair, singles = index_of("catalog", "prices"), {index_of("prices")}
    ruled = {key_of(LISTING)}
    assert [
        found and found.kind
        for found in (
            doubts(SERVICES, [LISTING], set(), unread, disagreeing=singles).doubt_of(pair),
            doubts(SERVICES, [LISTING], ruled, unread, disagreeing=singles).doubt_of(pair),
            doubts(SERVICES, [LISTING], ruled, unread).doubt_of(pair),
            doubts(SERVICES, [], ruled, unread).doubt_of(pair),
        )
    ] == [UNANSWERED, DISAGREES, UNSEEN, UNREAD]


NAMES = st.sampled_from(SERVICES)
BROKEN = st.one_of(st.just(()), st.tuples(NAMES), st.tuples(NAMES, NAMES).filter(lambda two: two[0] != two[1]))
SOME_CALLS = st.lists(st.builds(lambda name, path, broken: call(name, path, *broken), NAMES, st.just("/x"), BROKEN))


@given(SOME_CALLS, st.sets(NAMES), st.sets(st.sampled_from(list(ALL)[1:])))
def test_a_case_is_unanswered_when_its_failures_open_a_call_at_its_services(
    calls: list[FallbackCall], ruled: set[str], real: set[int]
) -> None:
    captured = {CallKey(name, "GET", "/x") for name in ruled}
    found = doubts(SERVICES, calls, captured, READ, real=real)
    for index in ALL:
        failing = set(case_at(SERVICES, index).services)
        opened = any(
            set(case_at(SERVICES, opening.case_index).services) <= failing and opening.service in failing - ruled
            for opening in calls
        )
        doubt = found.doubt_of(index)
        assert (doubt is not None and doubt.kind is UNANSWERED) is (opened and index not in real)


def real_case(index: int, *answers: RealAnswer) -> RealCase:
    return RealCase(case_index=index, answers=list(answers), measurement=measurement())


def test_real_answers_disagree_if_status_or_body_differs() -> None:
    kept = measurement(response_code=200, response_body='{"a":1}')
    real = [
        real_case(1, RealAnswer(status=200, body='{"a":1}')),
        real_case(2, RealAnswer(status=500, body='{"a":1}')),
        real_case(3, RealAnswer(status=200, body='{"a":2}'), RealAnswer(status=200, body='{"a":"x"}')),
        real_case(4, RealAnswer(status=503, body=""), RealAnswer(status=200, body='{"a":1}')),
        real_case(5),
        real_case(6, RealAnswer(status=None, error="timeout")),
    ]
    assert disagreeing(dict.fromkeys(range(6), kept), real) == {2, 3}
    assert disagreeing({6: kept}, real) == {6}


def pairs_of(found: list[int]) -> list[str]:
    return [case_at(SERVICES, index).case_id for index in found]


PAIRS = [index for index in ALL if len(places_of(len(SERVICES), index)) == 2]


def test_pairs_in_doubt_are_chosen_for_two_real_faults() -> None:
    """Even if a rule is missing too, but not if the only doubt is that calls were not read."""
    found = doubts(SERVICES, [LISTING], set(), READ, disagreeing={index_of("page")})
    assert pairs_of(doubted_pairs(found, SERVICES, PAIRS, set(), [])) == [
        "basket+page",
        "catalog+page",
        "catalog+prices",
        "page+prices",
    ]
    unread = doubts(SERVICES, [], set(), [CallRound(round=1, complete=False)])
    assert doubted_pairs(unread, SERVICES, PAIRS, set(), []) == []


def test_unmeasured_and_really_broken_pairs_are_not_chosen() -> None:
    real = {index_of("catalog", "prices")}
    found = doubts(SERVICES, [LISTING], set(), READ, real=real, disagreeing={index_of("page")})
    measured = [index for index in PAIRS if index != index_of("basket", "page")]
    assert pairs_of(doubted_pairs(found, SERVICES, measured, real, [])) == ["catalog+page", "page+prices"]


def test_each_substituted_failure_is_verified_in_one_pair() -> None:
    """Preferably in a pair that runs anyway or already ran, or in a pair with another such failure."""
    nothing = doubts(SERVICES, [], set(), READ)
    chosen = doubted_pairs(nothing, SERVICES, PAIRS, set(), ["page", "prices", "mail"])
    assert pairs_of(chosen) == ["page+prices"]
    assert pairs_of(doubted_pairs(nothing, SERVICES, PAIRS, set(), ["page"])) == ["basket+page"]
    only = [index_of("catalog", "page"), index_of("basket", "prices")]
    assert doubted_pairs(nothing, SERVICES, only, set(), ["page", "prices"]) == sorted(only)
    assert doubted_pairs(nothing, SERVICES, PAIRS, {index_of("page", "prices")}, ["page", "prices"]) == []
    assert doubted_pairs(nothing, SERVICES, [], set(), ["page"]) == []
    unseen = doubts(SERVICES, [LISTING], set(), READ)
    assert pairs_of(doubted_pairs(unseen, SERVICES, PAIRS, set(), ["prices"])) == ["catalog+prices"]


def test_doubts_stay_bounded_for_a_thousand_services() -> None:
    """Doubts about whole services are kept per service. No more pairs run than fit into a run's history."""
    services = sorted(f"s{number}" for number in range(1000))
    broken = list(range(1, 1001))
    calls = [LISTING.model_copy(update={"service": services[0], "case_index": index}) for index in broken]
    found = doubts(services, calls, set(), READ, disagreeing=broken)
    pairs = [pair_case(1000, first, second) for first, second in combinations(range(60), 2)]
    everything = range(1001, 1001 + 3 * MOST_PAIRS)
    assert len(doubted_pairs(found, services, everything, set(), services)) == MOST_PAIRS
    chosen = doubted_pairs(found, services, pairs, set(), services[:60])
    assert chosen == pairs
    assert found.doubt_of(pair_case(1000, 998, 999)) is not None
