"""What a topology's own description says will happen when services fail: nothing is started, nothing is asked.

The tests hold this against what the lab does, and against what its generator says it planted.
"""

from collections.abc import Collection, Iterable
from itertools import combinations
from typing import NamedTuple

from lab.topology import Call, FailureKind, Service, Topology


class Outcome(NamedTuple):
    """How one request ends: whether with success, and the seconds that waiting for repetitions adds to it."""

    ok: bool
    waiting: float


class _Result(NamedTuple):
    """How one call ends."""

    ok: bool
    waiting: float
    failure: FailureKind = FailureKind.STATUS
    """Of what kind, if it is not ok."""


class Forecast:
    """Outcomes of one request to the entry, by which services fail at once: with an error, or without an answer."""

    def __init__(self, topology: Topology, silent: Collection[str] = ()) -> None:
        """Say which services give no answer at all when they fail."""
        self._silent = frozenset(silent)
        self._entry = next(service for service in topology.services if service.name == topology.entry)
        self._services = {service.name: service for service in topology.services}

    def outcome(self, failing: Collection[str]) -> Outcome:
        """The outcome while these services fail. The entry's own failure is no question here."""
        return Outcome(*self._compose(self._entry, frozenset(failing), {})[:2])

    def failing_cases(self, services: Iterable[str], patience: float) -> set[str]:
        """The cases that fail among these services alone and in pairs, by error or by waiting longer than `patience`.

        A case is named as in a run: the sorted names joined with `+`.
        """
        names = sorted(services)
        cases = [*((name,) for name in names), *combinations(names, 2)]
        return {"+".join(case) for case in cases if self._fails(case, patience)}

    def weak_pairs(self, services: Iterable[str], patience: float) -> set[tuple[str, str]]:
        """The pairs that fail although neither of the two fails alone."""
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
