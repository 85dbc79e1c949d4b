"""Session endpoints: recordings, direct taps and interceptions, one by one.

They are `/api/recordings`, `/api/direct-tap` and `/api/interceptions`.
"""

import asyncio
from datetime import datetime

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from lab.envelope import WireModel, failure, read_model, success
from lab.proxy.entries import entry_of
from lab.proxy.sessions import Session, Sessions, SessionStatus
from lab.services.cluster import Cluster, UnknownServiceError
from lab.services.sidecar import SIDECAR_PORT, RecordRule, SidecarKind


class StartRecording(BaseModel):
    """Body of `POST /api/recordings/start`."""

    model_config = ConfigDict(extra="forbid")

    namespace: str = Field(min_length=1)
    service_name: str = Field(min_length=1, alias="serviceName")
    app_port: int | None = Field(default=None, alias="appPort")
    rules: list[RecordRule] = Field(min_length=1)
    duration_sec: int | None = Field(default=None, gt=0, alias="durationSec")


class InterceptionRule(WireModel):
    """One rule, as the session endpoints report it."""

    path: str
    method: str
    baggage_tokens: tuple[str, ...]


class SessionDetails(WireModel):
    """One session, as the session endpoints report it."""

    recording_id: str
    namespace: str
    service_name: str
    status: SessionStatus
    started_at: datetime
    stopped_at: datetime | None
    rules: list[RecordRule]
    interception_rules: list[InterceptionRule]
    config_map_name: str
    deployment_name: str
    app_port_original: int
    envoy_port: int = SIDECAR_PORT
    entry_count: int
    deployment_status: str
    service_status: str
    error_message: str | None = None


def details(session: Session, *, ready: bool) -> SessionDetails:
    """Describe a session as the peer does."""
    recorder = session.recorder
    rules = [InterceptionRule(path=r.path, method=r.method, baggage_tokens=r.tokens) for r in session.rules]
    return SessionDetails(
        recording_id=session.id,
        namespace=session.namespace,
        service_name=session.service,
        status=session.status,
        started_at=session.started_at,
        stopped_at=session.stopped_at,
        rules=recorder.rules if recorder else [],
        interception_rules=rules,
        config_map_name=session.config,
        deployment_name=session.service,
        app_port_original=session.app_port,
        entry_count=len(recorder.exchanges) if recorder else 0,
        deployment_status="READY" if ready else "NOT_READY",
        service_status="READY" if ready else "NOT_READY",
    )


class Check(WireModel):
    """Whether anything is active in one service."""

    namespace: str
    service_name: str
    is_recording: bool = False
    recording_id: str | None = None
    recording_rules: list[RecordRule] | None = None
    interception_rules: list[InterceptionRule] | None = None
    started_at: datetime | None = None
    message: str = "Service is not in recording mode"


class RecordingApi:
    """Handlers of the session endpoints."""

    def __init__(self, cluster: Cluster, sessions: Sessions) -> None:
        self._cluster = cluster
        self._sessions = sessions

    async def start(self, request: web.Request) -> web.Response:
        """Start one recording, and answer once the rollout is over."""
        wanted = await read_model(request, StartRecording)
        try:
            session = await self._sessions.record(
                wanted.namespace, wanted.service_name, wanted.rules, wanted.duration_sec
            )
        except UnknownServiceError as error:
            return failure("500", f"Failed to start recording: {error}")
        await asyncio.sleep(self._cluster.settings.rollout)
        return success({"recordingId": session.id, "status": "RUNNING", "message": "Recording started successfully"})

    async def stop(self, request: web.Request) -> web.Response:
        """Stop one recording."""
        recording_id = request.match_info["id"]
        session = self._sessions.recording(recording_id)
        if session is None:
            return failure("500", f"Failed to stop recording: Recording not found: {recording_id}")
        await self._sessions.stop_recording(recording_id, "stopped by call")
        return success({"recordingId": recording_id, "status": "STOPPED", "message": "Recording stopped successfully"})

    async def get(self, request: web.Request) -> web.Response:
        """Describe one recording."""
        session = self._sessions.recording(request.match_info["id"])
        if session is None:
            return failure("500", f"Failed to get recording status: Recording not found: {request.match_info['id']}")
        return success(self._details(session))

    async def entries(self, request: web.Request) -> web.Response:
        """List what was collected of one recording so far.

        A stopped recording has no entries, because the peer deletes its state.
        """
        session = self._sessions.get(request.match_info["id"])
        if session is None or session.recorder is None:
            return failure("500", f"Failed to get entries: Recording not found: {request.match_info['id']}")
        try:
            offset = int(request.query.get("offset", "0"))
            limit = int(request.query.get("limit", "50"))
        except ValueError:
            return failure("400", "offset and limit must be numbers", 400)
        collected = session.recorder.collected(self._cluster.settings.collect_every)
        return success([entry_of(session, exchange) for exchange in collected[offset : offset + limit]])

    async def active_details(self, _request: web.Request) -> web.Response:
        """List every active session, including its rules."""
        return success([self._details(session) for session in self._sessions.active()])

    async def active_ids(self, _request: web.Request) -> web.Response:
        """List the ids of every active session."""
        return success([session.id for session in self._sessions.active()])

    async def check(self, request: web.Request) -> web.Response:
        """Report whether anything is active in one service."""
        namespace = request.match_info["namespace"]
        service = request.match_info["service"]
        found = [s for s in self._sessions.active() if (s.namespace, s.service) == (namespace, service)]
        if not found:
            return success(Check(namespace=namespace, service_name=service))
        known = self._details(found[0])
        return success(
            Check(
                namespace=namespace,
                service_name=service,
                is_recording=True,
                recording_id=known.recording_id,
                recording_rules=known.rules,
                interception_rules=known.interception_rules,
                started_at=known.started_at,
                message="Service is currently in recording mode",
            )
        )

    async def interceptions(self, _request: web.Request) -> web.Response:
        """List every active session with rules."""
        return success(
            [
                {
                    "sessionId": session.id,
                    "namespace": session.namespace,
                    "serviceName": session.service,
                    "interceptionRulesCount": len(session.rules),
                    "recordingRulesCount": 0,
                    "startedAt": session.started_at.isoformat(),
                    "mode": "INTERCEPTION_ONLY",
                }
                for session in self._sessions.active()
                if session.kind is SidecarKind.RULES
            ]
        )

    def _details(self, session: Session) -> SessionDetails:
        ready = session.status is not SessionStatus.RECORDING
        return details(session, ready=ready or self._cluster.host(session.service, session.namespace).ready)
