"""Which cases that are made of rules may not stand for really broken services, and why.

A thousand services have half a million pairs, so a doubt is kept by case only where one case is meant, and by service
where all of its cases are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from workflows.contracts.calls import TOGETHER, CallRound, Doubt, DoubtKind, FallbackCall, RealCase
from workflows.contracts.exchange import Measurement
from workflows.logic.calls import CallKey, in_words, key_of
from workflows.logic.cases import case_count, pair_case, places_of
from workflows.logic.fidelity import MOST_PAIRS, differences
from workflows.logic.wording import cut

_SHOWN = 3
"""Calls that a reason names."""

_PAIR = 2

_RANKS = (DoubtKind.UNANSWERED, DoubtKind.DISAGREES, DoubtKind.UNSEEN, DoubtKind.UNREAD)
"""The first that a case has is its doubt."""


class Why(NamedTuple):
    """A doubt, of whichever cases have it."""

    kind: DoubtKind
    reason: str


class Doubts:
    """The doubts of a run's cases. A case that was asked while its services were really broken has none."""

    def __init__(self, services: int, real: Collection[int]) -> None:
        """Begin without doubts; `doubts` fills them in."""
        self._services = services
        self._real = frozenset(real)
        self._of_cases: defaultdict[int, list[Why]] = defaultdict(list)
        self._of_services: defaultdict[int, list[Why]] = defaultdict(list)
        self._of_pairs_of: defaultdict[int, list[Why]] = defaultdict(list)
        self._of_all: list[Why] = []

    def of_case(self, index: int, why: Why) -> None:
        """Doubt one case."""
        self._of_cases[index].append(why)

    def of_service(self, place: int, why: Why) -> None:
        """Doubt every case of a service, given by its place in the sorted names."""
        self._of_services[place].append(why)

    def of_pairs_of(self, place: int, why: Why) -> None:
        """Doubt every pair of a service."""
        self._of_pairs_of[place].append(why)

    def of_all(self, why: Why) -> None:
        """Doubt every case but the baseline."""
        self._of_all.append(why)

    def doubt_of(self, index: int) -> Doubt | None:
        """The doubt of a case, the gravest where there are several."""
        if index == 0 or index in self._real:
            return None
        found = min(self._whys(index), key=lambda why: _RANKS.index(why.kind), default=None)
        return found and Doubt(case_index=index, kind=found.kind, reason=found.reason)

    def kinds_of(self, index: int) -> set[DoubtKind]:
        """Every kind of doubt that a case has."""
        return set() if index == 0 or index in self._real else {why.kind for why in self._whys(index)}

    def among(self, indices: Iterable[int]) -> dict[int, Doubt]:
        """The doubts of those of some cases that have one."""
        return {index: doubt for index in indices if (doubt := self.doubt_of(index))}

    def _whys(self, index: int) -> Iterator[Why]:
        yield from self._of_cases.get(index, ())
        yield from self._of_all
        places = places_of(self._services, index)
        for place in places:
            yield from self._of_services.get(place, ())
        if len(places) < _PAIR:
            return
        for place in places:
            yield from self._of_pairs_of.get(place, ())


def doubts(
    services: Sequence[str],
    calls: Iterable[FallbackCall],
    captured: Collection[CallKey],
    rounds: Sequence[CallRound],
    *,
    real: Collection[int] = (),
    disagreeing: Collection[int] = (),
) -> Doubts:
    """Find the doubts of a run.

    `services`: the plan's, sorted; `captured`: the calls that have a captured failure, and so a rule where it changes
    anything; `real`: cases that were asked while their services were really broken; `disagreeing`: singles of which
    these answers differ from those by their rules. Without any round, nothing was looked for, so nothing is in doubt.
    """
    found = Doubts(len(services), real)
    if not rounds:
        return found
    known = [call for call in calls if 0 <= call.case_index < case_count(len(services))]
    _unanswered(found, services, known, captured)
    _unseen(found, services, known)
    for index in disagreeing:
        if 0 < index <= len(services):
            reason = f"{cut(services[index - 1])}, really broken alone, changes the answer otherwise than its rule does"
            found.of_pairs_of(index - 1, Why(DoubtKind.DISAGREES, reason))
    _unread(found, services, rounds)
    return found


def _unanswered(
    found: Doubts, services: Sequence[str], calls: Iterable[FallbackCall], captured: Collection[CallKey]
) -> None:
    """A call under some failures is one of all cases that have these failures, and that of the called service."""
    places = {name: place for place, name in enumerate(services)}
    cases: defaultdict[int, list[FallbackCall]] = defaultdict(list)
    whole: defaultdict[int, list[FallbackCall]] = defaultdict(list)
    for call in calls:
        called = places.get(call.service)
        if called is None or key_of(call) in captured:
            continue
        failing = {called, *places_of(len(services), call.case_index)}
        if len(failing) == 1:
            whole[called].append(call)
        elif len(failing) == _PAIR:
            cases[pair_case(len(services), *failing)].append(call)
    for place, some in whole.items():
        found.of_service(place, Why(DoubtKind.UNANSWERED, _no_rule(services, some)))
    for index, some in cases.items():
        found.of_case(index, Why(DoubtKind.UNANSWERED, _no_rule(services, some)))


