"""The independent checker: says from the lab's own log and counters what went wrong, and asks nobody else.

Holdfast's ledger, store and status are never read here: they are what is being checked. Each function answers with the
violations it found, in words; none is an empty list. `test_checker.py` holds each against a log that contains it.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import combinations

import httpx
from pydantic import BaseModel, TypeAdapter

from lab import Counters, Kind, LabState, LogEntry

BY_ITSELF = {"ttl", "duration over"}
"""Why something went off that nobody switched off: the peer's own time limit was what saved us."""

MARKER = "holdfast."
"""How the baggage of the analysis begins."""

Calls = Mapping[str, Iterable[str]]
"""Whom each service calls itself."""

ONCE: Mapping[Kind, int] = {Kind.RECORDING: 2}
"""How often a run switches something on in one service: recordings for its analysis and for its calls, all else once.

Where the run's system has fallback calls, faults come on more often: the test that has it says how often.
"""

_FAULT_TAIL = re.compile(r"-[0-9a-f]{8}-[0-9]+$")
"""What differs in the names of a run's faults in one service."""

_SIDECAR_PORT = 15006
_LOG = TypeAdapter(list[LogEntry])


class Seen(BaseModel):
    """What the lab says of itself."""

    log: list[LogEntry]
    counters: Counters
    state: LabState


class Window(BaseModel):
    """When somebody was there to hold something, by the Temporal server's word: a window's workflow, or a run's."""

    kind: Kind
    service: str = ""
    """Empty: of every service."""
    begun: datetime
    ended: datetime | None = None


async def look(admin: str) -> Seen:
    """Ask a lab."""
    async with httpx.AsyncClient(base_url=admin, trust_env=False) as client:
        log, counters, state = [(await client.get(f"/lab/{what}")).content for what in ("log", "counters", "state")]
    return Seen(
        log=_LOG.validate_json(log),
        counters=Counters.model_validate_json(counters),
        state=LabState.model_validate_json(state),
    )


def still_on(seen: Seen) -> list[str]:
    """Something is on: by the log, or because a service is not as it was."""
    found = [f"{_named(one)} is still on" for one in seen.log if one.off_at is None]
    found += [f"fault {name} still exists ({phase})" for name, phase in seen.state.faults.items()]
    found += [f"session {name} still exists" for name in [*seen.state.rules, *seen.state.recordings]]
    for name, service in seen.state.services.items():
        if service.sidecar or service.target_port == _SIDECAR_PORT:
            found.append(f"{name} still has a sidecar, or its address leads to one")
        if service.effects or not service.app_up:
            found.append(f"{name} is still broken: {', '.join(service.effects) or 'it is down'}")
    return found


def at_once(log: list[LogEntry], *, faults: int = 1, calls: Calls | None = None) -> list[str]:
    """Two things were on at once that exclude each other: any two, but the parts of one set of rules or recordings.

    A fault may come on while calls are recorded; but nothing is recorded anew while one is on.

    With more `faults` allowed, so many of them may be on, but never two on one call path. `calls`: whom each service
    calls, as the lab was built.
    """
    found = [
        f"{_named(one)} and {_named(other)} were on at once"
        for one, other in combinations(log, 2)
        if _overlap(one, other)
        and not _parts_of_one(one, other)
        and not _recorded_fault(one, other)
        and not (faults > 1 and _apart(one, other, calls))
    ]
    most = most_faults_at_once(log)
    return [*found, f"{most} faults were on at once, not {faults} at most"] if most > faults > 1 else found


def most_faults_at_once(log: list[LogEntry]) -> int:
    """How many faults there were at the moment when there were most of them."""
    on = [one for one in log if one.kind is Kind.FAULT]
    return max((sum(_is_on(one, at.on_at.monotonic) for one in on) for at in on), default=0)


def done_twice(
    seen: Seen,
    *,
    runs: int = 1,
    spare_rules: int = 0,
    spare_recordings: int = 0,
    spare_faults: int = 0,
    once: Mapping[Kind, int] = ONCE,
) -> list[str]:
    """A fault was injected, or rules or recordings came on, more often than in so many undisturbed runs.

    `once`: how often these come on in one service in such a run; once where nothing is given.
    `spare_rules`, `spare_recordings`, `spare_faults`: how often these may have come on beyond that, in one service.
    """
    spare = {Kind.RULES: spare_rules, Kind.RECORDING: spare_recordings, Kind.FAULT: spare_faults}
    found = [f"fault {name} was injected {times} times" for name, times in seen.counters.executes.items() if times > 1]
    on: defaultdict[tuple[Kind, str], list[str]] = defaultdict(list)
    for one in seen.log:
        on[one.kind, one.service].append(one.name)
    for (kind, service), names in on.items():
        if len(names) > runs * once.get(kind, 1) + spare.get(kind, 0):
            found.append(f"{kind} of {service}: {len(names)} of them in {runs} runs: {', '.join(names)}")
    # Also those that were never on, because they were removed before they acted.
    named: defaultdict[str, list[str]] = defaultdict(list)
    for name in seen.counters.executes:
        named[_FAULT_TAIL.sub("", name)].append(name)
    most = runs * once.get(Kind.FAULT, 1) + spare_faults
    return found + [f"a fault under more than {most} names: {', '.join(n)}" for n in named.values() if len(n) > most]


