"""Weaknesses put into a generated system. Each takes branches of the entry for itself, so none disturbs another."""

import random
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import cycle, pairwise, product
from typing import Any, NamedTuple

from lab.graphs import Graph


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


class Planted(NamedTuple):
    """One weakness, and the cases that fail because of it."""

    kind: Weakness
    cases: tuple[tuple[str, ...], ...]
    """Sorted names of services that fail together, or one name alone. What is fatal alone is not repeated in pairs."""

    def __str__(self) -> str:
        """In words."""
        return f"{self.kind.value:<8} " + ", ".join("+".join(case) for case in self.cases)


@dataclass
class Draft:
    """A system in the making: for each call what is special about it, and what the entry cannot do without."""

    graph: Graph
    names: list[str]
    backoff: float
    special: dict[tuple[int, int], dict[str, Any]] = field(default_factory=dict)
    needs_one_of: list[tuple[str, ...]] = field(default_factory=list)
    slow: list[int] = field(default_factory=list)

    def path_of(self, number: int) -> str:
        """The path of a service's one operation."""
        return f"/api/{self.names[number]}"


def plant(draft: Draft, wanted: int, chance: random.Random) -> list[Planted]:
    """Plant up to so many weaknesses, pairs first; fewer where the graph has no room for them."""
    branches = draft.graph.children(0)
    chance.shuffle(branches)
    pairs = [_neither, _slow, _fallback]
    chance.shuffle(pairs)
    planted: list[Planted] = []
    turn = cycle(pairs)
    while len(planted) < wanted and len(branches) > 1:
        planted.append(next(turn)(draft, branches.pop(), branches.pop(), chance))
    if len(planted) < wanted and branches:
        planted.append(_fatal(draft, branches.pop()))
    return planted


def _neither(draft: Draft, one: int, other: int, chance: random.Random) -> Planted:
    ways = [_way_down(draft, one, chance, 2), _way_down(draft, other, chance, 2)]
    for way in ways:
        for caller, called in pairwise(way):
            draft.special[caller, called] = {"required": True}
    draft.needs_one_of.append((draft.names[one], draft.names[other]))
    return Planted(Weakness.NEITHER, _pairs(draft, *ways))


def _slow(draft: Draft, one: int, other: int, chance: random.Random) -> Planted:
    cases: list[tuple[str, ...]] = []
    for branch in (one, other):
        way = [0, *_way_down(draft, branch, chance, draft.graph.size)]
        draft.special[way[-2], way[-1]] = {"retries": 1, "backoff": draft.backoff}
        # Also with those of earlier weaknesses of this kind: pauses add up wherever they are made.
        cases += _pairs(draft, draft.slow, way[-1:])
        draft.slow.append(way[-1])
    return Planted(Weakness.SLOW, tuple(sorted(cases)))


def _fallback(draft: Draft, one: int, other: int, _chance: random.Random) -> Planted:
    # The stand-in is called anyway, on the same path: what nobody calls is not recorded, and cannot be made to fail.
    draft.special[0, one] = {"fallback_service": draft.names[other], "fallback_path": draft.path_of(other)}
    draft.needs_one_of.append((draft.names[one],))
    return Planted(Weakness.FALLBACK, _pairs(draft, [one], [other]))


def _fatal(draft: Draft, branch: int) -> Planted:
    draft.special[0, branch] = {"required": True}
    return Planted(Weakness.FATAL, ((draft.names[branch],),))


def _way_down(draft: Draft, branch: int, chance: random.Random, most: int) -> list[int]:
    """From a branch downwards, at most so many steps."""
    way = [branch]
    while len(way) <= most and (below := draft.graph.children(way[-1])):
        way.append(chance.choice(below))
    return way


def _pairs(draft: Draft, some: list[int], others: list[int]) -> tuple[tuple[str, ...], ...]:
    return tuple(sorted(tuple(sorted((draft.names[a], draft.names[b]))) for a, b in product(some, others)))
