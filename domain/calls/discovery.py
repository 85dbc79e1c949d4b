"""Fallback calls: what failures add, what rules can match, what to break.

Finds the calls that a failure adds, those that no rule can ever match, and the pairs that they make worth breaking for
real.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple
from urllib.parse import unquote

from domain.calls.model import Call, FallbackCall
from domain.cases.cases import pair_case, places_of
from domain.plans.validation.wording import cut
from domain.traffic.volatile import masked, volatile_parts

_PAIR = 2

_LEAST_DIGITS = 4
"""Fewer digits look like a name: a version, a page, a rank."""

DIFFERS = "one of two equal requests made this call and the other did not"
VARIES = "its path differs from another call's only by an id or a time, so a rule would miss the next call"
FRESH = "its path has an id or a time that no other request has, so a rule may never match it"


class CallKey(NamedTuple):
    """Identity of a call, and what a rule matches.

    Calls with equal keys are the same call.
    """

    service: str
    method: str
    path: str
    """Raw path without the query."""


Calls = Counter[CallKey]
"""How often one request of the plan causes each call."""


def key_of(call: Call) -> CallKey:
    """Return the key of a call."""
    return CallKey(call.service, call.method, call.path)


def in_words(call: Call | CallKey) -> str:
    """Describe a call for use in a sentence.

    Names that come from a peer are made printable, and cut.
    """
    return f"{cut(call.method)} {cut(call.path)} at {cut(call.service)}"


def most(asks: Iterable[Calls]) -> Calls:
    """Return how often one request causes each call.

    If several equal requests differ, the highest count wins.
    """
    found: Calls = Counter()
    for ask in asks:
        # On counters, `|=` keeps the higher count of each call.
        found |= ask
    return found


def added(healthy: Calls, broken: Calls) -> Calls:
    """Return how much more often each call is made under a failure.

    Calls that are not more frequent are left out.
    """
    # Subtracting counters drops counts that are not above 0.
    return broken - healthy


def fallback_calls(
    case_index: int, round_: int, before: Sequence[Calls], broken: Calls, known: Collection[CallKey]
) -> list[FallbackCall]:
    """Return the calls that a case adds to all cases before it.

    Args:
        case_index: the case.
        round_: the discovery round that found the calls.
        before: calls of the healthy case; for a pair also those of its two single cases.
        broken: calls of the case itself.
        known: calls that the analysis recorded.
    """
    usual: Calls = Counter()
    for calls in before:
        # On counters, `|=` keeps the higher count of each call.
        usual |= calls
    return [
        FallbackCall(
            service=key.service,
            method=key.method,
            path=key.path,
            case_index=case_index,
            times=broken[key],
            healthy_times=usual[key],
            new=key not in known,
            round=round_,
        )
        for key in sorted(added(usual, broken))
    ]


def as_first_found(calls: Iterable[FallbackCall], earlier: Collection[FallbackCall]) -> list[FallbackCall]:
    """Keep the round and novelty with which earlier rounds found these calls.

    A later round stores the requests of new calls. Without this, they would look as if the analysis had recorded them.
    """
    rounds = {(call.case_index, key_of(call)): call.round for call in earlier}
    new = {key_of(call) for call in earlier if call.new}
    return [
        call.model_copy(
            update={
                "new": call.new or key_of(call) in new,
                "round": rounds.get((call.case_index, key_of(call)), call.round),
            }
        )
        for call in calls
    ]


def healthy_calls(calls: Iterable[FallbackCall]) -> Calls:
    """Return how often one healthy request causes each of these calls.

    Only as far as these calls record it.
    """
    found: dict[CallKey, int] = {}
    for call in calls:
        # A pair's `healthy_times` also covers the calls of its singles. The lowest count seen is therefore the healthy
        # one.
        times = call.healthy_times if call.case_index else call.times
        found[key_of(call)] = min(times, found.get(key_of(call), times))
    return Calls(found)


def only_when_broken(calls: Iterable[FallbackCall]) -> set[CallKey]:
    """Return the distinct calls that failures cause and healthy traffic never does."""
    return {key for key, times in healthy_calls(calls).items() if not times}


def shape_of(path: str) -> tuple[str, ...]:
    """Return a path's segments with ids, times and longer numbers masked."""
    return tuple(_shape(segment) for segment in path.split("/"))


def _shape(segment: str) -> str:
    text = unquote(segment)
    if len(text) >= _LEAST_DIGITS and text.isascii() and text.isdigit():
        return "<number>"
    return masked(text)


def same_shape(path: str, other: str) -> bool:
    """Return whether two paths differ only in ids, times or longer numbers."""
    return shape_of(path) == shape_of(other)


def never_ruled(
    first: Iterable[CallKey],
    last: Iterable[CallKey],
    known: Collection[CallKey],
    others: Iterable[CallKey] = (),
    given: str = "",
    *,
    between: Iterable[CallKey] = (),
) -> dict[CallKey, str]:
    """Return the calls that no rule can ever match, with reasons.

    Args:
        first: calls of the first of two equal healthy requests.
        last: calls of the last of them.
        known: calls that the analysis recorded. They have rules, so none of them is returned.
        others: calls seen under failures.
        given: the plan's request, whose ids stay the same.
        between: calls of healthy requests sent between the first and the last.
    """
    first_calls, last_calls = set(first), set(last)
    recorded = set(known)
    shapes = {_shaped(key) for key in recorded}
    # Ids that every request repeats are safe in a rule. Only unfamiliar ones make a path unrepeatable.
    familiar = volatile_parts(given)
    for key in recorded | (first_calls & last_calls):
        familiar |= volatile_parts(unquote(key.path))
    found: dict[CallKey, str] = {}
    healthy = first_calls | last_calls | set(between)
    for key in sorted((healthy | set(others)) - recorded):
        if key in healthy and key not in first_calls & last_calls:
            found[key] = DIFFERS
        elif _shaped(key) in shapes:
            found[key] = VARIES
        elif volatile_parts(unquote(key.path)) - familiar:
            found[key] = FRESH
    return found


def _shaped(key: CallKey) -> tuple[str, str, tuple[str, ...]]:
    return key.service, key.method, shape_of(key.path)


def to_capture(
    calls: Iterable[FallbackCall], services: Sequence[str], captured: Collection[CallKey]
) -> dict[str, list[CallKey]]:
    """Return, by service, the calls whose failure is still to be captured.

    Both are sorted, and only services of the plan count.
    """
    found: defaultdict[str, set[CallKey]] = defaultdict(set)
    for call in calls:
        key = key_of(call)
        places = places_of(len(services), call.case_index)
        # Of what two failures cause, only calls at these two services matter: no case breaks a third one.
        matters = len(places) < _PAIR or call.service in [services[place] for place in places]
        if call.service in services and call.new and not call.reason and matters and key not in captured:
            found[call.service].add(key)
    return {service: sorted(found[service]) for service in sorted(found)}


def pairs_to_break(calls: Iterable[FallbackCall], services: Sequence[str]) -> list[int]:
    """Return the case indices of pairs worth breaking for real, in order.

    In such a pair, the failure of one service adds calls to the other.
    """
    places = {name: place for place, name in enumerate(services)}
    found = set()
    for call in calls:
        # The place of a single case's service; anything else is out of range.
        broken = call.case_index - 1
        called = places.get(call.service)
        if 0 <= broken < len(services) and called is not None and called != broken:
            found.add(pair_case(len(services), broken, called))
    return sorted(found)
