"""The outcomes that a topology's own description predicts when services fail.

Nothing is started and nothing is asked. Tests compare this with what the lab does, and with what the generator planted
according to its own record.
"""

from collections.abc import Collection, Iterable
from itertools import combinations
from typing import NamedTuple

from lab.topology import Call, FailureKind, Service, Topology


class Outcome(NamedTuple):
    """How a request ends: with success or not, and the seconds spent on retries."""

    ok: bool
    waiting: float


class _Result(NamedTuple):
    """How a call ends."""

    ok: bool
    waiting: float
    failure: FailureKind = FailureKind.STATUS
    """The kind of failure, if the call is not ok."""


class Forecast:
    """Outcomes of one request to the entry while given services fail at once.

    A failing service answers with an error or, if it is silent, not at all.
    """

    def __init__(self, topology: Topology, silent: Collection[str] = ()) -> None:
        """Take the services that give no answer at all when they fail."""
        self._silent = frozenset(silent)
        self._entry = next(service for service in topology.services if service.name == topology.entry)
        self._services = {service.name: service for service in topology.services}

    def outcome(self, failing: Collection[str]) -> Outcome:
        """Return the outcome while these services fail.

        A failure of the entry itself is not considered.
        """
        return Outcome(*self._compose(self._entry, frozenset(failing), {})[:2])

    def failing_cases(self, services: Iterable[str], patience: float) -> set[str]:
        """Return the cases that fail among these services, alone and in pairs.

        They fail by an error or by waiting longer than `patience`. A case is named as in a run: the sorted names joined
        with `+`.
        """
        names = sorted(services)
        cases = [*((name,) for name in names), *combinations(names, 2)]
        return {"+".join(case) for case in cases if self._fails(case, patience)}

    def weak_pairs(self, services: Iterable[str], patience: float) -> set[tuple[str, str]]:
        """Return the pairs that fail although neither service fails alone."""
        fine = [name for name in sorted(services) if not self._fails((name,), patience)]
        return {pair for pair in combinations(fine, 2) if self._fails(pair, patience)}

    def _fails(self, failing: tuple[str, ...], patience: float) -> bool:
        outcome = self.outcome(failing)
        return not outcome.ok or outcome.waiting > patience

    def _compose(self, service: Service, failing: frozenset[str], known: dict[str, _Result]) -> _Result:
        waiting = 0.0
        ok: dict[str, bool] = {}
        for call in service.calls:
            result = self._call(call, failing, known)
            waiting += result.waiting
            ok[call.service] = result.ok
            if not result.ok and not call.covers(result.failure):
                return _Result(ok=False, waiting=waiting)
        return _Result(ok=all(any(ok[name] for name in group) for group in service.needs_one_of), waiting=waiting)

    def _call(self, call: Call, failing: frozenset[str], known: dict[str, _Result]) -> _Result:
        once = self._ask(call.service, call.method, call.path, failing, known)
        if once.ok:
            return once
        waiting = once.waiting
        for _ in range(call.retries):
            once = self._ask(call.service, call.method, call.retry_path or call.path, failing, known)
            waiting += call.backoff + once.waiting
            if once.ok:
                return _Result(ok=True, waiting=waiting)
        if call.covers(once.failure):
            for stand_in in call.stand_ins:
                instead = self._ask(stand_in.service, call.method, stand_in.path, failing, known)
                waiting += instead.waiting
                if instead.ok:
                    return _Result(ok=True, waiting=waiting)
        return _Result(ok=False, waiting=waiting, failure=once.failure)

    def _ask(self, name: str, method: str, path: str, failing: frozenset[str], known: dict[str, _Result]) -> _Result:
        service = self._services[name]
        route = next((r for r in service.routes if (r.method, r.path) == (method, path.partition("?")[0])), None)
        if name in failing:
            failure = FailureKind.NO_ANSWER if name in self._silent else FailureKind.STATUS
            return _Result(ok=False, waiting=0.0, failure=failure)
        if route is None:
            return _Result(ok=False, waiting=0.0)
        if route.leaf:
            return _Result(ok=True, waiting=0.0)
        if name not in known:
            known[name] = self._compose(service, failing, known)
        return known[name]
