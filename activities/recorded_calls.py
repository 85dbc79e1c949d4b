"""What the recordings of calls show: which case's request made services receive which calls, and the requests."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from typing import Any

from activities.toolbox import Subject, Toolbox
from clients.proxy import ProxyClient
from clients.proxy_wire import RecordedEntry
from clients.secrets import Redactor
from workflows.contracts.calls import FallbackCall
from workflows.contracts.exchange import RecordedExchange
from workflows.contracts.windows import WindowKind
from workflows.logic import calls as logic
from workflows.logic.calls import CallKey
from workflows.logic.cases import case_count, places_of
from workflows.logic.tokens import BAGGAGE_HEADER, case_of_marker
from workflows.names import record_of_session

PAGE = 500
"""Entries that are asked for at once."""

MOST_ENTRIES = 100_000
"""Entries that one reading looks at: other people's traffic is recorded as well."""

MOST_REQUESTS = 2_000
"""Different calls whose request is kept."""

APART = 1_000
"""Between the numbers of requests of different attempts and rounds: more than either has requests."""

AGAIN = 1_000_000
"""Between the numbers of one request and of those that repeat it because it failed."""

LONGEST_RECORDED = 10_240
"""Characters of a body that the proxy records (`peer-contract` section 3.1)."""

MOST_BYTES = 64 << 20
"""Of the requests that are kept, headers and bodies included, and of all paths."""

LONGEST_TARGET = 8 << 10
"""Characters of path and query of a call; services refuse longer ones, and no rule should have one."""

NO_ANSWER: dict[str, Any] = {"response_status": 0}

_AT_ONCE = 8

_ENOUGH = 2
"""Requests of a case from which on a path that all of them cause counts as one that does not change."""


async def sessions_of(client: ProxyClient, subject: Subject) -> dict[str, str]:
    """The recordings that are on in services of the plan, by service. Rules are sessions as well; these are not."""
    return {
        one.service: one.session_id
        for one in await client.active_sessions()
        if one.namespace == subject.namespace
        and one.service in subject.plan.service_names
        and record_of_session(one.session_id) is None
    }


