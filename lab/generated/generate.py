"""Systems generated from shape, size and seed.

The same three always give the same system.
"""

import random
import re
from collections.abc import Collection
from typing import Any, NamedTuple

from lab.generated.graphs import Shape, draw
from lab.generated.planting import CLASSIC, Draft, Planted, Weakness, plant
from lab.topology import Topology

FEWEST = 5
MOST = 200
"""Services that a generated system can have, including the entry."""

_FIRST_PORT = 19000
"""First port of a generated system. It is below the ports that operating systems give to clients, so the ports from
here on are usually free."""


class Generated(NamedTuple):
    """A generated system, and the weaknesses in it."""

    topology: Topology
    planted: tuple[Planted, ...]


def parse_shape(text: str) -> tuple[Shape, int]:
    """Read a shape and a size, such as `layered:20`.

    Raises:
        ValueError: the text has another form; the message explains it.
    """
    match = re.fullmatch(r"([a-z]+):([0-9]{1,4})", text)
    if match is None or match[1] not in [shape.value for shape in Shape]:
        raise ValueError(f"{text!r}: write a shape and a number of services, like layered:20; {_shapes()}")
    return Shape(match[1]), int(match[2])


def parse_kinds(text: str) -> frozenset[Weakness]:
    """Read kinds of weaknesses, such as `fallback_path,exception`, or `all`.

    Raises:
        ValueError: a kind is unknown; the message explains it.
    """
    if text == "all":
        return frozenset(Weakness)
    try:
        return frozenset(Weakness(name.strip()) for name in text.split(","))
    except ValueError as error:
        known = ", ".join(kind.value for kind in Weakness)
        raise ValueError(f"{error}: write all, or some of {known}, with commas between them") from None


def generate_topology(
    shape: Shape, services: int, seed: int, *, weaknesses: int = 3, kinds: Collection[Weakness] = CLASSIC
) -> Generated:
    """Generate a system.

    At most `weaknesses` weaknesses are planted. A small system, or a chain, has no room for many. Nothing else in it is
    weak: after every other failure, alone or together with one more, the entry can still answer in time.

    Raises:
        ValueError: the number of services is out of bounds.
    """
    if not FEWEST <= services <= MOST:
        raise ValueError(f"{services} services: a generated system has {FEWEST} to {MOST}")
    rng = random.Random(f"{shape.value}:{services}:{seed}")  # noqa: S311 - repeatable, not secret
    graph = draw(shape, services, rng)
    names = ["entry", *(f"s{number:03d}" for number in range(1, services))]
    # One pause must stand out from the time that all these calls take in sequence, even on a busy machine.
    draft = Draft(graph, names, backoff=round(0.6 + services / 100, 1))
    planted = plant(draft, weaknesses, rng, kinds)
    topology = {
        "namespace": f"{shape.value}-{services}",
        "entry": names[0],
        "ports": {"proxy": _FIRST_PORT + 5, "faults": _FIRST_PORT + 3, "admin": _FIRST_PORT + 9},
        "services": [_service(draft, number) for number in range(services)],
    }
    return Generated(Topology.model_validate(topology), tuple(planted))


def _service(draft: Draft, number: int) -> dict[str, Any]:
    path = draft.path_of(number)
    name = draft.names[number]
    routes: list[dict[str, Any]] = [{"path": path, "body": {"from": name}}]
    if any(called == number for _, called in draft.graph.also):
        routes.append({"path": _brief(path), "body": {"brief": name}, "leaf": True})
    routes += draft.routes[number]
    calls = [_call(draft, number, child, path=draft.path_of(child)) for child in draft.graph.children(number)]
    calls += [
        _call(draft, number, called, path=_brief(draft.path_of(called)))
        for caller, called in draft.graph.also
        if caller == number
    ]
    calls += [_part(draft, called) for called in draft.parts[number]]
    return {
        "name": name,
        "port": _FIRST_PORT + 10 + number,
        "latency": 0.001,
        "routes": routes,
        "calls": calls,
        "needs_one_of": draft.needs_one_of[number],
    }


def _call(draft: Draft, caller: int, called: int, *, path: str) -> dict[str, Any]:
    special = draft.special.get((caller, called), {})
    decided = special.keys() & {"required", "fallback_service", "fallbacks"}
    fallback = {} if decided else {"fallback": {"source": "fallback"}}
    # A call must not time out before everything behind it has answered, or the timeout would be an unplanned weakness.
    return {"service": draft.names[called], "path": path, "timeout": 30.0, **fallback, **special}


def _part(draft: Draft, called: int) -> dict[str, Any]:
    return {"service": draft.names[called], "path": draft.path_of(called) + "/part", "timeout": 30.0, "required": True}


def _brief(path: str) -> str:
    return path + "/brief"


def _shapes() -> str:
    return "the shapes are " + ", ".join(shape.value for shape in Shape)
