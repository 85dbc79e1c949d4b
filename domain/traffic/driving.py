"""What passes between Holdfast and a traffic driver."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel

from domain.traffic.exchange import RecordedExchange


class Can(StrEnum):
    """What a traffic driver can do besides answering by rules."""

    ANY_PATH = "any path"
    """A rule may match every path of a service, not only those that were recorded."""
    DELAY = "delay"
    """A rule may delay its answer."""
    RESET = "reset"
    """A rule may close the connection without an answer."""


class AnalysisStatus(StrEnum):
    """States of an analysis, which may also move backwards."""

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
    """A state that this version does not know: keep waiting."""

    @classmethod
    def _missing_(cls, value: object) -> AnalysisStatus:
        return cls.OTHER

    @property
    def failed(self) -> bool:
        """Whether it will never complete: it failed, or the proxy lost it."""
        return self in (AnalysisStatus.FAILED, AnalysisStatus.NOT_FOUND)

    @property
    def completed(self) -> bool:
        """Whether it is over, which does not mean that there is data."""
        return self is AnalysisStatus.COMPLETED

    @property
    def beginning(self) -> bool:
        """Whether it may still start to record a service.

        This holds whatever is stopped meanwhile (`peer-contract` section 3.1).
        """
        return self in (AnalysisStatus.INITIALIZING, AnalysisStatus.APPLYING_RULES, AnalysisStatus.ROLLING_UPDATE)

    @property
    def collecting(self) -> bool:
        """Whether the proxy is recording: send the request now."""
        return self is AnalysisStatus.COLLECTING_DATA


class ServicePatterns(BaseModel):
    """The recorded requests of one service."""

    service: str
    exchanges: list[RecordedExchange]


class AnalysisTask(BaseModel):
    """An analysis as the proxy reports it."""

    task_id: str
    status: AnalysisStatus
    execution_id: int | None
    message: str
    patterns: list[ServicePatterns]


class SidecarCheck(BaseModel):
    """Whether a service has a sidecar, for a recording or for rules."""

    recording: bool
    recording_id: str | None = None


class ActiveSession(BaseModel):
    """A recording or rules session."""

    session_id: str
    namespace: str
    service: str


class RecordedEntry(BaseModel):
    """A request that a service received during a recording."""

    service: str
    method: str
    path: str
    """Raw path, without query."""
    target: str
    """Path and query, as on the wire."""
    request_headers: dict[str, str]
    """Headers with lower-case names, without HTTP/2's pseudo headers."""
    request_body: str
    request_truncated: bool
    """Whether `request_body` is only the beginning."""
    status: int | None
    """Status of the answer. None: the proxy saw no answer."""
    response_headers: dict[str, str]
    response_body: str
    response_truncated: bool
