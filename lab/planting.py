"""Weaknesses put into a generated system. Each takes branches of the entry for itself, so none disturbs another."""

import random
from collections import defaultdict
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import cycle, pairwise, product
from typing import Any, NamedTuple

from lab.graphs import Graph
from lab.topology import FailureKind


class Weakness(StrEnum):
    """What can be wrong with a system."""

    NEITHER = "neither"
    """Either of two suffices, and something behind each of them is required: an error without both."""
    SLOW = "slow"
    """Two calls are repeated after a pause: too slow when both are."""
    FALLBACK = "fallback"
    """A service stands in for another, and nobody for both: an error."""
    FATAL = "fatal"
    """A service that is required: an error alone, and with each other one."""
    FALLBACK_PATH = "fallback_path"
    """As `fallback`, but the stand-in is asked on a path that healthy traffic never uses."""
    FALLBACK_CHAIN = "fallback_chain"
    """A fallback of a fallback. The last one may be on one of the two services again, or need one of them."""
    RETRY_PATH = "retry_path"
    """Retries ask for a path of their own, which is of no use while the service is broken."""
    EXCEPTION = "exception"
    """A client that does without an answer after one kind of failure only: an error status, or no answer at all."""


CLASSIC = frozenset((Weakness.NEITHER, Weakness.SLOW, Weakness.FALLBACK, Weakness.FATAL))
"""What shows in the calls of healthy traffic alone."""

_CONDITIONS = {
    FailureKind.ANY: "",
    FailureKind.STATUS: " (while it answers with an error)",
    FailureKind.NO_ANSWER: " (while it does not answer)",
}


class Planted(NamedTuple):
    """One weakness, and the cases that fail because of it."""

    kind: Weakness
    cases: tuple[tuple[str, ...], ...]
    """Sorted names of services that fail together, or one name alone. What is fatal alone is not repeated in pairs."""
    only: FailureKind = FailureKind.ANY
    """How the services have to fail for it."""

    def __str__(self) -> str:
        """In words."""
        cases = ", ".join("+".join(case) for case in self.cases) or "no pair: it takes three"
        return f"{self.kind.value:<8} {cases}{_CONDITIONS[self.only]}"


