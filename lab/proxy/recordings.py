"""`/api/recordings`, `/api/direct-tap` and `/api/interceptions`: sessions seen and steered one by one."""

import asyncio

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from lab.cluster import Cluster, UnknownServiceError
from lab.envelope import failure, read_model, success
from lab.proxy.sessions import Session, Sessions, SessionStatus
from lab.sidecar import SIDECAR_PORT, Exchange, RecordRule, Rule, SidecarKind


class StartRecording(BaseModel):
    """Body of `POST /api/recordings/start`."""

    model_config = ConfigDict(extra="forbid")

    namespace: str = Field(min_length=1)
    service_name: str = Field(min_length=1, alias="serviceName")
    app_port: int | None = Field(default=None, alias="appPort")
    rules: list[RecordRule] = Field(min_length=1)
    duration_sec: int | None = Field(default=None, gt=0, alias="durationSec")


def _rule(rule: Rule) -> dict[str, object]:
    return {"path": rule.path, "method": rule.method, "baggageTokens": list(rule.tokens)}


def details(session: Session, *, ready: bool) -> dict[str, object]:
    """Describe a session as the peer does."""
    recorder = session.recorder
    return {
        "recordingId": session.id,
        "namespace": session.namespace,
        "serviceName": session.service,
        "status": session.status.value,
        "startedAt": session.started_at.isoformat(),
        "stoppedAt": None if session.stopped_at is None else session.stopped_at.isoformat(),
        "rules": [rule.model_dump() for rule in recorder.rules] if recorder else [],
        "interceptionRules": [_rule(rule) for rule in session.rules],
        "configMapName": session.config,
        "deploymentName": session.service,
        "appPortOriginal": session.app_port,
        "envoyPort": SIDECAR_PORT,
        "entryCount": len(recorder.exchanges) if recorder else 0,
        "deploymentStatus": "READY" if ready else "NOT_READY",
        "serviceStatus": "READY" if ready else "NOT_READY",
        "errorMessage": None,
    }


def _entry(exchange: Exchange) -> dict[str, object]:
    return {
        "request": {
            "method": exchange.method,
            "path": exchange.target,
            "headers": exchange.request_headers,
            "body": exchange.request_body,
        },
        "response": {
            "status": exchange.status,
            "headers": exchange.response_headers,
            "body": exchange.response_body,
        },
    }


class RecordingApi:
    """Handlers of the session endpoints."""

    def __init__(self, cluster: Cluster, sessions: Sessions) -> None:
        self._cluster = cluster
        self._sessions = sessions

    async def start(self, request: web.Request) -> web.Response:
        """Start one recording; answers when the rollout is over."""
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
        """List what one recording saw."""
        session = self._sessions.recording(request.match_info["id"])
        if session is None or session.recorder is None:
            return failure("500", f"Failed to get entries: Recording not found: {request.match_info['id']}")
        try:
            offset, limit = int(request.query.get("offset", "0")), int(request.query.get("limit", "50"))
        except ValueError:
            return failure("400", "offset and limit must be numbers", 400)
        return success([_entry(exchange) for exchange in session.recorder.exchanges[offset : offset + limit]])

    async def active_details(self, _request: web.Request) -> web.Response:
        """List every active session, rules included."""
        return success([self._details(session) for session in self._sessions.active()])

    async def active_ids(self, _request: web.Request) -> web.Response:
        """List the ids of every active session."""
        return success([session.id for session in self._sessions.active()])

    async def check(self, request: web.Request) -> web.Response:
        """Say whether anything is on in one service."""
        namespace, service = request.match_info["namespace"], request.match_info["service"]
        found = [s for s in self._sessions.active() if (s.namespace, s.service) == (namespace, service)]
        if not found:
            message = "Service is not in recording mode"
            return success({"namespace": namespace, "serviceName": service, "isRecording": False, "message": message})
        known = self._details(found[0])
        copied = {
            key: known[key] for key in ("namespace", "serviceName", "recordingId", "interceptionRules", "startedAt")
        }
        message = "Service is currently in recording mode"
        return success({**copied, "isRecording": True, "recordingRules": known["rules"], "message": message})

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

    def _details(self, session: Session) -> dict[str, object]:
        ready = session.status is not SessionStatus.RECORDING
        return details(session, ready=ready or self._cluster.host(session.service, session.namespace).ready)