def measured_otherwise(
    counters: Counters, wanted: Mapping[str, int], *, spare: int = 0, question: int = 0
) -> list[str]:
    """Requests by baggage header are not those of an undisturbed run: a case is missing, was measured twice, is new.

    `spare`: how many more a header may have, once, because a worker died while it was sending them. `question`: how
    many more may have none, once, because a worker that waits for a processor is taken for dead, and its question
    whether the system is in its steady state is asked again.
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
    """A case was sent more requests than it has. `spare`: how many more there may be, over all cases."""
    too_many = {header: n - requests for header, n in cases_in(counters).items() if header and n > requests}
    if sum(too_many.values()) <= spare:
        return []
    return [f"{requests + more} requests with {header!r}, not {requests}" for header, more in too_many.items()]


def cases_in(counters: Counters) -> Counter[str]:
    """Requests of cases and of the steady state, by baggage header; that of the analysis names its run."""
    return Counter({header: n for header, n in counters.entry_baggage.items() if not header.startswith(MARKER)})


def unheld(log: list[LogEntry], windows: Iterable[Window]) -> list[str]:
    """Something was on while no window for it was open."""
    held = list(windows)
    return [
        f"{_named(one)} was on from {one.on_at.utc:%H:%M:%S.%f} to {_off(one)} without an open window"
        for one in log
        if not any(_holds(window, one) for window in held)
    ]


def by_itself(log: list[LogEntry]) -> list[str]:
    """Something went off only because the peer's time limit was over."""
    return [f"{_named(one)} was not switched off, it went off by itself ({one.reason})" for one in log if _late(one)]


def on_after(log: list[LogEntry], moment: datetime, what: str) -> list[str]:
    """Something was on, or came on, after somebody had said that nothing is (`what`: who, and in which words)."""
    return [
        f"{_named(one)} was on until {_off(one)}, after {what} at {moment:%H:%M:%S.%f}"
        for one in log
        if one.off_at is None or one.off_at.utc > moment
    ]


def later_than(log: list[LogEntry], moment: datetime) -> list[str]:
    """Something was on beyond the moment until which it may be on at the latest."""
    return on_after(log, moment, "the latest moment that was promised,")


def _named(one: LogEntry) -> str:
    return f"{one.kind} {one.name} in {one.service}"


def _off(one: LogEntry) -> str:
    return f"{one.off_at.utc:%H:%M:%S.%f}" if one.off_at else "now"


def _late(one: LogEntry) -> bool:
    return one.reason in BY_ITSELF


def _is_on(one: LogEntry, moment: float) -> bool:
    return one.on_at.monotonic <= moment and (one.off_at is None or one.off_at.monotonic > moment)


def _apart(one: LogEntry, other: LogEntry, calls: Calls | None) -> bool:
    """Whether these are faults in two services of which neither calls the other, itself or through others."""
    if {one.kind, other.kind} != {Kind.FAULT} or one.service == other.service:
        return False
    return other.service not in _behind(one.service, calls or {}) and one.service not in _behind(
        other.service, calls or {}
    )


def _behind(service: str, calls: Calls) -> set[str]:
    found, asked = set(calls.get(service, ())), {service}
    while found - asked:
        name = min(found - asked)
        asked.add(name)
        found |= set(calls.get(name, ()))
    return found


def _overlap(one: LogEntry, other: LogEntry) -> bool:
    first, second = sorted((one, other), key=lambda entry: entry.on_at.monotonic)
    return first.off_at is None or first.off_at.monotonic > second.on_at.monotonic


def _parts_of_one(one: LogEntry, other: LogEntry) -> bool:
    if one.kind is not other.kind or one.kind is Kind.FAULT or one.service == other.service:
        return False
    # Sessions of rules are named after the run they belong to; recordings carry no name of ours.
    return one.kind is Kind.RECORDING or _run_of(one) == _run_of(other)


def _recorded_fault(one: LogEntry, other: LogEntry) -> bool:
    first, second = sorted((one, other), key=lambda entry: entry.on_at.monotonic)
    return (first.kind, second.kind) == (Kind.RECORDING, Kind.FAULT)


def _run_of(rules: LogEntry) -> str:
    return rules.name.removesuffix(f"-{rules.service}")


def _holds(window: Window, one: LogEntry) -> bool:
    if window.kind is not one.kind or window.service not in ("", one.service) or one.on_at.utc < window.begun:
        return False
    return window.ended is None or (one.off_at is not None and one.off_at.utc <= window.ended)
