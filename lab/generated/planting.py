"""Plants weaknesses in a generated system.

Each weakness has branches of the entry to itself, so none disturbs another.
"""

import random
from collections import defaultdict
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import cycle, pairwise, product
from typing import Any, NamedTuple

from lab.generated.graphs import Graph
from lab.topology import FailureKind


class Weakness(StrEnum):
    """What can be wrong with a system."""

    NEITHER = "neither"
    """Either of two services suffices, and each requires services behind it. Failures in both branches are an error."""
    SLOW = "slow"
    """Two calls are retried after a pause. The answer is too slow only if both are."""
    FALLBACK = "fallback"
    """One service stands in for another. There is an error if both fail."""
    FATAL = "fatal"
    """A required service. Its failure is an error, alone and in every pair."""
    FALLBACK_PATH = "fallback_path"
    """As `fallback`, but the fallback call uses a path that healthy traffic never uses."""
    FALLBACK_CHAIN = "fallback_chain"
    """A fallback of a fallback. The last one may call one of the two services again, or need one of them."""
    RETRY_PATH = "retry_path"
    """Retries use a path of their own. That path is of no use while the service is broken."""
    EXCEPTION = "exception"
    """A client that copes with only one kind of failure. That is either an error status, or no answer at all."""


CLASSIC = frozenset((Weakness.NEITHER, Weakness.SLOW, Weakness.FALLBACK, Weakness.FATAL))
"""Weaknesses that show in the calls of healthy traffic alone."""

_CONDITIONS = {
    FailureKind.ANY: "",
    FailureKind.STATUS: " (while it answers with an error)",
    FailureKind.NO_ANSWER: " (while it does not answer)",
}


class Planted(NamedTuple):
    """One weakness, and the cases that fail because of it."""

    kind: Weakness
    cases: tuple[tuple[str, ...], ...]
    """Sorted names of services that fail together, or one name alone. A service that is fatal alone is not repeated in
    pairs."""
    only: FailureKind = FailureKind.ANY
    """How the services must fail to trigger it."""

    def __str__(self) -> str:
        """Describe the weakness and its cases on one line."""
        cases = ", ".join("+".join(case) for case in self.cases) or "no pair: it takes three"
        return f"{self.kind.value:<8} {cases}{_CONDITIONS[self.only]}"


