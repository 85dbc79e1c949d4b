"""The protocol of traffic drivers: all that Holdfast needs of anything that records traffic and answers by rules.

It has the shape of the traffic proxy, its first driver: an analysis records all services at once, a recording one
service, and rules come and go by record id. `tests/integration/drivers/` holds every driver to this contract.
"""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar, Protocol

from clients.drivers.driver import Driver
from domain.traffic.driving import ActiveSession, AnalysisTask, Can, RecordedEntry, SidecarCheck
from domain.traffic.exchange import ReplayedAnswer, Rule


class TrafficDriver(Driver, Protocol):
    """Records the traffic of services, and answers for them by rules.

    Every error is a `HoldfastError` with a PEER_ code, or one named below.
    """

    can: ClassVar[frozenset[Can]]

    async def analyze(
        self, *, req_def_id: int, namespace: str, services: list[str], execution_id: int, duration_seconds: int
    ) -> AnalysisTask:
        """Begin to record all of these services. The caller sends the request once the driver collects.

        Raises:
            HoldfastError: ANALYZE_FAILED when refused, ANALYZE_CONFLICT when another execution's analysis is returned.
        """
        ...

    async def analysis(self, task_id: str) -> AnalysisTask:
        """Return the state of an analysis. NOT_FOUND for an unknown one."""
        ...

    async def replay(
        self, *, execution_id: int, namespace: str, service: str, longest: timedelta
    ) -> list[ReplayedAnswer]:
        """Send a service its recorded requests again, for real. Empty if it has none.

        Raises:
            HoldfastError: REPLAY_FAILED.
        """
        ...

    async def check(self, *, namespace: str, service: str) -> SidecarCheck:
        """Return whether anything records or answers for a service, ours or anyone else's."""
        ...

    async def active_sessions(self) -> list[ActiveSession]:
        """Return all recordings and rules, ours and anyone else's."""
        ...

    async def start_recording(self, *, namespace: str, service: str, duration_seconds: int, longest: timedelta) -> str:
        """Record one service, with a time limit. Return the recording's id. Never to be repeated."""
        ...

    async def recorded(self, recording_id: str, offset: int, limit: int) -> list[RecordedEntry]:
        """Return what a recording has collected, oldest first, at most `limit` entries."""
        ...

    async def stop_recording(self, recording_id: str, longest: timedelta = ...) -> None:
        """Stop a recording. Only `check` shows that it has ended."""
        ...

    async def upsert_rules(
        self, *, namespace: str, record_id: str, ttl_seconds: int, rules: list[Rule], longest: timedelta
    ) -> int:
        """Replace the rules of a record id, with a time limit. Return how many there are."""
        ...

    async def rules_active(self, *, record_id: str, services: list[str]) -> set[str]:
        """Return the services that have rules of a record id."""
        ...

    async def delete_rules(self, record_id: str) -> None:
        """Delete the rules of a record id. Absent ones are fine. Only a canary shows that they do not act any more."""
        ...
