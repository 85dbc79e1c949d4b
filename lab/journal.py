"""What the lab remembers about what happened to it: the log of everything that was ever on, and counters."""

import time
from collections import Counter
from datetime import UTC, datetime
from enum import StrEnum

from pydantic import BaseModel


class Kind(StrEnum):
    """What can be switched on in the lab."""

    FAULT = "fault"
    RULES = "rules"
    RECORDING = "recording"


class Moment(BaseModel):
    """A point in time on both clocks."""

    monotonic: float
    utc: datetime

    @classmethod
    def now(cls) -> "Moment":
        """Read both clocks."""
        return cls(monotonic=time.monotonic(), utc=datetime.now(UTC))


class LogEntry(BaseModel):
    """One thing that was on in one service, from when to when, and why it ended."""

    kind: Kind
    service: str
    name: str
    on_at: Moment
    off_at: Moment | None = None
    reason: str | None = None


class ServiceCounters(BaseModel):
    """What one service saw. Requests are those its app received, by `METHOD path`; health probes are not counted."""

    requests: Counter[str] = Counter()
    intercepted: int = 0


class Counters(BaseModel):
    """Everything the lab counts."""

    services: dict[str, ServiceCounters]
    entry_baggage: Counter[str] = Counter()
    """Requests at the entry, intercepted or not, by their baggage header ("" without one)."""
    executes: Counter[str] = Counter()
    """Calls of the fault service's `execute` that reached it, by fault name."""
    upserts: int = 0
    replays: Counter[str] = Counter()
    """Replay calls that reached the proxy, by service."""


class Journal:
    """The one place where the lab's parts write down what they did."""

    def __init__(self, services: list[str]) -> None:
        self._services = services
        self.log: list[LogEntry] = []
        self.counters = Counters(services={})
        self.reset_counters()

    def reset_counters(self) -> None:
        """Start counting from zero."""
        self.counters = Counters(services={name: ServiceCounters() for name in self._services})

    def switched_on(self, kind: Kind, service: str, name: str) -> None:
        """Note that something is on from now."""
        self.log.append(LogEntry(kind=kind, service=service, name=name, on_at=Moment.now()))

    def switched_off(self, kind: Kind, service: str, name: str, reason: str) -> None:
        """Note that it is off again; the first reason stands."""
        for entry in self.log:
            if (entry.kind, entry.service, entry.name, entry.off_at) == (kind, service, name, None):
                entry.off_at, entry.reason = Moment.now(), reason
