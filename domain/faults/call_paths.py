"""Who calls whom, and so which services may be broken at once: those with no common call path.

Two services have one when one of them reaches the other. The failure of the called one changes what the caller answers,
so that neither could be captured alone. Calls in a circle are one path.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from domain.plans.plan import Plan


class CallPaths:
    """The calls among the services of a plan."""

    def __init__(self, calls: Mapping[str, Iterable[str]]) -> None:
        """`calls`: for each service, those that it calls."""
        self._called: dict[str, list[str]] = {name: list(names) for name, names in calls.items()}
        self._callers: defaultdict[str, list[str]] = defaultdict(list)
        for caller, names in self._called.items():
            for name in names:
                self._callers[name].append(caller)
        self._through: dict[str, frozenset[str]] = {}

    @classmethod
    def of(cls, plan: Plan) -> CallPaths:
        """As the plan says; a service that says nothing calls nobody."""
        return cls({service.name: service.calls or [] for service in plan.services})

    def through(self, service: str) -> frozenset[str]:
        """Every service on a call path with this one, and itself: whom it reaches, and who reaches it."""
        if service not in self._through:
            self._through[service] = _reached(service, self._called) | _reached(service, self._callers)
        return self._through[service]


def _reached(start: str, steps: Mapping[str, Sequence[str]]) -> frozenset[str]:
    found, ahead = {start}, [start]
    while ahead:
        new = [name for name in steps.get(ahead.pop(), ()) if name not in found]
        found.update(new)
        ahead.extend(new)
    return frozenset(found)


def may_begin(waiting: Sequence[str], broken: Collection[str], most: int, paths: CallPaths) -> list[str]:
    """Which of the waiting services may be broken now, beside those that are, in their order.

    Never more than `most` at once, never two with a common call path; a later one may overtake one that has to wait.
    """
    taken: set[str] = set()
    for service in sorted(broken):
        taken |= paths.through(service)
    found: list[str] = []
    for service in waiting:
        if len(broken) + len(found) >= most:
            break
        if service not in taken:
            found.append(service)
            taken |= paths.through(service)
    return found
