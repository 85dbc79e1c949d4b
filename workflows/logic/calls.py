"""Which calls a failure adds, which of them a rule can stand for, and which pairs they make worth breaking."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple
from urllib.parse import unquote

from workflows.contracts.calls import Call, FallbackCall
from workflows.logic.cases import pair_case, places_of
from workflows.logic.volatile import masked, volatile_parts
from workflows.logic.wording import cut

_PAIR = 2

_LEAST_DIGITS = 4
"""A number with fewer is taken for a name: a version, a page, a rank."""

DIFFERS = "one of two equal requests made this call and the other did not"
VARIES = "its path differs from another one only by an id or a time, so no rule can be made for the next one"
FRESH = "its path has an id or a time that no other request has, so a rule may never match it"


class CallKey(NamedTuple):
    """What makes two calls the same one, and what a rule matches."""

    service: str
    method: str
    path: str
    """Raw, without query."""


Calls = Counter[CallKey]
"""How often one request of the plan caused each call."""


def key_of(call: Call) -> CallKey:
    """The key of a call."""
    return CallKey(call.service, call.method, call.path)


def in_words(call: Call | CallKey) -> str:
    """A call in a sentence. What a peer named is shown safely, and cut."""
    return f"{cut(call.method)} {cut(call.path)} at {cut(call.service)}"


def most(asks: Iterable[Calls]) -> Calls:
    """How often one request causes each call: the most that any of several equal requests did."""
    found: Calls = Counter()
    for ask in asks:
        found |= ask
    return found


def added(healthy: Calls, broken: Calls) -> Calls:
    """By how much each call is more frequent while something is broken; calls that are not are left out."""
    return broken - healthy


def fallback_calls(
    case_index: int, round_: int, before: Sequence[Calls], broken: Calls, known: Collection[CallKey]
) -> list[FallbackCall]:
    """The calls that a case adds to those of all cases `before` it: the healthy one, for a pair also its singles.

    `known`: what the analysis recorded.
    """
    usual: Calls = Counter()
    for calls in before:
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
    """Calls of a later round, each as new, and of the round, as when it was first found."""
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
    """How often one request causes each of some calls while everything is healthy, as far as these calls say it."""
    found: dict[CallKey, int] = {}
    for call in calls:
        # A pair's call is held against those of its singles as well, so the least of its numbers is the healthy one.
        times = call.healthy_times if call.case_index else call.times
        found[key_of(call)] = min(times, found.get(key_of(call), times))
    return Calls(found)


def only_when_broken(calls: Iterable[FallbackCall]) -> set[CallKey]:
    """The different calls that failures cause and healthy traffic never does."""
    return {key for key, times in healthy_calls(calls).items() if not times}


def shape_of(path: str) -> tuple[str, ...]:
    """A path's segments, in which words stand for ids, times and longer numbers."""
    return tuple(_shape(segment) for segment in path.split("/"))


def _shape(segment: str) -> str:
    text = unquote(segment)
    if len(text) >= _LEAST_DIGITS and text.isascii() and text.isdigit():
        return "<number>"
    return masked(text)


def same_shape(path: str, other: str) -> bool:
    """Whether two paths are equal but for ids, times and longer numbers."""
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
    """The calls for which no rule can ever be made, each with the reason.

    `first`, `last`: those of two equal requests while everything was healthy; `others`: those under failures. A call
    that is `known`, because the analysis recorded it, has a rule. `given`: the plan's request, whose ids stay the same;
    `between`: calls of healthy requests between these two.
    """
    one, two = set(first), set(last)
    recorded = set(known)
    shapes = {_shaped(key) for key in recorded}
    familiar = volatile_parts(given)
    for key in recorded | (one & two):
        familiar |= volatile_parts(unquote(key.path))
    found: dict[CallKey, str] = {}
    healthy = one | two | set(between)
    for key in sorted((healthy | set(others)) - recorded):
        if key in healthy and key not in one & two:
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
    """The calls whose failure is still to be captured, by service of the plan, in order.

    Of what two failures cause only calls at these two services: no case breaks a third one.
    """
    found: defaultdict[str, set[CallKey]] = defaultdict(set)
    for call in calls:
        key, places = key_of(call), places_of(len(services), call.case_index)
        matters = len(places) < _PAIR or call.service in [services[place] for place in places]
        if call.service in services and call.new and not call.reason and matters and key not in captured:
            found[call.service].add(key)
    return {service: sorted(found[service]) for service in sorted(found)}


def pairs_to_break(calls: Iterable[FallbackCall], services: Sequence[str]) -> list[int]:
    """The case indices of pairs of which one's failure adds calls to the other, in order."""
    places = {name: place for place, name in enumerate(services)}
    found = set()
    for call in calls:
        broken = call.case_index - 1
        asked = places.get(call.service)
        if 0 <= broken < len(services) and asked is not None and asked != broken:
            found.add(pair_case(len(services), broken, asked))
    return sorted(found)
