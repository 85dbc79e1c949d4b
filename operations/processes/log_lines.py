"""The worker's own log: one line per event, as JSON for a log collector or as text for people.

Nothing that peers, plans and services put into a record's text can change that.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar

from pydantic import BaseModel
from temporalio import activity, workflow

from activities.log_context import EXECUTION, LOGS_FAILURE
from clients.telemetry.tracing import current_spans
from domain.control_characters import visible
from domain.errors import ErrorCode, HoldfastError
from domain.names import execution_in

S = TypeVar("S", bound=StrEnum)

FORMAT = "HOLDFAST_LOG_FORMAT"
LEVEL = "HOLDFAST_LOG_LEVEL"

LINE = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_FURTHER = "\n    "
"""Starts every line of an entry but its first, tracebacks included.

No text can then forge a line that looks like an entry.
"""

_FAILURE = "ActivityFailure"
"""The SDK's own record of an activity that failed, with a stack trace."""


class LogFormat(StrEnum):
    """How the worker writes its log (`HOLDFAST_LOG_FORMAT`)."""

    TEXT = "text"
    JSON = "json"


class LogLevel(StrEnum):
    """The least important lines that the worker writes (`HOLDFAST_LOG_LEVEL`)."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Place(BaseModel):
    """Where a line was logged: in which execution, workflow and activity."""

    execution: int | None = None
    workflow: str | None = None
    """Workflow id: of a run, a window or a page."""
    workflow_type: str | None = None
    run_id: str | None = None
    activity: str | None = None
    attempt: int | None = None
    trace_id: str | None = None
    span_id: str | None = None

    def in_words(self) -> str:
        """Describe the place, shortly."""
        parts = [self.workflow, self.activity]
        parts += [f"attempt {self.attempt}"] if self.activity and (self.attempt or 1) > 1 else []
        parts += (
            [f"execution {self.execution}"] if self.execution and str(self.execution) not in (parts[0] or "") else []
        )
        return ", ".join(part for part in parts if part)


def place_of(record: logging.LogRecord) -> Place:
    """Return where a record was logged. It is called while the record is."""
    spans = current_spans()
    ids = spans.ids() if spans else None
    return _in_temporal(record).model_copy(update=ids._asdict() if ids else {})


def _in_temporal(record: logging.LogRecord) -> Place:
    if activity.in_activity():
        info = activity.info()
        return Place(
            execution=getattr(record, "execution", None) or EXECUTION.get() or execution_in(info.workflow_id or ""),
            workflow=info.workflow_id,
            workflow_type=info.workflow_type,
            run_id=info.workflow_run_id,
            activity=info.activity_type,
            attempt=info.attempt,
        )
    if workflow.in_workflow():
        run = workflow.info()
        return Place(
            execution=getattr(record, "execution", None) or execution_in(run.workflow_id),
            workflow=run.workflow_id,
            workflow_type=run.workflow_type,
            run_id=run.run_id,
            attempt=run.attempt,
        )
    return Place(execution=getattr(record, "execution", None))


class _AddPlace(logging.Filter):
    """Adds its place to each record, and drops duplicates."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.place = place_of(record)
        return not (getattr(record, "__temporal_error_identifier", "") == _FAILURE and LOGS_FAILURE.get())


class LineFormatter(logging.Formatter):
    """Text for people. Spells out control characters, and indents a record's lines after the first."""

    def __init__(self) -> None:
        super().__init__(LINE)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the library's name
        """Format a record without its exception, with its place."""
        place = getattr(record, "place", None)
        words = place.in_words() if place else ""
        return super().formatMessage(record) + (f" [{words}]" if words else "")

    def format(self, record: logging.LogRecord) -> str:
        """Format a record, with its exception and stack."""
        # Not `splitlines`: it also splits at characters that only some programs treat as line ends.
        return _FURTHER.join(visible(super().format(record).replace("\r\n", "\n")).split("\n"))


class JsonFormatter(logging.Formatter):
    """One JSON object on one line for each record, `docs/operations.md` lists its members."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record, with its exception and stack."""
        return self.format_cleaned(record, str)

    def format_cleaned(self, record: logging.LogRecord, cleaned: Callable[[str], str]) -> str:
        """Format a record whose sentences pass through `cleaned`. Ids stay as they are, and the JSON stays JSON."""
        facts: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": cleaned(record.getMessage()),
        }
        place = getattr(record, "place", None)
        facts |= place.model_dump(exclude_none=True) if place else {}
        if record.exc_info:
            facts["error"] = cleaned(self.formatException(record.exc_info))
        if record.stack_info:
            facts["stack"] = cleaned(self.formatStack(record.stack_info))
        # ASCII: line ends of every kind and characters that steer a terminal are escaped.
        return json.dumps(facts)


def log_to_stderr(environ: Mapping[str, str]) -> None:
    """Log to standard error, unless logging is set up: as text to a terminal, as JSON to anything else.

    Raises:
        HoldfastError: VALIDATION_ERROR for a setting with another value. Logging is set up all the same.
    """
    handler = logging.StreamHandler()
    handler.addFilter(_AddPlace())
    handler.setFormatter(LineFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    # What these would append to a message is in its place.
    activity.logger.activity_info_on_message = False
    workflow.logger.workflow_info_on_message = False
    usual = LogFormat.TEXT if sys.stderr is not None and sys.stderr.isatty() else LogFormat.JSON
    if _setting(environ, FORMAT, LogFormat, usual) is LogFormat.JSON:
        handler.setFormatter(JsonFormatter())
    level = _setting(environ, LEVEL, LogLevel, LogLevel.INFO)
    # At DEBUG, libraries log what they send and receive: headers, and the parameters of statements.
    logging.getLogger().setLevel(logging.INFO if level is LogLevel.DEBUG else level.value.upper())
    logging.getLogger("holdfast").setLevel(level.value.upper())


def _setting(environ: Mapping[str, str], name: str, kind: type[S], usual: S) -> S:
    given = environ.get(name)
    if not given:
        return usual
    try:
        return kind(given.lower())
    except ValueError as error:
        words = " or ".join(kind)
        raise HoldfastError(
            ErrorCode.VALIDATION_ERROR, f"environment variable {name} is {given[:40]!r}", hint=f"write {words}"
        ) from error
