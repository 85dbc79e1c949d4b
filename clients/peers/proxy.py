"""The traffic proxy (svc-reqrsp-proxy): analysis, replay, sessions.

Its API is described in `peer-contract` section 3.
"""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from clients.http.control import PeerClient, PeerHttp, Shown, cut_short, segment
from clients.peers.fixtures import Fixtures
from clients.peers.proxy_wire import (
    WireCheck,
    WireEntry,
    WireReplayed,
    WireSession,
    WireStarted,
    WireTask,
    read_entry,
    read_replayed,
    read_task,
)
from domain.errors import ErrorCode, HoldfastError
from domain.traffic.driving import ActiveSession, AnalysisTask, Can, RecordedEntry, SidecarCheck
from domain.traffic.exchange import ReplayedAnswer, Rule

CALL_TIMEOUT = timedelta(seconds=30)
RECORDED_METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH")
"""Methods of requests that a recording captures.

They are the same as in an analysis (`peer-contract` section 3.1).
"""
STOP_TIMEOUT = timedelta(seconds=330)
"""Limit for stopping a recording.

The proxy waits for a rollout, up to 5 minutes (`peer-contract` section 3.1).
"""


class ProxyClient(PeerClient):
    """A client of one proxy: the traffic driver for recordings and rules of svc-reqrsp-proxy.

    Errors are `HoldfastError`, with PEER_ codes (`clients/http/control.py`) or those named below.
    """

    can: ClassVar[frozenset[Can]] = frozenset()

    def __init__(self, base_url: str, *, call_timeout: timedelta = CALL_TIMEOUT, shown: Shown = cut_short) -> None:
        super().__init__(PeerHttp("proxy", base_url, call_timeout, shown))
        self._address = base_url
        self._fixtures = Fixtures(self._http)

    @property
    def address(self) -> str:
        """The proxy's base address."""
        return self._address

    def by_hand(self, name: str) -> str:
        """Return the command with which a person deletes the rules of a record id."""
        return f"curl -X DELETE {self._address}/api/fixtures/record/{name}"

    async def analyze(
        self, *, req_def_id: int, namespace: str, services: list[str], execution_id: int, duration_seconds: int
    ) -> AnalysisTask:
        """Start an analysis; the caller sends the request once the proxy collects.

        Raises:
            HoldfastError: ANALYZE_FAILED when refused; ANALYZE_CONFLICT when the proxy answers with another
                execution's analysis, as it does for equal calls within 60 s.
        """
        body = {
            "reqDefId": req_def_id,
            "namespace": namespace,
            "serviceList": services,
            # The typo is the peer's own: this is the key that the original sends (`stages` section 6).
            "excution_id": execution_id,
            "durationSec": duration_seconds,
            "autoTriggerRequest": False,
            "requestDelaySeconds": 0,
            "requestCount": 1,
        }
        answer = await self._http.call("POST", "/api/request-patterns/analyze", body=body)
        task = read_task(answer.read(WireTask, answer.data(ErrorCode.ANALYZE_FAILED)))
        if task.execution_id is not None and task.execution_id != execution_id:
            raise HoldfastError(
                ErrorCode.ANALYZE_CONFLICT,
                f"the proxy answered with the analysis of execution {task.execution_id}, not {execution_id}",
                hint="it forgets an equal analysis after 60 s",
            )
        if not task.task_id:
            raise HoldfastError(ErrorCode.ANALYZE_FAILED, "the proxy accepted the analysis without a task id")
        return task

    async def analysis(self, task_id: str) -> AnalysisTask:
        """Return the state of an analysis; NOT_FOUND for an unknown one.

        Raises:
            HoldfastError: ANALYZE_FAILED when the proxy answers `success: false`: a retry would only use up the whole
                timeout (`peer-contract` property 25).
        """
        answer = await self._http.call("GET", f"/api/request-patterns/tasks/{segment(task_id)}")
        return read_task(answer.read(WireTask, answer.data(ErrorCode.ANALYZE_FAILED)))

    async def replay(
        self, *, execution_id: int, namespace: str, service: str, longest: timedelta
    ) -> list[ReplayedAnswer]:
        """Replay a service's recorded requests for real; return their answers.

        The list is empty if the service has no recorded requests.

        Raises:
            HoldfastError: REPLAY_FAILED when the proxy answers `success: false`.
        """
        body = {"excution_id": execution_id, "namespace": namespace, "service_name": service}
        answer = await self._http.call("POST", "/api/request-patterns/replay", body=body, total=longest)
        data = answer.data(ErrorCode.REPLAY_FAILED)
        if isinstance(data, dict):
            data = [data]
        if data is not None and not isinstance(data, list):
            raise answer.error(ErrorCode.PEER_GARBAGE, "answered neither a list nor an object")
        # Keep the place of a null: answers are matched with the recorded requests by position.
        return [read_replayed(answer.read(WireReplayed, {} if item is None else item)) for item in data or []]

    async def check(self, *, namespace: str, service: str) -> SidecarCheck:
        """Check whether a service has a sidecar, ours or anyone else's."""
        answer = await self._http.call("GET", f"/api/interceptions/check/{segment(namespace)}/{segment(service)}")
        found = answer.read(WireCheck, answer.data(ErrorCode.PEER_ERROR))
        return SidecarCheck(recording=found.recording, recording_id=found.recording_id)

    async def active_sessions(self) -> list[ActiveSession]:
        """Return every active session that has an id.

        They are recordings and rules, ours and anyone else's.
        """
        answer = await self._http.call("GET", "/api/direct-tap/recordings/active/details")
        data = answer.data(ErrorCode.PEER_ERROR)
        listed = data.get("recordings", list(data.values())) if isinstance(data, dict) else data or []
        if not isinstance(listed, list):
            raise answer.error(ErrorCode.PEER_GARBAGE, "answered no list of sessions")
        sessions = [answer.read(WireSession, item) for item in listed]
        return [
            ActiveSession(session_id=session_id, namespace=session.namespace or "", service=session.service or "")
            for session in sessions
            if (session_id := session.recording_id or session.id)
        ]

    async def start_recording(self, *, namespace: str, service: str, duration_seconds: int, longest: timedelta) -> str:
        """Record every request of one service; return the recording's id.

        The proxy answers once the rollout is over. Never retry this call: a second recording would mistake the first
        one's port for the application's (`peer-contract` section 3.3).

        Raises:
            HoldfastError: PEER_ERROR when the proxy answers `success: false`; PEER_ codes when the outcome is unknown.
        """
        body = {
            "namespace": namespace,
            "serviceName": service,
            "rules": [{"path": "/", "method": method} for method in RECORDED_METHODS],
            "durationSec": duration_seconds,
        }
        answer = await self._http.call("POST", "/api/recordings/start", body=body, total=longest)
        return answer.read(WireStarted, answer.data(ErrorCode.PEER_ERROR)).recording_id

    async def recorded(self, recording_id: str, offset: int, limit: int) -> list[RecordedEntry]:
        """List the collected entries of a running recording, oldest first.

        The proxy does not know a recording that has stopped.

        Raises:
            HoldfastError: PEER_ERROR when the proxy answers `success: false`; PEER_GARBAGE when an entry cannot be
                read.
        """
        path = f"/api/recordings/{segment(recording_id)}/entries"
        answer = await self._http.call("GET", path, params={"offset": offset, "limit": limit})
        listed = answer.data(ErrorCode.PEER_ERROR)
        if listed is None:
            return []
        if not isinstance(listed, list):
            raise answer.error(ErrorCode.PEER_GARBAGE, "answered no list of entries")
        if len(listed) > limit:
            # A proxy that ignores the limit may ignore the offset as well, and paging would never end.
            raise answer.error(
                ErrorCode.PEER_GARBAGE, f"answered {len(listed)} entries where at most {limit} were requested"
            )
        entries = [read_entry(answer.read(WireEntry, entry)) for entry in listed]
        if not all(entry.method and entry.target for entry in entries):
            # Skipping such an entry would hide a call.
            raise answer.error(ErrorCode.PEER_GARBAGE, "answered an entry without method or path")
        return entries

    async def stop_recording(self, recording_id: str, longest: timedelta = STOP_TIMEOUT) -> None:
        """Stop a recording; the proxy answers after a rollout."""
        answer = await self._http.call("POST", f"/api/recordings/{segment(recording_id)}/stop", total=longest)
        answer.data(ErrorCode.PEER_ERROR)

    async def upsert_rules(
        self, *, namespace: str, record_id: str, ttl_seconds: int, rules: list[Rule], longest: timedelta
    ) -> int:
        """See `Fixtures.upsert`."""
        return await self._fixtures.upsert(namespace, record_id, ttl_seconds, rules, longest)

    async def rules_active(self, *, record_id: str, services: list[str]) -> set[str]:
        """See `Fixtures.active`."""
        return await self._fixtures.active(record_id, services)

    async def delete_rules(self, record_id: str) -> None:
        """See `Fixtures.delete`."""
        await self._fixtures.delete(record_id)
