"""What the traffic proxy says on the wire, and what it means (`peer-contract` section 3)."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from clients.http import Text, Wire
from workflows.contracts.exchange import RecordedExchange, ReplayedAnswer
from workflows.logic.capture import raw_path

_LARGEST = (1 << 31) - 1
"""Of a status: JSON has integers of any length, databases do not."""


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
    def beginning(self) -> bool:
        """It may still begin to record a service, whatever is stopped meanwhile (`peer-contract` section 3.1)."""
        return self in (AnalysisStatus.INITIALIZING, AnalysisStatus.APPLYING_RULES, AnalysisStatus.ROLLING_UPDATE)

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


class RecordedEntry(BaseModel):
    """One request that a service received while a recording was on, in the order in which they were collected."""

    service: str
    method: str
    path: str
    """Raw, without query."""
    target: str
    """Path and query, as on the wire."""
    request_headers: dict[str, str]
    """Lower-case names, without HTTP/2's pseudo headers."""
    request_body: str
    request_truncated: bool
    """Whether `request_body` is only the beginning."""
    status: int | None
    """None: the proxy saw no answer."""
    response_headers: dict[str, str]
    response_body: str
    response_truncated: bool


class WireMode(Wire):
    """One recorded request with its healthy answer."""

    method: str
    url: str
    request_headers: dict[str, Any] | None = Field(None, alias="requestHeaders")
    request_body: Text = Field(None, alias="requestBody")
    response_headers: dict[str, Any] | None = Field(None, alias="responseHeaders")
    response_body: Text = Field(None, alias="responseBody")
    response_status: int | None = Field(None, alias="responseStatus", ge=-_LARGEST, le=_LARGEST)


class WirePattern(Wire):
    """What was recorded of one service."""

    service: str = Field(alias="serviceName")
    modes: Any = Field(None, alias="requestMode")
    """Read apart: what is wrong with one service's must not cost the others theirs."""


class WireTask(Wire):
    """An analysis."""

    task_id: str | None = Field(None, alias="taskId")
    status: str | None = None
    message: str | None = None
    execution_id: int | None = None
    patterns: list[WirePattern] | None = Field(None, alias="requestPatterns")


class WireReplayed(Wire):
    """One replayed request's answer."""

    url: str | None = None
    method: str | None = None
    status: int | None = Field(None, alias="statusCode", ge=-_LARGEST, le=_LARGEST)
    headers: dict[str, Any] | None = Field(None, alias="responseHeaders")
    body: Text = Field(None, alias="responseBody")
    error: Text = Field(None, alias="errorMessage")


class WireStarted(Wire):
    """A recording that was started."""

    recording_id: str = Field(alias="recordingId", strict=True, min_length=1)


class WireEntry(Wire):
    """One recorded request: flat, and with the pseudo headers of the sidecar's log."""

    service: str | None = Field(None, alias="serviceName")
    method: str | None = Field(None, strict=True)
    path: str | None = Field(None, strict=True)
    status: int | None = Field(None, strict=True, ge=-_LARGEST, le=_LARGEST)
    request_headers: dict[str, Any] | None = Field(None, alias="requestHeaders")
    request_body: Text = Field(None, alias="requestBody")
    request_truncated: bool | None = Field(None, alias="requestTruncated", strict=True)
    response_headers: dict[str, Any] | None = Field(None, alias="responseHeaders")
    response_body: Text = Field(None, alias="responseBody")
    response_truncated: bool | None = Field(None, alias="responseTruncated", strict=True)


class WireSession(Wire):
    """A session in the list of active ones."""

    recording_id: Text = Field(None, alias="recordingId")
    id: Text = None
    namespace: str | None = None
    service: str | None = Field(None, alias="serviceName")


class WireCheck(Wire):
    """The answer about one service's sidecar."""

    recording: bool = Field(alias="isRecording", strict=True)
    recording_id: Text = Field(None, alias="recordingId")


def read_task(wire: WireTask) -> AnalysisTask:
    """In our words."""
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


def _modes(listed: object) -> list[WireMode]:
    """A service's recorded requests; none when any is unreadable.

    Leaving out one alone would shift the others, and a replayed answer would be compared with another request's.
    """
    if not isinstance(listed, list):
        return []
    try:
        return [WireMode.model_validate(one) for one in listed]
    except ValidationError:
        return []


def _exchange(service: str, position: int, mode: WireMode) -> RecordedExchange:
    return RecordedExchange(
        service=service,
        position=position,
        method=mode.method,
        url=mode.url,
        path=raw_path(mode.url),
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


def read_entry(wire: WireEntry) -> RecordedEntry:
    """In our words."""
    pseudo = _flat(wire.request_headers)
    target = wire.path or pseudo.get(":path", "")
    return RecordedEntry(
        service=wire.service or "",
        method=wire.method or pseudo.get(":method", ""),
        path=raw_path(target),
        target=target,
        request_headers=_sent(wire.request_headers),
        request_body=wire.request_body or "",
        request_truncated=wire.request_truncated or False,
        status=wire.status,
        response_headers=_sent(wire.response_headers),
        response_body=wire.response_body or "",
        response_truncated=wire.response_truncated or False,
    )


def _sent(headers: dict[str, Any] | None) -> dict[str, str]:
    return {name.lower(): value for name, value in _flat(headers).items() if not name.startswith(":")}


def read_replayed(wire: WireReplayed) -> ReplayedAnswer:
    """In our words; no status where the wire has none."""
    headers = {
        name: [str(one) for one in (value if isinstance(value, list) else [value]) if one is not None]
        for name, value in (wire.headers or {}).items()
        if value is not None
    }
    return ReplayedAnswer(
        url=wire.url or "/",
        method=wire.method or "GET",
        status=wire.status,
        headers=headers,
        body=wire.body or "",
        error_message=wire.error or "",
    )
