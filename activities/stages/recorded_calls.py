"""Reads recorded calls: which case caused which calls, with their requests."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from typing import Any

from activities.toolbox import Subject, Toolbox
from clients.drivers.traffic_driver import TrafficDriver
from clients.secrets.values import Redactor
from domain.calls import discovery as logic
from domain.calls.discovery import CallKey
from domain.calls.model import FallbackCall
from domain.cases.cases import case_count, places_of
from domain.cases.tokens import BAGGAGE_HEADER, case_of_marker
from domain.executions.windows import WindowKind
from domain.names import record_of_session
from domain.traffic.driving import RecordedEntry
from domain.traffic.exchange import RecordedExchange

PAGE = 500
"""Entries fetched at once."""

MOST_ENTRIES = 100_000
"""Most entries that one reading looks at: others' traffic is recorded too."""

MOST_REQUESTS = 2_000
"""Most different calls whose request is kept."""

APART = 1_000
"""Gap between the request numbers of different attempts and rounds.

It is larger than the number of requests in either.
"""

AGAIN = 1_000_000
"""Gap between a failed request's number and that of its repetition."""

LONGEST_RECORDED = 10_240
"""Most characters of a body that the proxy records (`peer-contract` section 3.1)."""

MOST_BYTES = 64 << 20
"""Most bytes of kept requests (headers and bodies included) and all paths."""

LONGEST_TARGET = 8 << 10
"""Most characters of a call's path and query.

Services refuse longer ones, and no rule should have one.
"""

NO_ANSWER: dict[str, Any] = {"response_status": 0}

_AT_ONCE = 8

_ENOUGH = 2
"""Fewest requests of a case that can prove a path stable.

The path is stable if all of them cause it.
"""


async def sessions_of(client: TrafficDriver, subject: Subject) -> dict[str, str]:
    """Return the active recordings in services of the plan, by service.

    Rules are sessions too, but are not included.
    """
    return {
        session.service: session.session_id
        for session in await client.active_sessions()
        if session.namespace == subject.namespace
        and session.service in subject.plan.service_names
        and record_of_session(session.session_id) is None
    }


