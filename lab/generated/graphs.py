"""Random call graphs of a given shape.

Services are numbers, and number 0 is the entry.
"""

import math
import random
from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple


class Shape(StrEnum):
    """How the services of a generated system are connected."""

    CHAIN = "chain"
    """Each service calls the next one."""
    TREE = "tree"
    """Each service has one caller, and calls up to three others. The entry calls up to eight."""
    STAR = "star"
    """The entry calls all others, which make no calls."""
    LAYERED = "layered"
    """Services form layers. Each is called by one to three services of the layer above."""


class Graph(NamedTuple):
    """Which service calls which.

    Every caller has a lower number than the services it calls, so no request goes round in circles.
    """

    parents: tuple[int, ...]
    """The main caller of services 1, 2, 3 ... Through it, a user's request reaches each of them once."""
    also: tuple[tuple[int, int], ...] = ()
    """Further calls (caller, called). They are answered without further calls, because requests would otherwise double
    in each layer."""

    @property
    def size(self) -> int:
        """The number of services."""
        return len(self.parents) + 1

    def children(self, number: int) -> list[int]:
        """Return the services whose main caller is this one."""
        return [child for child, parent in enumerate(self.parents, start=1) if parent == number]


def draw(shape: Shape, services: int, rng: random.Random) -> Graph:
    """Draw a graph with this number of services."""
    return _DRAWN[shape](services, rng)


def _chain(services: int, _rng: random.Random) -> Graph:
    return Graph(tuple(range(services - 1)))


def _star(services: int, _rng: random.Random) -> Graph:
    return Graph((0,) * (services - 1))


def _tree(services: int, rng: random.Random) -> Graph:
    parents = [0] * _branches(services)
    room = [number for number in range(1, len(parents) + 1) for _ in range(3)]
    while len(parents) < services - 1:
        parents.append(room.pop(rng.randrange(len(room))))
        room += [len(parents)] * 3
    return Graph(tuple(parents))


def _layered(services: int, rng: random.Random) -> Graph:
    parents = [0] * _branches(services)
    also: list[tuple[int, int]] = []
    above = list(range(1, len(parents) + 1))
    while len(parents) < services - 1:
        width = min(max(len(above), math.isqrt(services)), services - 1 - len(parents))
        first = len(parents) + 1
        for number in range(first, first + width):
            callers = rng.sample(above, min(len(above), rng.randint(1, 3)))
            parents.append(callers[0])
            also += [(caller, number) for caller in callers[1:]]
        above = list(range(first, first + width))
    return Graph(tuple(parents), tuple(also))


def _branches(services: int) -> int:
    """Return how many services the entry calls.

    They are enough for some planted pairs, and few enough for some depth.
    """
    return min(max(services // 3, 2), 8)


_DRAWN: dict[Shape, Callable[[int, random.Random], Graph]] = {
    Shape.CHAIN: _chain,
    Shape.TREE: _tree,
    Shape.STAR: _star,
    Shape.LAYERED: _layered,
}
