"""Doubts: why a case measured with rules may not reflect real failures.

A thousand services have half a million pairs. A doubt is therefore stored per case only if it concerns that case alone,
and per service if it concerns all cases of the service.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from domain.calls.discovery import CallKey, in_words, key_of
from domain.calls.model import TOGETHER, CallRound, Doubt, DoubtKind, FallbackCall, RealCase
from domain.cases.cases import case_count, pair_case, places_of
from domain.pairs.comparing import MOST_PAIRS, differences
from domain.plans.validation.wording import cut
from domain.traffic.exchange import Measurement

_SHOWN = 3
"""Calls that a reason names, at most."""

_PAIR = 2

_RANKS = (DoubtKind.UNANSWERED, DoubtKind.DISAGREES, DoubtKind.UNSEEN, DoubtKind.UNREAD)
"""Kinds of doubt, gravest first. A case reports only its gravest one."""


class Why(NamedTuple):
    """Kind and reason of a doubt, whichever cases it applies to."""

    kind: DoubtKind
    reason: str


class Doubts:
    """The doubts of a run's cases.

    A case that was also tried with its services really broken has none.
    """

    def __init__(self, services: int, real: Collection[int]) -> None:
        """Start without doubts; the function `doubts` adds them.

        `real`: indices of the cases that were tried with their services really broken.
        """
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
        """Doubt every case of the service at `place` in the sorted names."""
        self._of_services[place].append(why)

    def of_pairs_of(self, place: int, why: Why) -> None:
        """Doubt every pair of the service at `place` in the sorted names."""
        self._of_pairs_of[place].append(why)

    def of_all(self, why: Why) -> None:
        """Doubt every case except the baseline."""
        self._of_all.append(why)

    def doubt_of(self, index: int) -> Doubt | None:
        """Return the gravest doubt of a case; None if it has none."""
        if index == 0 or index in self._real:
            return None
        found = min(self._reasons_of(index), key=lambda why: _RANKS.index(why.kind), default=None)
        return found and Doubt(case_index=index, kind=found.kind, reason=found.reason)

    def kinds_of(self, index: int) -> set[DoubtKind]:
        """Return every kind of doubt that a case has."""
        return set() if index == 0 or index in self._real else {why.kind for why in self._reasons_of(index)}

    def among(self, indices: Iterable[int]) -> dict[int, Doubt]:
        """Return the doubts of these cases, without cases that have none."""
        return {index: doubt for index in indices if (doubt := self.doubt_of(index))}

    def _reasons_of(self, index: int) -> Iterator[Why]:
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
    """Collect the doubts of a run.

    Args:
        services: the plan's services, sorted.
        calls: the fallback calls of the run.
        captured: calls with a captured failure, and therefore with a rule if that failure changes anything.
        rounds: the rounds of discovery.
        real: cases that were tried with their services really broken.
        disagreeing: single cases whose real answers differ from those by their rules.
    """
    found = Doubts(len(services), real)
    # Nothing was looked for, so nothing is in doubt.
    if not rounds:
        return found
    known = [call for call in calls if 0 <= call.case_index < case_count(len(services))]
    _unanswered(found, services, known, captured)
    _unseen(found, services, known)
    for index in disagreeing:
        if 0 < index <= len(services):
            reason = (
                f"{cut(services[index - 1])}, really broken alone, changes the answer differently than its rule does"
            )
            found.of_pairs_of(index - 1, Why(DoubtKind.DISAGREES, reason))
    _unread(found, services, rounds)
    return found


def _unanswered(
    found: Doubts, services: Sequence[str], calls: Iterable[FallbackCall], captured: Collection[CallKey]
) -> None:
    """Doubt the cases in which no rule answers some call.

    A call made under some failures concerns every case that has these failures and that of the called service.
    """
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
        # Three services form no case, so there is nothing to doubt then.
        elif len(failing) == _PAIR:
            cases[pair_case(len(services), *failing)].append(call)
    for place, service_calls in whole.items():
        found.of_service(place, Why(DoubtKind.UNANSWERED, _no_rule_reason(services, service_calls)))
    for index, case_calls in cases.items():
        found.of_case(index, Why(DoubtKind.UNANSWERED, _no_rule_reason(services, case_calls)))


def _no_rule_reason(services: Sequence[str], calls: Sequence[FallbackCall]) -> str:
    first = calls[0]
    why = f": {first.reason}" if first.reason else ""
    return f"no rule answers {_calls_in_words(services, calls)}{why}"


def _calls_in_words(services: Sequence[str], calls: Sequence[FallbackCall]) -> str:
    """Name the first of these calls, and when each is made."""
    found = [f"{in_words(call)}, called while {_broken_in_words(services, call)}" for call in calls[:_SHOWN]]
    more = len(calls) - _SHOWN
    return "; ".join(found) + (f"; and {more} more" if more > 0 else "")


def _broken_in_words(services: Sequence[str], call: FallbackCall) -> str:
    names = [cut(services[place]) for place in places_of(len(services), call.case_index)]
    if not names:
        return "nothing is broken"
    return f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} broken"


def _unseen(found: Doubts, services: Sequence[str], calls: Iterable[FallbackCall]) -> None:
    """Doubt pairs in which one failure adds calls to the other service.

    What both failures do together shows only when both services are broken.
    """
    places = {name: place for place, name in enumerate(services)}
    pairs: defaultdict[int, list[FallbackCall]] = defaultdict(list)
    for call in calls:
        called = places.get(call.service)
        failing = places_of(len(services), call.case_index)
        if called is None or not failing:
            continue
        both = {called, *failing}
        if len(both) == _PAIR:
            pairs[pair_case(len(services), *both)].append(call)
    for index, pair_calls in pairs.items():
        reason = f"it was not seen what happens without {_calls_in_words(services, pair_calls)}"
        found.of_case(index, Why(DoubtKind.UNSEEN, reason))


def _unread(found: Doubts, services: Sequence[str], rounds: Sequence[CallRound]) -> None:
    """Doubt the cases whose calls could not be read.

    Round 1 reads the calls under single failures. Later rounds name the services whose calls they lack.
    """
    places = {name: place for place, name in enumerate(services)}
    if all(call_round.round != 1 for call_round in rounds):
        found.of_all(Why(DoubtKind.UNREAD, "the calls that single failures cause were not read"))
    for call_round in rounds:
        if call_round.complete:
            continue
        explanation = f": {cut(call_round.detail)}" if call_round.detail else ""
        if call_round.round == 1 and not call_round.unread:
            found.of_all(Why(DoubtKind.UNREAD, f"the calls under single failures could not be read{explanation}"))
        doubted = found.of_pairs_of if call_round.detail == TOGETHER else found.of_service
        for name in call_round.unread:
            if name in places:
                reason = f"the calls of {cut(name)}, or those without it, could not be read{explanation}"
                doubted(places[name], Why(DoubtKind.UNREAD, reason))


def disagreeing(measured: Mapping[int, Measurement], real: Iterable[RealCase]) -> set[int]:
    """Return the cases whose real answers differ from those by rules.

    By case index. Only status and body are compared.
    """
    return {
        case.case_index
        for case in real
        if case.case_index in measured and differences(measured[case.case_index], case.answers)
    }


def doubted_pairs(
    found: Doubts, services: Sequence[str], measured: Collection[int], real: Collection[int], substituted: Iterable[str]
) -> list[int]:
    """Return the measured pairs worth running with two real faults, in order.

    At most `MOST_PAIRS`. If there are more, pairs whose joint effect nobody has seen come first. Then comes one pair of
    each `substituted` service, because a caller may treat a status differently from a refused connection. Pairs with a
    service that disagrees with its rule come last.
    """
    kinds_by_pair = {index: found.kinds_of(index) for index in measured if index not in real}
    unseen = [index for index, kinds in kinds_by_pair.items() if DoubtKind.UNSEEN in kinds]
    different = [index for index, kinds in kinds_by_pair.items() if DoubtKind.DISAGREES in kinds]
    chosen = {*unseen, *different, *real}
    # In order of importance, because the list is cut.
    wanted = [*unseen, *_cover_substituted(services, kinds_by_pair.keys(), chosen, set(substituted)), *different]
    return sorted(list(dict.fromkeys(wanted))[:MOST_PAIRS])


def _cover_substituted(
    services: Sequence[str], pairs: Collection[int], chosen: Iterable[int], substituted: Collection[str]
) -> list[int]:
    """Choose a pair for each substituted service that is in none yet."""
    missing = {place for place, name in enumerate(services) if name in substituted}
    for index in chosen:
        places = places_of(len(services), index)
        if len(places) == _PAIR:
            missing.difference_update(places)
    found = []
    for place in sorted(missing):
        if place not in missing:
            continue
        # Partners that need a pair themselves come first: one pair then serves both.
        partners = sorted(set(range(len(services))) - {place}, key=lambda partner: (partner not in missing, partner))
        possible = ((pair_case(len(services), place, partner), partner) for partner in partners)
        first = next(((index, partner) for index, partner in possible if index in pairs), None)
        if first is not None:
            found.append(first[0])
            missing -= {place, first[1]}
    return found
