"""Call paths: which services may be broken at the same time.

Two services have a common call path if one of them reaches the other. The failure of the called service then changes
what its caller answers, and neither failure could be captured alone. Calls in a circle are one path.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from domain.plans.plan import Plan


class CallPaths:
    """The calls among the services of a plan."""

    def __init__(self, calls: Mapping[str, Iterable[str]]) -> None:
        """Build the paths; `calls` names, for each service, those that it calls."""
        self._called: dict[str, list[str]] = {name: list(names) for name, names in calls.items()}
        self._callers: defaultdict[str, list[str]] = defaultdict(list)
        for caller, names in self._called.items():
            for name in names:
                self._callers[name].append(caller)
        self._through: dict[str, frozenset[str]] = {}

    @classmethod
    def of(cls, plan: Plan) -> CallPaths:
        """Build the paths of a plan; a service without `calls` calls nobody."""
        return cls({service.name: service.calls or [] for service in plan.services})

    def through(self, service: str) -> frozenset[str]:
        """Return every service on a call path with this one.

        That is the service itself, all that it reaches, and all that reach it.
        """
        if service not in self._through:
            self._through[service] = _reachable(service, self._called) | _reachable(service, self._callers)
        return self._through[service]


def _reachable(start: str, steps: Mapping[str, Sequence[str]]) -> frozenset[str]:
    found, pending = {start}, [start]
    while pending:
        new = [name for name in steps.get(pending.pop(), ()) if name not in found]
        found.update(new)
        pending.extend(new)
    return frozenset(found)


def may_begin(waiting: Sequence[str], broken: Collection[str], most: int, paths: CallPaths) -> list[str]:
    """Return which waiting services may be broken now, in their order.

    At most `most` services are broken at once, including those in `broken`, and never two with a common call path. A
    service may overtake an earlier one that has to wait.
    """
    blocked: set[str] = set()
    for service in sorted(broken):
        blocked |= paths.through(service)
    found: list[str] = []
    for service in waiting:
        if len(broken) + len(found) >= most:
            break
        if service not in blocked:
            found.append(service)
            blocked |= paths.through(service)
    return found