@dataclass
class Draft:
    """A system in the making.

    It has the graph, the special features of each call, and what callers cannot do without.
    """

    graph: Graph
    names: list[str]
    backoff: float
    special: dict[tuple[int, int], dict[str, Any]] = field(default_factory=dict)
    needs_one_of: defaultdict[int, list[tuple[str, ...]]] = field(default_factory=lambda: defaultdict(list))
    routes: defaultdict[int, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    """Further routes of a service, which healthy traffic does not use."""
    parts: defaultdict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    """Further required calls of a service, for a part of its answer. They are not in the graph."""
    slow: list[int] = field(default_factory=list)

    def path_of(self, number: int) -> str:
        """Return the path of a service's one operation."""
        return f"/api/{self.names[number]}"

    def rare_path(self, number: int, name: str, *, leaf: bool = True) -> str:
        """Add an operation to a service, and return its path."""
        path = f"{self.path_of(number)}/{name}"
        self.routes[number].append({"path": path, "body": {name: self.names[number]}, "leaf": leaf})
        return path


class Site(NamedTuple):
    """Where weaknesses are planted: one service's calls.

    `free` has the called services that no other weakness has taken.
    """

    caller: int
    free: list[int]


_Planter = Callable[[Draft, Site, random.Random], list[Planted]]


def plant(draft: Draft, wanted: int, rng: random.Random, kinds: Collection[Weakness] = CLASSIC) -> list[Planted]:
    """Plant up to `wanted` weaknesses of these kinds, pairs first.

    Fewer are planted if the graph has no room.
    """
    site = Site(0, draft.graph.children(0))
    rng.shuffle(site.free)
    if len(site.free) == 1 and wanted > 1 and _RARE.keys() & kinds:
        return _plant_below(draft, rng, [planter for kind, planter in _RARE.items() if kind in kinds])
    pairs = [planter for kind, planter in {**_PAIRS, **_RARE}.items() if kind in kinds]
    rng.shuffle(pairs)
    planted: list[list[Planted]] = []
    turn = cycle(pairs)
    while pairs and len(planted) < wanted and len(site.free) > 1:
        planted.append(next(turn)(draft, site, rng))
    single = [planter for kind, planter in _SINGLE.items() if kind in kinds]
    if single and len(planted) < wanted and site.free:
        planted.append(rng.choice(single)(draft, site, rng))
    return [weakness for weaknesses in planted for weakness in weaknesses]


def _plant_below(draft: Draft, rng: random.Random, planters: list[_Planter]) -> list[Planted]:
    """Plant a weakness below the only service that the entry calls.

    This is the case in a chain. That service is required, and the weakness is in its calls.
    """
    draft.special[0, 1] = {"required": True}
    fatal = Planted(Weakness.FATAL, ((draft.names[1],),))
    return [fatal, *rng.choice(planters)(draft, Site(1, [4, 3, 2]), rng)]


def _neither(draft: Draft, site: Site, rng: random.Random) -> list[Planted]:
    first, second = site.free.pop(), site.free.pop()
    chains = [_chain_down(draft, first, rng, 2), _chain_down(draft, second, rng, 2)]
    for chain in chains:
        for caller, called in pairwise(chain):
            draft.special[caller, called] = {"required": True}
    draft.needs_one_of[0].append((draft.names[first], draft.names[second]))
    return [Planted(Weakness.NEITHER, _pairs(draft, *chains))]


def _slow(draft: Draft, site: Site, rng: random.Random) -> list[Planted]:
    cases: list[tuple[str, ...]] = []
    for branch in (site.free.pop(), site.free.pop()):
        chain = [0, *_chain_down(draft, branch, rng, draft.graph.size)]
        draft.special[chain[-2], chain[-1]] = {"retries": 1, "backoff": draft.backoff}
        # Pauses add up wherever they are made, so earlier weaknesses of this kind count as well.
        cases += _pairs(draft, draft.slow, chain[-1:])
        draft.slow.append(chain[-1])
    return [Planted(Weakness.SLOW, tuple(sorted(cases)))]


def _fallback(draft: Draft, site: Site, _rng: random.Random) -> list[Planted]:
    replaced = site.free.pop()
    stand_in = site.free.pop()
    # The stand-in is called anyway, on the same path: what is never called is not recorded, and cannot be made to fail.
    draft.special[0, replaced] = {"fallback_service": draft.names[stand_in], "fallback_path": draft.path_of(stand_in)}
    draft.needs_one_of[0].append((draft.names[replaced],))
    return [Planted(Weakness.FALLBACK, _pairs(draft, [replaced], [stand_in]))]


def _fatal(draft: Draft, site: Site, _rng: random.Random) -> list[Planted]:
    branch = site.free.pop()
    draft.special[0, branch] = {"required": True}
    return [Planted(Weakness.FATAL, ((draft.names[branch],),))]


def _fallback_path(draft: Draft, site: Site, rng: random.Random) -> list[Planted]:
    replaced = site.free.pop()
    stand_in = site.free.pop()
    # Below a service other than the entry, `stand_in` is already behind `replaced`, and nothing more can be required
    # there.
    chain = _chain_down(draft, replaced, rng, rng.randrange(3)) if site.caller == 0 else [replaced]
    for caller, called in pairwise(chain):
        draft.special[caller, called] = {"required": True}
    path = draft.rare_path(stand_in, "instead", leaf=rng.random() < 0.5)
    _stand_in(draft, site, replaced, [(stand_in, path)])
    return [Planted(Weakness.FALLBACK_PATH, _pairs(draft, chain, [stand_in]))]


def _fallback_chain(draft: Draft, site: Site, rng: random.Random) -> list[Planted]:
    replaced = site.free.pop()
    stand_in = site.free.pop()
    third = site.free.pop() if site.free else None
    last = rng.choice([replaced, stand_in] if third is None else [replaced, stand_in, third, third])
    needs_replaced = last == third and site.caller == 0 and rng.random() < 0.5
    if needs_replaced:
        draft.parts[last].append(replaced)
        draft.routes[replaced].append(
            {"path": draft.path_of(replaced) + "/part", "body": {"part": draft.names[replaced]}, "leaf": True}
        )
    steps = [
        (stand_in, draft.rare_path(stand_in, "instead")),
        (last, draft.rare_path(last, "last", leaf=not needs_replaced)),
    ]
    _stand_in(draft, site, replaced, steps)
    cases = () if last == third and not needs_replaced else _pairs(draft, [replaced], [stand_in])
    return [Planted(Weakness.FALLBACK_CHAIN, cases)]


def _retry_path(draft: Draft, site: Site, _rng: random.Random) -> list[Planted]:
    """Plant retries at two services; either of them suffices.

    If there is room for only one service, it is required.
    """
    called = [site.free.pop() for _ in range(min(2, len(site.free) if site.caller == 0 else 1))]
    for number in called:
        again = {"retries": 1, "retry_path": draft.rare_path(number, "again")}
        draft.special[site.caller, number] = again | ({"required": True} if len(called) == 1 else {})
    names = tuple(sorted(draft.names[number] for number in called))
    if len(called) > 1:
        draft.needs_one_of[site.caller].append(names)
    return [Planted(Weakness.RETRY_PATH, (names,))]


def _exception(draft: Draft, site: Site, rng: random.Random) -> list[Planted]:
    """Plant a fallback that covers only one kind of failure.

    It is a value, or a service on a path of its own.
    """
    called = site.free.pop()
    covered, fatal = rng.sample([FailureKind.STATUS, FailureKind.NO_ANSWER], 2)
    alone = Planted(Weakness.EXCEPTION, ((draft.names[called],),), fatal)
    if not site.free or rng.random() < 0.5:
        draft.special[site.caller, called] = {"fallback_on": covered.value}
        return [alone]
    stand_in = site.free.pop()
    _stand_in(draft, site, called, [(stand_in, draft.rare_path(stand_in, "instead"))])
    draft.special[site.caller, called]["fallback_on"] = covered.value
    return [alone, Planted(Weakness.EXCEPTION, _pairs(draft, [called], [stand_in]))]


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


def _stand_in(draft: Draft, site: Site, replaced: int, steps: list[tuple[int, str]]) -> None:
    """Make the caller use these fallbacks if `replaced` does not answer.

    If they fail as well, the caller has no answer.
    """
    fallbacks = [{"service": draft.names[number], "path": path} for number, path in steps]
    draft.special[site.caller, replaced] = {"fallbacks": fallbacks}
    draft.needs_one_of[site.caller].append((draft.names[replaced],))


def _chain_down(draft: Draft, branch: int, rng: random.Random, most: int) -> list[int]:
    """Return a chain down from a branch, at most `most` steps long."""
    chain = [branch]
    while len(chain) <= most and (below := draft.graph.children(chain[-1])):
        chain.append(rng.choice(below))
    return chain


def _pairs(draft: Draft, left: list[int], right: list[int]) -> tuple[tuple[str, ...], ...]:
    return tuple(sorted(tuple(sorted((draft.names[a], draft.names[b]))) for a, b in product(left, right)))