class RecordedCalls:
    """Reads a run's recordings, and counts the calls its own requests caused."""

    def __init__(self, tools: Toolbox, subject: Subject) -> None:
        self._tools = tools
        self._subject = subject
        self._client = tools.proxy(subject.plan)
        self._cases = case_count(len(subject.plan.services))
        self._sessions: dict[str, str] | None = None
        self._offsets: Counter[str] = Counter()
        self._counts: defaultdict[int, defaultdict[int, Counter[CallKey]]] = defaultdict(lambda: defaultdict(Counter))
        """The calls by case index, then by request number."""
        self._entries: dict[CallKey, tuple[RecordedEntry, int]] = {}
        """One request of each call, with the case that caused it."""
        self._bytes = 0
        self.overflowed = ""
        """Why not everything could be read; empty if it could."""

    async def read(self) -> bool:
        """Read new entries; return whether this run's own requests caused any of them.

        Other people's traffic does not count: a system in use is never quiet.

        Raises:
            HoldfastError: as the proxy client.
        """
        if self._sessions is None:
            self._sessions = await sessions_of(self._client, self._subject)
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(service: str, session_id: str) -> bool:
            async with gate:
                return await self._read_service(service, session_id)

        return any(await asyncio.gather(*(one(*session) for session in self._sessions.items())))

    async def _read_service(self, service: str, session_id: str) -> bool:
        grown = False
        while not self.overflowed:
            page = await self._client.recorded(session_id, self._offsets[service], PAGE)
            self._offsets[service] += len(page)
            if self._offsets.total() > MOST_ENTRIES:
                self.overflowed = f"more than {MOST_ENTRIES} requests were recorded, and the others were not read"
            for entry in page:
                grown = self._count(service, entry) or grown
            if len(page) < PAGE:
                break
        return grown

    def _count(self, service: str, entry: RecordedEntry) -> bool:
        """Count an entry; return whether a request of this run caused it."""
        origin = case_of_marker(self._subject.execution.record_id, entry.request_headers.get(BAGGAGE_HEADER, ""))
        if origin is None or not 0 <= origin.case_index < self._cases:
            # Anyone who has seen a marker can forge another.
            return False
        if len(entry.target) > LONGEST_TARGET or self._bytes > MOST_BYTES:
            self.overflowed = f"the recorded calls are longer than {MOST_BYTES >> 20} MiB, or one of them is garbage"
            return True
        key = CallKey(service, entry.method, self._tools.secrets.kept_path(entry.path))
        counts = self._counts[origin.case_index][origin.number]
        self._bytes += 0 if key in counts else len(key.path)
        counts[key] += 1
        self._keep(key, entry, origin.case_index)
        return True

    def _keep(self, key: CallKey, entry: RecordedEntry, case_index: int) -> None:
        """Keep one request of each call.

        A complete request is preferred, and one of a case in which the receiving service is healthy.
        """
        kept, index = self._entries.get(key, (None, 0))
        if kept is None and len(self._entries) >= MOST_REQUESTS:
            return
        better = kept is None or (kept.request_truncated and not entry.request_truncated)
        if better or (self._breaks(index, key.service) and not self._breaks(case_index, key.service)):
            self._bytes += _length(entry)
            self._entries[key] = entry, case_index

    def _breaks(self, case_index: int, service: str) -> bool:
        names = self._subject.plan.service_names
        return service in [names[place] for place in places_of(len(names), case_index)]

    def _calls_by_number(self) -> dict[int, logic.Calls]:
        """Return the calls of each healthy request, by its number."""
        found: dict[int, logic.Calls] = {}
        # In order, so that the last repetition wins: it succeeded.
        for number in sorted(self._counts[0]):
            found[number % AGAIN] = self._counts[0][number]
        return found

    def missing(self, number: int) -> list[str]:
        """Return services reached by the first healthy request, but not this one.

        All services, as long as this request is seen at none.
        """
        reached = {key.service for key in self._counts[0][number]}
        late = {key.service for key in self._first_healthy} - reached
        return sorted(late) if reached else self._subject.plan.service_names

    def unrecorded(self) -> list[str]:
        """Return services of the plan that are not, or no longer, recorded.

        The calls that they receive are not seen.
        """
        return [name for name in self._subject.plan.service_names if name not in (self._sessions or {})]

    async def known(self) -> set[CallKey]:
        """Return the calls that the analysis recorded, and those added since."""
        stored = await self._tools.store.traffic.recorded_calls(self._subject.execution.execution_id)
        return {logic.key_of(recorded) for recorded in stored}

    def fallback_calls(self, number: int, known: Collection[CallKey]) -> list[FallbackCall]:
        """Return the calls that each case adds, in order of the cases.

        For the baseline, these are the healthy calls that the analysis did not record.
        """
        services = len(self._subject.plan.services)
        cases = {index: logic.most(found.values()) for index, found in sorted(self._counts.items()) if index}
        under_failures = {key for calls in cases.values() for key in calls}
        healthy, last = self._healthy_calls(under_failures)
        changing = {key for index in cases for key in self._changing_calls(index)}
        request_json = self._subject.plan.request.model_dump_json(by_alias=True)
        never = logic.never_ruled(self._first_healthy, last, known, changing, request_json, between=healthy)
        unrecorded = logic.Calls({key: times for key, times in healthy.items() if key not in known})
        calls = logic.fallback_calls(0, number, [], unrecorded, known)
        for index, broken in cases.items():
            alone = [cases.get(1 + place, logic.Calls()) for place in places_of(services, index) if index > services]
            calls += logic.fallback_calls(index, number, [healthy, *alone], broken, known)
        return [self._with_reason(call, never) for call in calls]

    @property
    def _first_healthy(self) -> logic.Calls:
        """The calls of a healthy request before anything was broken."""
        return logic.most(calls for number, calls in self._calls_by_number().items() if number < APART)

    def _healthy_calls(self, under_failures: Collection[CallKey]) -> tuple[logic.Calls, logic.Calls]:
        """Return the calls of all healthy requests, and of the last."""
        requests = self._calls_by_number()
        # Callers may go on without a service for a while after it is back. So later requests only count for calls that
        # no failure causes. How often a call is made is taken from the first request.
        later = [
            logic.Calls({key: n for key, n in calls.items() if key not in under_failures})
            for calls in requests.values()
        ]
        healthy = logic.Calls(self._first_healthy)
        for key, times in logic.most(later).items():
            healthy.setdefault(key, times)
        last = requests[max(requests)] if requests else logic.Calls()
        return healthy, logic.Calls({key: n for key, n in last.items() if key in healthy})

    def _changing_calls(self, case_index: int) -> set[CallKey]:
        """Return a case's calls that may differ from request to request."""
        requests = list(self._counts[case_index].values())
        made = {key for calls in requests for key in calls}
        return made if len(requests) < _ENOUGH else {key for key in made if any(key not in calls for calls in requests)}

    def _with_reason(self, call: FallbackCall, never: Mapping[CallKey, str]) -> FallbackCall:
        key = logic.key_of(call)
        return call.model_copy(update={"reason": never.get(key) or self._why_uncapturable(key)}) if call.new else call

    def _why_uncapturable(self, key: CallKey) -> str:
        """Return why the failure of a call cannot be captured, or nothing."""
        if key.service not in self._subject.plan.system.services:
            return f"system.services has no address for {key.service}, to which the request could be sent again"
        entry = self.request(key)
        if entry is None:
            return f"more than {MOST_REQUESTS} different calls were recorded"
        if not is_askable(entry):
            return "its path cannot be used to ask a service"
        return "its body was recorded only in part" if entry.request_truncated else ""

    def request(self, key: CallKey) -> RecordedEntry | None:
        """Return the recorded request of a call, secrets included.

        Never store or log it.
        """
        return self._entries[key][0] if key in self._entries else None

    async def exchanges(self, service: str, keys: Collection[CallKey]) -> list[RecordedExchange]:
        """Return these calls' exchanges, redacted as the analysis would store them."""
        redactor = self._tools.redactor(self._subject.plan)

        def redacted() -> list[RecordedExchange]:
            found = []
            for position, key in enumerate(sorted(keys)):
                entry, case_index = self._entries[key]
                found.append(
                    RecordedExchange(
                        service=service,
                        position=position,
                        method=key.method,
                        url=redactor.url(f"http://{service}{entry.target}"),
                        path=key.path,
                        request_headers=redactor.headers(entry.request_headers),
                        request_body=redactor.body(entry.request_body, entry.request_headers),
                        # An answer of the broken service is no healthy answer to compare its failure with.
                        **(NO_ANSWER if self._breaks(case_index, service) else _healthy_answer(entry, redactor)),
                    )
                )
            return found

        # In a thread: bodies may be long, and heartbeats must go on.
        return await asyncio.to_thread(redacted)


