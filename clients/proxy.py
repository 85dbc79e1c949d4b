"""The traffic proxy (svc-reqrsp-proxy), as `peer-contract` section 3 describes it: analysis, replay, sessions."""

from __future__ import annotations

import re
from datetime import timedelta
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from clients.fixtures import Fixtures
from clients.http import PeerClient, PeerHttp, Text, Wire, segment
from workflows.contracts.errors import ErrorCode, HoldfastError
from workflows.contracts.exchange import RecordedExchange, ReplayedAnswer, Rule

CALL_TIMEOUT = timedelta(seconds=30)

_ORIGIN = re.compile(r"\A[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")


class AnalysisStatus(StrEnum):
    """States of an analysis; they are not monotonic."""

    INITIALIZING = "INITIALIZING"
    APPLYING_RULES = "APPLYING_RULES"
    ROLLING_UPDATE = "ROLLING_UPDATE"
    TRIGGERING_REQUESTS = "TRIGGERING_REQUESTS"
    COLLECTING_DATA = "COLLECTING_DATA"
    ANALYZING_PATTERNS = "ANALYZING_PATTERNS"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    NOT_FOUND = "NOT_FOUND"
    OTHER = "OTHER"
    """A state that this version does not know: waited out."""

    @classmethod
    def _missing_(cls, value: object) -> AnalysisStatus:
        return cls.OTHER

    @property
    def failed(self) -> bool:
        """It will never complete: it failed, or the proxy has lost it."""
        return self in (AnalysisStatus.FAILED, AnalysisStatus.NOT_FOUND)

    @property
    def completed(self) -> bool:
        """It is over, which does not mean that there is data."""
        return self is AnalysisStatus.COMPLETED

    @property
    def collecting(self) -> bool:
        """The proxy listens: now is the time to send the request."""
        return self is AnalysisStatus.COLLECTING_DATA


class ServicePatterns(BaseModel):
    """What was recorded of one service."""

    service: str
    exchanges: list[RecordedExchange]


class AnalysisTask(BaseModel):
    """An analysis as the proxy tells of it."""

    task_id: str
    status: AnalysisStatus
    execution_id: int | None
    message: str
    patterns: list[ServicePatterns]


class SidecarCheck(BaseModel):
    """Whether a service has a sidecar of a recording or of rules."""

    recording: bool
    recording_id: str | None = None


class ActiveSession(BaseModel):
    """One recording or rules session."""

    session_id: str
    namespace: str
    service: str


class _Mode(Wire):
    method: str
    url: str
    request_headers: dict[str, Any] | None = Field(None, alias="requestHeaders")
    request_body: Text = Field(None, alias="requestBody")
    response_headers: dict[str, Any] | None = Field(None, alias="responseHeaders")
    response_body: Text = Field(None, alias="responseBody")
    response_status: int | None = Field(None, alias="responseStatus")


class _Pattern(Wire):
    service: str = Field(alias="serviceName")
    modes: Any = Field(None, alias="requestMode")
    """Read apart: what is wrong with one service's must not cost the others theirs."""


class _Task(Wire):
    task_id: str | None = Field(None, alias="taskId")
    status: str | None = None
    message: str | None = None
    execution_id: int | None = None
    patterns: list[_Pattern] | None = Field(None, alias="requestPatterns")


class _Replayed(Wire):
    url: str | None = None
    method: str | None = None
    status: int | None = Field(None, alias="statusCode")
    headers: dict[str, Any] | None = Field(None, alias="responseHeaders")
    body: Text = Field(None, alias="responseBody")
    error: Text = Field(None, alias="errorMessage")


class _Session(Wire):
    recording_id: Text = Field(None, alias="recordingId")
    id: Text = None
    namespace: str | None = None
    service: str | None = Field(None, alias="serviceName")


class _Check(Wire):
    recording: bool = Field(alias="isRecording", strict=True)
    recording_id: Text = Field(None, alias="recordingId")


