"""Wire types of `/api/request-patterns`."""

from enum import StrEnum
from typing import Annotated

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

from lab.envelope import WireModel

NonBlank = Annotated[str, StringConstraints(min_length=1, pattern=r"\S")]
_EXECUTION_ID = AliasChoices("execution_id", "excution_id", "record_id", "detection_task_id")


class TaskStatus(StrEnum):
    """States of an analysis.

    They are not monotonic: APPLYING_RULES comes twice.
    """

    INITIALIZING = "INITIALIZING"
    APPLYING_RULES = "APPLYING_RULES"
    ROLLING_UPDATE = "ROLLING_UPDATE"
    TRIGGERING_REQUESTS = "TRIGGERING_REQUESTS"
    COLLECTING_DATA = "COLLECTING_DATA"
    ANALYZING_PATTERNS = "ANALYZING_PATTERNS"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    NOT_FOUND = "NOT_FOUND"


class Analyze(BaseModel):
    """Body of `POST /api/request-patterns/analyze`."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel)

    req_def_id: int
    namespace: NonBlank
    service_list: list[NonBlank] = Field(min_length=1)
    execution_id: int = Field(validation_alias=_EXECUTION_ID)
    duration_sec: int = Field(default=1800, gt=0)
    auto_trigger_request: bool = False
    request_delay_seconds: int = 60
    request_count: int = 1
    request_timeout_seconds: int = 120


class Replay(BaseModel):
    """Body of `POST /api/request-patterns/replay`."""

    model_config = ConfigDict(extra="forbid")

    execution_id: int = Field(validation_alias=_EXECUTION_ID)
    namespace: NonBlank
    service_name: NonBlank


class Pattern(WireModel):
    """One distinct request to a service, with its recorded answer."""

    method: str
    url: str
    request_headers: dict[str, str]
    request_body: str
    response_headers: dict[str, str]
    response_body: str
    response_status: int
    response_time: float | None = None


class ServicePatterns(WireModel):
    """The requests that one service received."""

    service_name: str
    request_mode: list[Pattern]


class AnalysisTask(WireModel):
    """State and, in the end, result of an analysis.

    On the wire this is the RequestPatternResponse.
    """

    task_id: str
    status: TaskStatus
    message: str | None = None
    req_def_id: int | None = None
    namespace: str | None = None
    service_list: list[str] | None = None
    request_patterns: list[ServicePatterns] | None = None
    start_time: str | None = None
    end_time: str | None = None
    total_recorded_requests: int | None = None
    analyzed_services: int | None = None
    recording_id: str | None = None
    execution_id: Annotated[int | None, Field(alias="execution_id")] = None

    @property
    def over(self) -> bool:
        """Whether the analysis is over."""
        return self.status in {TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.NOT_FOUND}


class Replayed(WireModel):
    """Outcome of one replayed request."""

    url: str
    method: str
    response_body: str = ""
    status_code: int = 0
    response_headers: dict[str, list[str]] = {}
    error_message: str | None = None


class RequestDefinition(BaseModel):
    """A user's request, for `autoTriggerRequest`.

    It is set through the admin endpoint, because the lab has no database of them.
    """

    model_config = ConfigDict(extra="forbid")

    method: str = "GET"
    path: str
    headers: dict[str, str] = {}
    body: str | None = None
