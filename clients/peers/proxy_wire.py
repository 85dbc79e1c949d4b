"""The traffic proxy's wire format, and its translation (`peer-contract` section 3)."""

from __future__ import annotations

from typing import Any

from pydantic import Field, ValidationError

from clients.http.control import Text, Wire
from domain.faults.capture import raw_path
from domain.traffic.driving import (
    AnalysisStatus,
    AnalysisTask,
    RecordedEntry,
    ServicePatterns,
)
from domain.traffic.exchange import RecordedExchange, ReplayedAnswer

_LARGEST = (1 << 31) - 1
"""Largest status that is accepted.

Integers in JSON are unbounded, in databases they are not.
"""


class WireMode(Wire):
    """A recorded request with its healthy answer."""

    method: str
    url: str
    request_headers: dict[str, Any] | None = Field(None, alias="requestHeaders")
    request_body: Text = Field(None, alias="requestBody")
    response_headers: dict[str, Any] | None = Field(None, alias="responseHeaders")
    response_body: Text = Field(None, alias="responseBody")
    response_status: int | None = Field(None, alias="responseStatus", ge=-_LARGEST, le=_LARGEST)


class WirePattern(Wire):
    """The recorded requests of one service."""

    service: str = Field(alias="serviceName")
    modes: Any = Field(None, alias="requestMode")
    """Requests, parsed later: one service's errors must not affect the others."""


class WireTask(Wire):
    """An analysis."""

    task_id: str | None = Field(None, alias="taskId")
    status: str | None = None
    message: str | None = None
    execution_id: int | None = None
    patterns: list[WirePattern] | None = Field(None, alias="requestPatterns")


class WireReplayed(Wire):
    """The answer to a replayed request."""

    url: str | None = None
    method: str | None = None
    status: int | None = Field(None, alias="statusCode", ge=-_LARGEST, le=_LARGEST)
    headers: dict[str, Any] | None = Field(None, alias="responseHeaders")
    body: Text = Field(None, alias="responseBody")
    error: Text = Field(None, alias="errorMessage")


class WireStarted(Wire):
    """A started recording."""

    recording_id: str = Field(alias="recordingId", strict=True, min_length=1)


class WireEntry(Wire):
    """A recorded request: flat, with pseudo headers from the sidecar's log."""

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
    """A session in the list of active sessions."""

    recording_id: Text = Field(None, alias="recordingId")
    id: Text = None
    namespace: str | None = None
    service: str | None = Field(None, alias="serviceName")


class WireCheck(Wire):
    """The answer about one service's sidecar."""

    recording: bool = Field(alias="isRecording", strict=True)
    recording_id: Text = Field(None, alias="recordingId")


def read_task(wire: WireTask) -> AnalysisTask:
    """Translate an analysis into our model."""
    patterns = [
        ServicePatterns(
            service=pattern.service,
            exchanges=[
                _exchange(pattern.service, position, mode) for position, mode in enumerate(_modes(pattern.modes))
            ],
        )
        for pattern in wire.patterns or []
    ]
    return AnalysisTask(
        task_id=wire.task_id or "",
        status=AnalysisStatus(wire.status or "OTHER"),
        execution_id=wire.execution_id,
        message=wire.message or "",
        patterns=patterns,
    )


def _modes(listed: object) -> list[WireMode]:
    """Read a service's recorded requests; none if any of them is unreadable."""
    # Skipping only the unreadable one would shift the others, and a replayed answer would be compared with another
    # request's answer.
    if not isinstance(listed, list):
        return []
    try:
        return [WireMode.model_validate(mode) for mode in listed]
    except ValidationError:
        return []


def _exchange(service: str, position: int, mode: WireMode) -> RecordedExchange:
    return RecordedExchange(
        service=service,
        position=position,
        method=mode.method,
        url=mode.url,
        path=raw_path(mode.url),
        request_headers=_flat_headers(mode.request_headers),
        request_body=mode.request_body or "",
        response_status=200 if mode.response_status is None else mode.response_status,
        response_headers=_flat_headers(mode.response_headers),
        response_body=mode.response_body or "",
    )


def _flat_headers(headers: dict[str, Any] | None) -> dict[str, str]:
    return {
        name: ",".join(str(item) for item in value if item is not None) if isinstance(value, list) else str(value)
        for name, value in (headers or {}).items()
        if value is not None
    }


def read_entry(wire: WireEntry) -> RecordedEntry:
    """Translate a recorded request into our model."""
    headers = _flat_headers(wire.request_headers)
    target = wire.path or headers.get(":path", "")
    return RecordedEntry(
        service=wire.service or "",
        method=wire.method or headers.get(":method", ""),
        path=raw_path(target),
        target=target,
        request_headers=_sent_headers(wire.request_headers),
        request_body=wire.request_body or "",
        request_truncated=wire.request_truncated or False,
        status=wire.status,
        response_headers=_sent_headers(wire.response_headers),
        response_body=wire.response_body or "",
        response_truncated=wire.response_truncated or False,
    )


def _sent_headers(headers: dict[str, Any] | None) -> dict[str, str]:
    return {name.lower(): value for name, value in _flat_headers(headers).items() if not name.startswith(":")}


def read_replayed(wire: WireReplayed) -> ReplayedAnswer:
    """Translate a replayed answer into our model; a missing status stays None."""
    headers = {
        name: [str(item) for item in (value if isinstance(value, list) else [value]) if item is not None]
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