def _length(entry: RecordedEntry) -> int:
    """Return the size of what is kept in memory, in characters."""
    headers = [*entry.request_headers.items(), *entry.response_headers.items()]
    texts = (entry.path, entry.target, entry.request_body, entry.response_body)
    return sum(map(len, texts)) + sum(len(name) + len(value) for name, value in headers)


def _healthy_answer(entry: RecordedEntry, redactor: Redactor) -> dict[str, Any]:
    return {
        "response_status": entry.status or 0,
        "response_headers": redactor.headers(entry.response_headers),
        "response_body": redactor.body(entry.response_body, entry.response_headers, cut=is_cut(entry)),
    }


def is_cut(entry: RecordedEntry) -> bool:
    """Return whether only the beginning of the answer was recorded."""
    # Even without the proxy's flag, a body of this length may be cut, because none longer is ever recorded.
    return entry.response_truncated or len(entry.response_body) >= LONGEST_RECORDED


def is_askable(entry: RecordedEntry) -> bool:
    """Return whether the target can be appended to an address safely.

    Path and query must not change where the address leads.
    """
    return entry.target.startswith("/")


async def recording_is_on(tools: Toolbox, execution_id: int) -> bool:
    """Return whether a run's recordings of calls are active.

    If they are, its services have sidecars.
    """
    rows = (await tools.store.standings.of(execution_id)).rows
    return any(row.kind is WindowKind.CALLS for row in rows)