def _no_rule(services: Sequence[str], calls: Sequence[FallbackCall]) -> str:
    first = calls[0]
    why = f": {first.reason}" if first.reason else ""
    return f"no rule answers {_listed(services, calls)}{why}"


def _listed(services: Sequence[str], calls: Sequence[FallbackCall]) -> str:
    """The first of some calls, and when they are made."""
    found = [f"{in_words(call)}, called while {_broken(services, call)}" for call in calls[:_SHOWN]]
    more = len(calls) - _SHOWN
    return "; ".join(found) + (f"; and {more} more" if more > 0 else "")


def _broken(services: Sequence[str], call: FallbackCall) -> str:
    names = [cut(services[place]) for place in places_of(len(services), call.case_index)]
    if not names:
        return "nothing is broken"
    return f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} broken"


def _unseen(found: Doubts, services: Sequence[str], calls: Iterable[FallbackCall]) -> None:
    """One failure adds calls to a second service: what both failures do together shows only when both are broken."""
    places = {name: place for place, name in enumerate(services)}
    pairs: defaultdict[int, list[FallbackCall]] = defaultdict(list)
    for call in calls:
        called, failing = places.get(call.service), places_of(len(services), call.case_index)
        if called is None or not failing:
            continue
        both = {called, *failing}
        if len(both) == _PAIR:
            pairs[pair_case(len(services), *both)].append(call)
    for index, some in pairs.items():
        reason = f"what happens without {_listed(services, some)}, was not seen"
        found.of_case(index, Why(DoubtKind.UNSEEN, reason))


def _unread(found: Doubts, services: Sequence[str], rounds: Sequence[CallRound]) -> None:
    """The calls under single failures are those of the first round; later ones name what they lack."""
    places = {name: place for place, name in enumerate(services)}
    if all(one.round != 1 for one in rounds):
        found.of_all(Why(DoubtKind.UNREAD, "what single failures make services call was not read"))
    for one in rounds:
        if one.complete:
            continue
        because = f": {cut(one.detail)}" if one.detail else ""
        if one.round == 1 and not one.unread:
            found.of_all(Why(DoubtKind.UNREAD, f"the calls under single failures could not be read{because}"))
        doubted = found.of_pairs_of if one.detail == TOGETHER else found.of_service
        for name in one.unread:
            if name in places:
                reason = f"the calls of {cut(name)}, or those without it, could not be read{because}"
                doubted(places[name], Why(DoubtKind.UNREAD, reason))


def disagreeing(measured: Mapping[int, Measurement], real: Iterable[RealCase]) -> set[int]:
    """The cases of which the real answers differ in status or body from the one by their rules, by case index."""
    return {
        one.case_index
        for one in real
        if one.case_index in measured and differences(measured[one.case_index], one.answers)
    }


def doubted_pairs(
    found: Doubts, services: Sequence[str], measured: Collection[int], real: Collection[int], substituted: Iterable[str]
) -> list[int]:
    """The measured pairs that are worth running with two real faults, in order, `MOST_PAIRS` at most.

    Those in doubt for what two failures do together, and one of each service whose failure is `substituted`: a caller
    may take a status for something else than a connection that is refused.
    """
    whys = {index: found.kinds_of(index) for index in measured if index not in real}
    unseen = [index for index, kinds in whys.items() if DoubtKind.UNSEEN in kinds]
    different = [index for index, kinds in whys.items() if DoubtKind.DISAGREES in kinds]
    there = {*unseen, *different, *real}
    wanted = [*unseen, *_one_each(services, whys.keys(), there, set(substituted)), *different]
    return sorted(list(dict.fromkeys(wanted))[:MOST_PAIRS])


def _one_each(
    services: Sequence[str], pairs: Collection[int], there: Iterable[int], substituted: Collection[str]
) -> list[int]:
    """A pair of each substituted service that is in none yet; one of two such services where there is one."""
    missing = {place for place, name in enumerate(services) if name in substituted}
    for index in there:
        places = places_of(len(services), index)
        if len(places) == _PAIR:
            missing.difference_update(places)
    found = []
    for place in sorted(missing):
        if place not in missing:
            continue
        others = sorted(set(range(len(services))) - {place}, key=lambda other: (other not in missing, other))
        possible = ((pair_case(len(services), place, other), other) for other in others)
        first = next(((index, other) for index, other in possible if index in pairs), None)
        if first is not None:
            found.append(first[0])
            missing -= {place, first[1]}
    return found