@dataclass
class Draft:
    """A system in the making: for each call what is special about it, and what the entry cannot do without."""

    graph: Graph
    names: list[str]
    backoff: float
    special: dict[tuple[int, int], dict[str, Any]] = field(default_factory=dict)
    needs_one_of: defaultdict[int, list[tuple[str, ...]]] = field(default_factory=lambda: defaultdict(list))
    routes: defaultdict[int, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    """Routes beside a service's own one, which healthy traffic does not use."""
    parts: defaultdict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    """Services of which a service requires a part of its answer, beside the calls of the graph."""
    slow: list[int] = field(default_factory=list)

    def path_of(self, number: int) -> str:
        """The path of a service's one operation."""
        return f"/api/{self.names[number]}"

    def rare_path(self, number: int, name: str, *, leaf: bool = True) -> str:
        """Give a service one more operation, and say its path."""
        path = f"{self.path_of(number)}/{name}"
        self.routes[number].append({"path": path, "body": {name: self.names[number]}, "leaf": leaf})
        return path


class Site(NamedTuple):
    """Where weaknesses are planted: the calls of one service, to services that no other weakness has taken."""

    caller: int
    free: list[int]


_Planter = Callable[[Draft, Site, random.Random], list[Planted]]


def plant(draft: Draft, wanted: int, chance: random.Random, kinds: Collection[Weakness] = CLASSIC) -> list[Planted]:
    """Plant up to so many weaknesses of these kinds, pairs first; fewer where the graph has no room for them."""
    site = Site(0, draft.graph.children(0))
    chance.shuffle(site.free)
    if len(site.free) == 1 and wanted > 1 and _RARE.keys() & kinds:
        return _plant_below(draft, chance, [planter for kind, planter in _RARE.items() if kind in kinds])
    pairs = [planter for kind, planter in {**_PAIRS, **_RARE}.items() if kind in kinds]
    chance.shuffle(pairs)
    planted: list[list[Planted]] = []
    turn = cycle(pairs)
    while pairs and len(planted) < wanted and len(site.free) > 1:
        planted.append(next(turn)(draft, site, chance))
    single = [planter for kind, planter in _SINGLE.items() if kind in kinds]
    if single and len(planted) < wanted and site.free:
        planted.append(chance.choice(single)(draft, site, chance))
    return [weakness for weaknesses in planted for weakness in weaknesses]


def _plant_below(draft: Draft, chance: random.Random, planters: list[_Planter]) -> list[Planted]:
    """In a chain, where the entry calls one service: that one is required, and the weakness is in its calls."""
    draft.special[0, 1] = {"required": True}
    fatal = Planted(Weakness.FATAL, ((draft.names[1],),))
    return [fatal, *chance.choice(planters)(draft, Site(1, [4, 3, 2]), chance)]


def _neither(draft: Draft, site: Site, chance: random.Random) -> list[Planted]:
    one, other = site.free.pop(), site.free.pop()
    ways = [_way_down(draft, one, chance, 2), _way_down(draft, other, chance, 2)]
    for way in ways:
        for caller, called in pairwise(way):
            draft.special[caller, called] = {"required": True}
    draft.needs_one_of[0].append((draft.names[one], draft.names[other]))
    return [Planted(Weakness.NEITHER, _pairs(draft, *ways))]


def _slow(draft: Draft, site: Site, chance: random.Random) -> list[Planted]:
    cases: list[tuple[str, ...]] = []
    for branch in (site.free.pop(), site.free.pop()):
        way = [0, *_way_down(draft, branch, chance, draft.graph.size)]
        draft.special[way[-2], way[-1]] = {"retries": 1, "backoff": draft.backoff}
        # Also with those of earlier weaknesses of this kind: pauses add up wherever they are made.
        cases += _pairs(draft, draft.slow, way[-1:])
        draft.slow.append(way[-1])
    return [Planted(Weakness.SLOW, tuple(sorted(cases)))]


def _fallback(draft: Draft, site: Site, _chance: random.Random) -> list[Planted]:
    one, other = site.free.pop(), site.free.pop()
    # The stand-in is called anyway, on the same path: what nobody calls is not recorded, and cannot be made to fail.
    draft.special[0, one] = {"fallback_service": draft.names[other], "fallback_path": draft.path_of(other)}
    draft.needs_one_of[0].append((draft.names[one],))
    return [Planted(Weakness.FALLBACK, _pairs(draft, [one], [other]))]


def _fatal(draft: Draft, site: Site, _chance: random.Random) -> list[Planted]:
    branch = site.free.pop()
    draft.special[0, branch] = {"required": True}
    return [Planted(Weakness.FATAL, ((draft.names[branch],),))]


def _fallback_path(draft: Draft, site: Site, chance: random.Random) -> list[Planted]:
    one, other = site.free.pop(), site.free.pop()
    # Below another service than the entry, `other` is behind `one` already, and nothing more can be required there.
    way = _way_down(draft, one, chance, chance.randrange(3)) if site.caller == 0 else [one]
    for caller, called in pairwise(way):
        draft.special[caller, called] = {"required": True}
    path = draft.rare_path(other, "instead", leaf=chance.random() < 0.5)
    _stand_in(draft, site, one, [(other, path)])
    return [Planted(Weakness.FALLBACK_PATH, _pairs(draft, way, [other]))]


def _fallback_chain(draft: Draft, site: Site, chance: random.Random) -> list[Planted]:
    one, other = site.free.pop(), site.free.pop()
    third = site.free.pop() if site.free else None
    last = chance.choice([one, other] if third is None else [one, other, third, third])
    needs_one = last == third and site.caller == 0 and chance.random() < 0.5
    if needs_one:
        draft.parts[last].append(one)
        draft.routes[one].append(
            {"path": draft.path_of(one) + "/part", "body": {"part": draft.names[one]}, "leaf": True}
        )
    steps = [(other, draft.rare_path(other, "instead")), (last, draft.rare_path(last, "last", leaf=not needs_one))]
    _stand_in(draft, site, one, steps)
    cases = () if last == third and not needs_one else _pairs(draft, [one], [other])
    return [Planted(Weakness.FALLBACK_CHAIN, cases)]


def _retry_path(draft: Draft, site: Site, _chance: random.Random) -> list[Planted]:
    """Either of two suffices; one alone is required."""
    called = [site.free.pop() for _ in range(min(2, len(site.free) if site.caller == 0 else 1))]
    for number in called:
        again = {"retries": 1, "retry_path": draft.rare_path(number, "again")}
        draft.special[site.caller, number] = again | ({"required": True} if len(called) == 1 else {})
    names = tuple(sorted(draft.names[number] for number in called))
    if len(called) > 1:
        draft.needs_one_of[site.caller].append(names)
    return [Planted(Weakness.RETRY_PATH, (names,))]


def _exception(draft: Draft, site: Site, chance: random.Random) -> list[Planted]:
    """A value that stands in after one kind of failure only; or a service that does so, on a path of its own."""
    one = site.free.pop()
    covered, fatal = chance.sample([FailureKind.STATUS, FailureKind.NO_ANSWER], 2)
    alone = Planted(Weakness.EXCEPTION, ((draft.names[one],),), fatal)
    if not site.free or chance.random() < 0.5:
        draft.special[site.caller, one] = {"fallback_on": covered.value}
        return [alone]
    other = site.free.pop()
    _stand_in(draft, site, one, [(other, draft.rare_path(other, "instead"))])
    draft.special[site.caller, one]["fallback_on"] = covered.value
    return [alone, Planted(Weakness.EXCEPTION, _pairs(draft, [one], [other]))]


_PAIRS: dict[Weakness, _Planter] = {
    Weakness.NEITHER: _neither,
    Weakness.SLOW: _slow,
    Weakness.FALLBACK: _fallback,
}
_RARE: dict[Weakness, _Planter] = {
    Weakness.FALLBACK_PATH: _fallback_path,
    Weakness.FALLBACK_CHAIN: _fallback_chain,
    Weakness.RETRY_PATH: _retry_path,
    Weakness.EXCEPTION: _exception,
}
_SINGLE: dict[Weakness, _Planter] = {
    Weakness.FATAL: _fatal,
    Weakness.RETRY_PATH: _retry_path,
    Weakness.EXCEPTION: _exception,
}


def _stand_in(draft: Draft, site: Site, one: int, steps: list[tuple[int, str]]) -> None:
    """Without the answer of `one` the caller asks these, and has none itself if they fail as well."""
    fallbacks = [{"service": draft.names[number], "path": path} for number, path in steps]
    draft.special[site.caller, one] = {"fallbacks": fallbacks}
    draft.needs_one_of[site.caller].append((draft.names[one],))


def _way_down(draft: Draft, branch: int, chance: random.Random, most: int) -> list[int]:
    """From a branch downwards, at most so many steps."""
    way = [branch]
    while len(way) <= most and (below := draft.graph.children(way[-1])):
        way.append(chance.choice(below))
    return way


def _pairs(draft: Draft, some: list[int], others: list[int]) -> tuple[tuple[str, ...], ...]:
    return tuple(sorted(tuple(sorted((draft.names[a], draft.names[b]))) for a, b in product(some, others)))