class RecordedCalls:
    """Reads the entries of a run's recordings, and counts those that its own requests have caused."""

    def __init__(self, tools: Toolbox, subject: Subject) -> None:
        self._tools = tools
        self._subject = subject
        self._client = tools.proxy(subject.plan)
        self._cases = case_count(len(subject.plan.services))
        self._sessions: dict[str, str] | None = None
        self._offsets: Counter[str] = Counter()
        self._counts: defaultdict[int, defaultdict[int, Counter[CallKey]]] = defaultdict(lambda: defaultdict(Counter))
        """By case, and by the number of its request."""
        self._entries: dict[CallKey, tuple[RecordedEntry, int]] = {}
        """A request of each call, and the case that it belongs to."""
        self._bytes = 0
        self.overflowed = ""
        """Why not everything could be looked at; empty when it could."""

    async def read(self) -> bool:
        """Read what has come since; whether anything of this run was among it, in the midst of other people's traffic.

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
                self.overflowed = f"more than {MOST_ENTRIES} requests were recorded, and the others were not looked at"
            for entry in page:
                grown = self._count(service, entry) or grown
            if len(page) < PAGE:
                break
        return grown

    def _count(self, service: str, entry: RecordedEntry) -> bool:
        """Whether a request of this run has caused it."""
        of = case_of_marker(self._subject.execution.record_id, entry.request_headers.get(BAGGAGE_HEADER, ""))
        if of is None or not 0 <= of.case_index < self._cases:
            # Whoever has seen a marker can write another one.
            return False
        if len(entry.target) > LONGEST_TARGET or self._bytes > MOST_BYTES:
            self.overflowed = f"the recorded calls are longer than {MOST_BYTES >> 20} MiB, or one of them is garbage"
            return True
        key = CallKey(service, entry.method, self._tools.secrets.kept_path(entry.path))
        counts = self._counts[of.case_index][of.number]
        self._bytes += 0 if key in counts else len(key.path)
        counts[key] += 1
        self._keep(key, entry, of.case_index)
        return True

    def _keep(self, key: CallKey, entry: RecordedEntry, case_index: int) -> None:
        """Keep one request of each call: a whole one, and if there is one, of a case in which its service is well."""
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

    def _sound(self) -> dict[int, logic.Calls]:
        """The calls of each healthy request, by its number: of those that were repeated the one that succeeded."""
        found: dict[int, logic.Calls] = {}
        for number in sorted(self._counts[0]):
            found[number % AGAIN] = self._counts[0][number]
        return found

    def missing(self, number: int) -> list[str]:
        """Services that the first healthy request has reached, and this one, as far as is known, has not."""
        reached = {key.service for key in self._counts[0][number]}
        late = {key.service for key in self._first} - reached
        return sorted(late) if reached else self._subject.plan.service_names

    def unrecorded(self) -> list[str]:
        """Services of the plan of which no recording is on (any more): whatever they receive is not seen."""
        return [name for name in self._subject.plan.service_names if name not in (self._sessions or {})]

    async def known(self) -> set[CallKey]:
        """The calls that the analysis has recorded, and those that were added since."""
        stored = await self._tools.store.recorded_calls(self._subject.execution.execution_id)
        return {logic.key_of(one) for one in stored}

    def fallback_calls(self, number: int, known: Collection[CallKey]) -> list[FallbackCall]:
        """Every call that a failure adds, and every healthy one that the analysis did not have; by case."""
        services = len(self._subject.plan.services)
        cases = {index: logic.most(found.values()) for index, found in sorted(self._counts.items()) if index}
        under_failures = {key for calls in cases.values() for key in calls}
        healthy, last = self._healthy(under_failures)
        others = {key for index in cases for key in self._changing(index)}
        given = self._subject.plan.request.model_dump_json(by_alias=True)
        never = logic.never_ruled(self._first, last, known, others, given, between=healthy)
        unrecorded = logic.Calls({key: times for key, times in healthy.items() if key not in known})
        calls = logic.fallback_calls(0, number, [], unrecorded, known)
        for index, broken in cases.items():
            alone = [cases.get(1 + place, logic.Calls()) for place in places_of(services, index) if index > services]
            calls += logic.fallback_calls(index, number, [healthy, *alone], broken, known)
        return [self._with_reason(call, never) for call in calls]

    @property
    def _first(self) -> logic.Calls:
        """The calls of one healthy request, before anything was broken."""
        return logic.most(ask for number, ask in self._sound().items() if number < APART)

    def _healthy(self, under_failures: Collection[CallKey]) -> tuple[logic.Calls, logic.Calls]:
        """The calls of healthy requests, and those of the last one.

        Callers may go on without a service for a while after it is back. So later requests count for calls that no
        failure causes only, and how often a call is made is what the first request says.
        """
        asks = self._sound()
        later = [logic.Calls({key: n for key, n in ask.items() if key not in under_failures}) for ask in asks.values()]
        healthy = logic.Calls(self._first)
        for key, times in logic.most(later).items():
            healthy.setdefault(key, times)
        last = asks[max(asks)] if asks else logic.Calls()
        return healthy, logic.Calls({key: n for key, n in last.items() if key in healthy})

    def _changing(self, case_index: int) -> set[CallKey]:
        """The calls of a case of which it is not known that every request makes the same ones."""
        asks = list(self._counts[case_index].values())
        made = {key for ask in asks for key in ask}
        return made if len(asks) < _ENOUGH else {key for key in made if any(key not in ask for ask in asks)}

    def _with_reason(self, call: FallbackCall, never: Mapping[CallKey, str]) -> FallbackCall:
        key = logic.key_of(call)
        return call.model_copy(update={"reason": never.get(key) or self._why_not(key)}) if call.new else call

    def _why_not(self, key: CallKey) -> str:
        """Why the failure of a call cannot be captured; empty when it can."""
        if key.service not in self._subject.plan.system.services:
            return f"system.services has no address of {key.service}, to which the request could be sent again"
        entry = self.request(key)
        if entry is None:
            return f"more than {MOST_REQUESTS} different calls were recorded"
        if not is_askable(entry):
            return "its path is none under which a service can be asked"
        return "its body was recorded in part only" if entry.request_truncated else ""

    def request(self, key: CallKey) -> RecordedEntry | None:
        """The recorded request of a call, its secrets included: never store or log it."""
        return self._entries[key][0] if key in self._entries else None

    async def exchanges(self, service: str, keys: Collection[CallKey]) -> list[RecordedExchange]:
        """The requests of these calls and their answers, redacted, as the analysis would have stored them."""
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
                        # An answer of the broken service is none that its failure could be compared with.
                        **(NO_ANSWER if self._breaks(case_index, service) else _healthy_answer(entry, redactor)),
                    )
                )
            return found

        # In a thread: bodies may be long, and heartbeats go on meanwhile.
        return await asyncio.to_thread(redacted)


def _length(entry: RecordedEntry) -> int:
    """Characters, which are what is kept in memory."""
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
    """Whether only the beginning of the answer was recorded. Said or not: no longer one is ever recorded."""
    return entry.response_truncated or len(entry.response_body) >= LONGEST_RECORDED


def is_askable(entry: RecordedEntry) -> bool:
    """Whether path and query can stand behind an address without changing where it leads."""
    return entry.target.startswith("/")


async def recording_is_on(tools: Toolbox, execution_id: int) -> bool:
    """Whether a run's recordings of calls are on, so that its services have sidecars."""
    rows = (await tools.store.standing(execution_id)).rows
    return any(row.kind is WindowKind.CALLS for row in rows)
