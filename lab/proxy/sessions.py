"""Recording and interception sessions.

A session is one sidecar that the proxy has installed in a service, and will remove.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from lab.journal import Kind
from lab.services.cluster import Cluster
from lab.services.host import Host
from lab.services.sidecar import SIDECAR_PORT, Recorder, RecordRule, Rule, Sidecar, SidecarKind


class SessionStatus(StrEnum):
    """States of a session."""

    STARTING = "STARTING"
    RECORDING = "RECORDING"
    STOPPING = "STOPPING"
    STOPPED = "STOPPED"
    ERROR = "ERROR"


def local_now() -> datetime:
    """Return the peer's time: server-local, without a zone."""
    return datetime.now().replace(microsecond=0)  # noqa: DTZ005 - a quirk of the peer, kept


@dataclass
class Session:
    """One sidecar session.

    Recordings and rules share their store, as at the peer.
    """

    id: str
    namespace: str
    service: str
    kind: SidecarKind
    config: str
    app_port: int
    """Port that the proxy took for the application's, and will restore."""
    started_at: datetime
    rules: list[Rule]
    recorder: Recorder | None = None
    status: SessionStatus = SessionStatus.RECORDING
    stopped_at: datetime | None = None

    @property
    def log_kind(self) -> Kind:
        """The kind under which the journal lists the session."""
        return Kind.RULES if self.kind is SidecarKind.RULES else Kind.RECORDING


class Sessions:
    """All sessions, active and stopped."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._active: dict[str, Session] = {}
        self._stopped: dict[str, Session] = {}
        self._timers: dict[str, asyncio.Task[None]] = {}

    def active(self) -> list[Session]:
        """Return every session in RECORDING, oldest first."""
        return list(self._active.values())

    def get(self, session_id: str) -> Session | None:
        """Find an active session."""
        return self._active.get(session_id)

    def recording(self, recording_id: str) -> Session | None:
        """Find a recording, including stopped ones."""
        return self._active.get(recording_id) or self._stopped.get(recording_id)

    def with_prefix(self, prefix: str) -> list[Session]:
        """Find active sessions by plain string prefix, as the peer does.

        `1` also finds `10-...`.
        """
        return [session for name, session in self._active.items() if name.startswith(prefix)]

    async def record(self, namespace: str, service: str, rules: list[RecordRule], seconds: float | None) -> Session:
        """Start to record in one service.

        Traffic is seen once the rollout is over.
        """
        host = self._cluster.host(service, namespace)
        stamp = f"{local_now():%Y%m%d-%H%M%S}-{secrets.token_hex(4)}"
        recorder = Recorder(rules)
        config = f"envoy-tap-rec-{stamp}"
        session = Session(
            id=f"rec-{stamp}",
            namespace=namespace,
            service=service,
            kind=SidecarKind.RECORDING,
            config=config,
            app_port=host.target_port,
            started_at=local_now(),
            rules=[],
            recorder=recorder,
        )
        await self._install(session, host)
        if seconds is not None:
            self._arm(session.id, seconds, lambda: self.stop_recording(session.id, "duration over"))
        return session

    async def intercept(self, namespace: str, service: str, session_id: str, rules: list[Rule], ttl: float) -> Session:
        """Put rules into one service."""
        host = self._cluster.host(service, namespace)
        session = Session(
            id=session_id,
            namespace=namespace,
            service=service,
            kind=SidecarKind.RULES,
            config=f"envoy-fi-{service}",
            app_port=host.target_port,  # 15006 if a sidecar is already there: the peer's self-loop.
            started_at=local_now(),
            rules=rules,
        )
        await self._install(session, host)
        # A second upsert starts no timer: the first timer still fires, at its own deadline.
        if session_id not in self._timers:
            self._arm(session_id, ttl, lambda: self.remove(session_id, "ttl"))
        return session

    async def remove(self, session_id: str, reason: str) -> None:
        """End a session of either kind and put the service back."""
        session = self._active.pop(session_id, None)
        if session is None:
            return
        session.status, session.stopped_at = SessionStatus.STOPPED, local_now()
        self._stopped[session_id] = session
        self._disarm(session_id)
        host = self._cluster.host(session.service, session.namespace)
        await host.point_at(session.app_port)
        await host.remove_sidecar()
        self._cluster.journal.switched_off(session.log_kind, session.service, session.id, reason)

    async def stop_recording(self, recording_id: str, reason: str) -> None:
        """End a recording and wait until its service is ready again."""
        if recording_id in self._active:
            await self.remove(recording_id, reason)
            await asyncio.sleep(self._cluster.settings.rollout)

    def forget_timers(self) -> None:
        """Behave like a restart of the peer.

        Sessions stay, but nothing ends them by itself any more.
        """
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    async def _install(self, session: Session, host: Host) -> None:
        self._cluster.journal.switched_on(session.log_kind, session.service, session.id)
        sidecar = Sidecar(
            session.kind, session.config, session.app_port, rules=session.rules, recorder=session.recorder
        )
        await host.inject(sidecar)
        await host.point_at(SIDECAR_PORT)
        self._active[session.id] = session

    def _arm(self, session_id: str, seconds: float, act: Callable[[], Awaitable[None]]) -> None:
        self._timers[session_id] = self._cluster.background.later(seconds, act)

    def _disarm(self, session_id: str) -> None:
        timer = self._timers.pop(session_id, None)
        # A timer that ends its own session must not cancel itself half-way.
        if timer is not None and timer is not asyncio.current_task():
            timer.cancel()
