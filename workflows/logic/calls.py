"""Fallback calls: which calls a failure adds, which of them a rule can answer, and which pairs that puts in doubt."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from workflows.contracts.calls import FallbackCall
from workflows.logic.cases import case_at, pair_index
from workflows.logic.volatile import shape


class CallKey(NamedTuple):
    """What tells one call from others; the path as it may be stored."""

    service: str
    method: str
    path: str


def most(asks: Iterable[Counter[CallKey]]) -> Counter[CallKey]:
    """How often one request causes each call: the most that any of several requests did."""
    found: Counter[CallKey] = Counter()
    for ask in asks:
        found |= ask
    return found


def added(healthy: Counter[CallKey], broken: Counter[CallKey]) -> Counter[CallKey]:
    """Calls that are made only while something is broken, or more often than else."""
    return broken - healthy


def never_ruled(first: Counter[CallKey], last: Counter[CallKey], known: Collection[CallKey]) -> dict[CallKey, str]:
    """Calls that no rule can ever answer, and why: rules match a path exactly, and these have another one each time."""
    shapes: defaultdict[tuple[str, str, str], set[str]] = defaultdict(set)
    for key in known:
        shapes[key.service, key.method, shape(key.path)].add(key.path)
    found = {}
    for key in (first.keys() | last.keys()) - set(known):
        alike = shapes.get((key.service, key.method, shape(key.path)))
        if alike:
            found[key] = f"its path is another one in each request, like {min(alike)[:200]}"
    return found


def to_capture(
    calls: Iterable[FallbackCall], services: Sequence[str], captured: Collection[tuple[str, str, str]]
) -> dict[str, list[CallKey]]:
    """The calls whose failure is still to be captured, by service.

    Of what two failures cause only calls at these two services: no case breaks a third one.
    """
    wanted: defaultdict[str, set[CallKey]] = defaultdict(set)
    for call in calls:
        key = CallKey(call.service, call.method, call.path)
        of = case_at(services, call.case_index).services
        if call.new and not call.reason and key not in captured and (len(of) < 2 or call.service in of):
            wanted[call.service].add(key)
    return {service: sorted(keys) for service, keys in sorted(wanted.items())}


def pairs_to_break(calls: Iterable[FallbackCall], services: Sequence[str]) -> list[int]:
    """Case indices of pairs of which one failure adds calls to the other service.

    What callers do when these calls fail as well is nowhere recorded, so the pair is broken for real.
    """
    position = {name: number for number, name in enumerate(services)}
    found = set()
    for call in calls:
        of = case_at(services, call.case_index).services
        if len(of) == 1 and call.service != of[0]:
            found.add(pair_index(len(services), *sorted((position[of[0]], position[call.service]))))
    return sorted(found)