class ProxyClient(PeerClient):
    """Calls one proxy. Errors are `HoldfastError`: the PEER_ codes of `clients/http.py` and the ones named below."""

    def __init__(self, base_url: str, *, call_timeout: timedelta = CALL_TIMEOUT) -> None:
        super().__init__(PeerHttp("proxy", base_url, call_timeout))
        self._fixtures = Fixtures(self._http)

    async def analyze(
        self, *, req_def_id: int, namespace: str, services: list[str], execution_id: int, duration_seconds: int
    ) -> AnalysisTask:
        """Start an analysis; the caller sends the request itself once the proxy collects.

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
        task = _task(answer.read(_Task, answer.data(ErrorCode.ANALYZE_FAILED)))
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
        """How an analysis stands. An unknown one has the status NOT_FOUND.

        Raises:
            HoldfastError: ANALYZE_FAILED when the proxy says no: asking again would only wait out the whole time
                (`peer-contract` property 25).
        """
        answer = await self._http.call("GET", f"/api/request-patterns/tasks/{segment(task_id)}")
        return _task(answer.read(_Task, answer.data(ErrorCode.ANALYZE_FAILED)))

    async def replay(
        self, *, execution_id: int, namespace: str, service: str, longest: timedelta
    ) -> list[ReplayedAnswer]:
        """Replay a service's recorded requests, for real; empty when it has none.

        Raises:
            HoldfastError: REPLAY_FAILED when the proxy says no.
        """
        body = {"excution_id": execution_id, "namespace": namespace, "service_name": service}
        answer = await self._http.call("POST", "/api/request-patterns/replay", body=body, total=longest)
        data = answer.data(ErrorCode.REPLAY_FAILED)
        if isinstance(data, dict):
            data = [data]
        if data is not None and not isinstance(data, list):
            raise answer.error(ErrorCode.PEER_GARBAGE, "answered neither a list nor an object")
        # A null stays in its place: answers are matched with the recorded requests by position.
        return [_replayed(answer.read(_Replayed, {} if one is None else one)) for one in data or []]

    async def check(self, *, namespace: str, service: str) -> SidecarCheck:
        """Whether a service has a sidecar, of whomever."""
        answer = await self._http.call("GET", f"/api/interceptions/check/{segment(namespace)}/{segment(service)}")
        found = answer.read(_Check, answer.data(ErrorCode.PEER_ERROR))
        return SidecarCheck(recording=found.recording, recording_id=found.recording_id)

    async def active_sessions(self) -> list[ActiveSession]:
        """Every active session that has an id, recordings and rules of everyone."""
        answer = await self._http.call("GET", "/api/direct-tap/recordings/active/details")
        data = answer.data(ErrorCode.PEER_ERROR)
        listed = data.get("recordings", list(data.values())) if isinstance(data, dict) else data or []
        if not isinstance(listed, list):
            raise answer.error(ErrorCode.PEER_GARBAGE, "answered no list of sessions")
        sessions = [answer.read(_Session, one) for one in listed]
        return [
            ActiveSession(session_id=session_id, namespace=one.namespace or "", service=one.service or "")
            for one in sessions
            if (session_id := one.recording_id or one.id)
        ]

    async def stop_recording(self, recording_id: str) -> None:
        """Stop a recording; the proxy waits for a rollout meanwhile."""
        answer = await self._http.call("POST", f"/api/recordings/{segment(recording_id)}/stop")
        answer.data(ErrorCode.PEER_ERROR)

    async def upsert_rules(self, *, namespace: str, record_id: str, ttl_seconds: int, rules: list[Rule]) -> int:
        """See `Fixtures.upsert`."""
        return await self._fixtures.upsert(namespace, record_id, ttl_seconds, rules)

    async def rules_active(self, *, record_id: str, services: list[str]) -> set[str]:
        """See `Fixtures.active`."""
        return await self._fixtures.active(record_id, services)

    async def delete_rules(self, record_id: str) -> None:
        """See `Fixtures.delete`."""
        await self._fixtures.delete(record_id)


def _task(wire: _Task) -> AnalysisTask:
    patterns = [
        ServicePatterns(
            service=one.service,
            exchanges=[_exchange(one.service, position, mode) for position, mode in enumerate(_modes(one.modes))],
        )
        for one in wire.patterns or []
    ]
    return AnalysisTask(
        task_id=wire.task_id or "",
        status=AnalysisStatus(wire.status or "OTHER"),
        execution_id=wire.execution_id,
        message=wire.message or "",
        patterns=patterns,
    )


def _modes(listed: object) -> list[_Mode]:
    """A service's recorded requests; none when any is unreadable.

    Leaving out one alone would shift the others, and a replayed answer would be compared with another request's.
    """
    if not isinstance(listed, list):
        return []
    try:
        return [_Mode.model_validate(one) for one in listed]
    except ValidationError:
        return []


def _raw_path(url: str) -> str:
    """The path exactly as recorded. Not by `urlsplit`, which drops some characters and raises for some hosts."""
    return re.split(r"[?#]", _ORIGIN.sub("", url, count=1), maxsplit=1)[0] or "/"


def _exchange(service: str, position: int, mode: _Mode) -> RecordedExchange:
    return RecordedExchange(
        service=service,
        position=position,
        method=mode.method,
        url=mode.url,
        path=_raw_path(mode.url),
        request_headers=_flat(mode.request_headers),
        request_body=mode.request_body or "",
        response_status=200 if mode.response_status is None else mode.response_status,
        response_headers=_flat(mode.response_headers),
        response_body=mode.response_body or "",
    )


def _flat(headers: dict[str, Any] | None) -> dict[str, str]:
    return {
        name: ",".join(str(one) for one in value if one is not None) if isinstance(value, list) else str(value)
        for name, value in (headers or {}).items()
        if value is not None
    }


def _replayed(wire: _Replayed) -> ReplayedAnswer:
    headers = {
        name: [str(one) for one in (value if isinstance(value, list) else [value]) if one is not None]
        for name, value in (wire.headers or {}).items()
        if value is not None
    }
    return ReplayedAnswer(
        url=wire.url or "/",
        method=wire.method or "GET",
        status=wire.status or 0,
        headers=headers,
        body=wire.body or "",
        error_message=wire.error or "",
    )
