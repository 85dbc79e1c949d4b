"""The independent checker: finds from the lab's own log and counters what went wrong, and asks nobody else.

Holdfast's ledger, store and status are never read here: they are what is being checked. Each function returns the
violations it found, in words, or an empty list. `test_checker.py` tries each on a log with that violation.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import combinations

from pydantic import BaseModel, TypeAdapter

from lab import Counters, Kind, LabState, LogEntry
from tests.support.http import http_client

BY_ITSELF = {"ttl", "duration over"}
"""Why something went off that nobody switched off.

Only the peer's own time limit saved the system.
"""

MARKER = "holdfast."
"""Prefix of the analysis' baggage."""

Calls = Mapping[str, Iterable[str]]
"""The services that each service calls itself."""

ONCE: Mapping[Kind, int] = {Kind.RECORDING: 2}
"""How often a run switches something on in one service.

Recordings come on twice, for its analysis and for its calls; all else comes on once.

Where the run's system has fallback calls, faults come on more often, and the test of that system gives the number.
"""

_FAULT_TAIL = re.compile(r"-[0-9a-f]{8}-[0-9]+$")
"""The varying part in the names of a run's faults in one service."""

_SIDECAR_PORT = 15006
_LOG = TypeAdapter(list[LogEntry])


class Seen(BaseModel):
    """A lab's own account: log, counters and state."""

    log: list[LogEntry]
    counters: Counters
    state: LabState


class Window(BaseModel):
    """Period in which a workflow could hold something.

    It is a window's workflow or a run's, and the Temporal server gives the times.
    """

    kind: Kind
    service: str = ""
    """Empty: every service."""
    begun: datetime
    ended: datetime | None = None


async def look(admin: str) -> Seen:
    """Ask a lab for its account."""
    async with http_client(admin) as client:
        log, counters, state = [(await client.get(f"/lab/{what}")).content for what in ("log", "counters", "state")]
    return Seen(
        log=_LOG.validate_json(log),
        counters=Counters.model_validate_json(counters),
        state=LabState.model_validate_json(state),
    )


def still_on(seen: Seen) -> list[str]:
    """Find what is still on, by the log or because a service is not as it was."""
    found = [f"{_named(entry)} is still on" for entry in seen.log if entry.off_at is None]
    found += [f"fault {name} still exists ({phase})" for name, phase in seen.state.faults.items()]
    found += [f"session {name} still exists" for name in [*seen.state.rules, *seen.state.recordings]]
    for name, service in seen.state.services.items():
        if service.sidecar or service.target_port == _SIDECAR_PORT:
            found.append(f"{name} still has a sidecar, or its address leads to one")
        if service.effects or not service.app_up:
            found.append(f"{name} is still broken: {', '.join(service.effects) or 'it is down'}")
    return found


def at_once(log: list[LogEntry], *, faults: int = 1, calls: Calls | None = None) -> list[str]:
    """Find things that were on at once although they exclude each other.

    Any two do, except the parts of one set of rules or recordings. A fault may come on while calls are recorded, but
    nothing is recorded anew while a fault is on.

    With more `faults` allowed, that many may be on, but never two on one call path. `calls`: the services that each
    service calls, as the lab was built.
    """
    found = [
        f"{_named(first)} and {_named(second)} were on at once"
        for first, second in combinations(log, 2)
        if _overlap(first, second)
        and not _parts_of_one(first, second)
        and not _recorded_fault(first, second)
        and not (faults > 1 and _apart(first, second, calls))
    ]
    most = most_faults_at_once(log)
    return [*found, f"{most} faults were on at once, not {faults} at most"] if most > faults > 1 else found


def most_faults_at_once(log: list[LogEntry]) -> int:
    """Count the faults at the moment when most of them were on."""
    on = [entry for entry in log if entry.kind is Kind.FAULT]
    return max((sum(_is_on(entry, at.on_at.monotonic) for entry in on) for at in on), default=0)


def done_twice(
    seen: Seen,
    *,
    runs: int = 1,
    spare_rules: int = 0,
    spare_recordings: int = 0,
    spare_faults: int = 0,
    once: Mapping[Kind, int] = ONCE,
) -> list[str]:
    """Find what came on more often than in undisturbed runs.

    Faults, rules and recordings are compared with as many undisturbed runs.

    `once`: how often these come on in one service in such a run; once where nothing is given.
    `spare_rules`, `spare_recordings`, `spare_faults`: how often these may have come on beyond that, in one service.
    """
    spare = {Kind.RULES: spare_rules, Kind.RECORDING: spare_recordings, Kind.FAULT: spare_faults}
    found = [f"fault {name} was injected {times} times" for name, times in seen.counters.executes.items() if times > 1]
    on: defaultdict[tuple[Kind, str], list[str]] = defaultdict(list)
    for entry in seen.log:
        on[entry.kind, entry.service].append(entry.name)
    for (kind, service), names in on.items():
        if len(names) > runs * once.get(kind, 1) + spare.get(kind, 0):
            found.append(f"{kind} of {service}: {len(names)} of them in {runs} runs: {', '.join(names)}")
    # Count also faults that were never on, because they were removed before they acted.
    named: defaultdict[str, list[str]] = defaultdict(list)
    for name in seen.counters.executes:
        named[_FAULT_TAIL.sub("", name)].append(name)
    most = runs * once.get(Kind.FAULT, 1) + spare_faults
    return found + [f"a fault under more than {most} names: {', '.join(n)}" for n in named.values() if len(n) > most]


