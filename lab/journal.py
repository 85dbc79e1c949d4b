"""The lab's memory: counters, and a log of everything ever active."""

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
    """Something that was active in one service.

    It has a start, an end, and the reason for the end.
    """

    kind: Kind
    service: str
    name: str
    on_at: Moment
    off_at: Moment | None = None
    reason: str | None = None


class ServiceCounters(BaseModel):
    """What one service saw.

    Requests are those its app received, by `METHOD path`. Health probes are not counted.
    """

    requests: Counter[str] = Counter()
    intercepted: int = 0


class Counters(BaseModel):
    """Everything the lab counts."""

    services: dict[str, ServiceCounters]
    entry_baggage: Counter[str] = Counter()
    """Requests at the entry, intercepted or not, by baggage header ("" without one)."""
    executes: Counter[str] = Counter()
    """Calls of `execute` that reached the fault service, by fault name."""
    upserts: int = 0
    replays: Counter[str] = Counter()
    """Replay calls that reached the proxy, by service."""


class Journal:
    """The one place where the lab's parts record what they did."""

    def __init__(self, services: list[str]) -> None:
        self._services = services
        self.log: list[LogEntry] = []
        self.counters = Counters(services={})
        self.reset_counters()

    def reset_counters(self) -> None:
        """Start counting from zero."""
        self.counters = Counters(services={name: ServiceCounters() for name in self._services})

    def switched_on(self, kind: Kind, service: str, name: str) -> None:
        """Record that something is active from now on."""
        self.log.append(LogEntry(kind=kind, service=service, name=name, on_at=Moment.now()))

    def switched_off(self, kind: Kind, service: str, name: str, reason: str) -> None:
        """Record that it is off again.

        The first reason counts.
        """
        for entry in self.log:
            if (entry.kind, entry.service, entry.name, entry.off_at) == (kind, service, name, None):
                entry.off_at, entry.reason = Moment.now(), reason