def measured_otherwise(
    counters: Counters, wanted: Mapping[str, int], *, spare: int = 0, question: int = 0
) -> list[str]:
    """Find headers whose requests differ from an undisturbed run's.

    A case is missing, was measured twice, or is new. `spare`: how many more requests a header may have, once, because a
    worker died while it was sending them. `question`: how many more may have no header, once, because a worker short of
    CPU time is taken for dead and its steady-state check is repeated.
    """
    found, left, got = [], spare, cases_in(counters)
    for header in sorted({*wanted, *got}):
        more = got[header] - wanted.get(header, 0)
        if not header and more >= question:
            more -= question
        if 0 < more <= left:
            left -= more
        elif more:
            found.append(f"{got[header]} requests with {header!r}, not {wanted.get(header, 0)}")
    return found


def measured_twice(counters: Counters, requests: int, *, spare: int = 0) -> list[str]:
    """Find cases that were sent more requests than they have.

    `spare`: how many more there may be, over all cases.
    """
    too_many = {header: n - requests for header, n in cases_in(counters).items() if header and n > requests}
    if sum(too_many.values()) <= spare:
        return []
    return [f"{requests + more} requests with {header!r}, not {requests}" for header, more in too_many.items()]


def cases_in(counters: Counters) -> Counter[str]:
    """Count requests of cases and of the steady state by baggage header.

    The header of the analysis is left out, because it names its run.
    """
    return Counter({header: n for header, n in counters.entry_baggage.items() if not header.startswith(MARKER)})


def unheld(log: list[LogEntry], windows: Iterable[Window]) -> list[str]:
    """Find what was on while no window for it was open."""
    held = list(windows)
    return [
        f"{_named(entry)} was on from {entry.on_at.utc:%H:%M:%S.%f} to {_off(entry)} without an open window"
        for entry in log
        if not any(_holds(window, entry) for window in held)
    ]


def by_itself(log: list[LogEntry]) -> list[str]:
    """Find what went off only because the peer's time limit was over."""
    return [
        f"{_named(entry)} was not switched off, it went off by itself ({entry.reason})" for entry in log if _late(entry)
    ]


def on_after(log: list[LogEntry], moment: datetime, what: str) -> list[str]:
    """Find what was on, or came on, after a report that nothing is on.

    `what`: who reported it, and in which words.
    """
    return [
        f"{_named(entry)} was on until {_off(entry)}, after {what} at {moment:%H:%M:%S.%f}"
        for entry in log
        if entry.off_at is None or entry.off_at.utc > moment
    ]


def later_than(log: list[LogEntry], moment: datetime) -> list[str]:
    """Find what was on beyond the latest moment allowed."""
    return on_after(log, moment, "the latest moment that was promised,")


def _named(entry: LogEntry) -> str:
    return f"{entry.kind} {entry.name} in {entry.service}"


def _off(entry: LogEntry) -> str:
    return f"{entry.off_at.utc:%H:%M:%S.%f}" if entry.off_at else "now"


def _late(entry: LogEntry) -> bool:
    return entry.reason in BY_ITSELF


def _is_on(entry: LogEntry, moment: float) -> bool:
    return entry.on_at.monotonic <= moment and (entry.off_at is None or entry.off_at.monotonic > moment)


def _apart(first: LogEntry, second: LogEntry, calls: Calls | None) -> bool:
    """Whether these are faults in two independent services. Neither calls the other, itself or through others."""
    if {first.kind, second.kind} != {Kind.FAULT} or first.service == second.service:
        return False
    return second.service not in _behind(first.service, calls or {}) and first.service not in _behind(
        second.service, calls or {}
    )


def _behind(service: str, calls: Calls) -> set[str]:
    found, asked = set(calls.get(service, ())), {service}
    while found - asked:
        name = min(found - asked)
        asked.add(name)
        found |= set(calls.get(name, ()))
    return found


def _overlap(first: LogEntry, second: LogEntry) -> bool:
    earlier, later = sorted((first, second), key=lambda entry: entry.on_at.monotonic)
    return earlier.off_at is None or earlier.off_at.monotonic > later.on_at.monotonic


def _parts_of_one(first: LogEntry, second: LogEntry) -> bool:
    if first.kind is not second.kind or first.kind is Kind.FAULT or first.service == second.service:
        return False
    # Sessions of rules are named after their run; recordings carry no name of ours.
    return first.kind is Kind.RECORDING or _run_of(first) == _run_of(second)


def _recorded_fault(first: LogEntry, second: LogEntry) -> bool:
    earlier, later = sorted((first, second), key=lambda entry: entry.on_at.monotonic)
    return (earlier.kind, later.kind) == (Kind.RECORDING, Kind.FAULT)


def _run_of(rules: LogEntry) -> str:
    return rules.name.removesuffix(f"-{rules.service}")


def _holds(window: Window, entry: LogEntry) -> bool:
    if window.kind is not entry.kind or window.service not in ("", entry.service) or entry.on_at.utc < window.begun:
        return False
    return window.ended is None or (entry.off_at is not None and entry.off_at.utc <= window.ended)
