"""Types that check a workflow's input, but only when the workflow starts.

Later reads skip the checks. A window that has switched something on must always be able to read its own input and
close, even on a worker whose bounds are stricter than those it started with. `workflows/execution/intake.py` alone
turns the checks on, by passing `Reading.AT_START` as validation context.
"""

from __future__ import annotations

import math
import re
import uuid
from collections.abc import Callable
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, ValidationInfo, ValidatorFunctionWrapHandler, WrapValidator

from domain.base import UnfitError
from domain.units import LONGEST


class Reading(StrEnum):
    """Validation context for pydantic: why an input is read."""

    AT_START = "at_start"
    """A workflow is about to begin with the input. All other reading is lenient and passes no context."""


def is_start(info: ValidationInfo) -> bool:
    """Return whether a workflow is about to start with this input."""
    return info.context is Reading.AT_START


def at_start(check: Callable[[Any], None]) -> AfterValidator:
    """Restrict a check of a value to the start of a workflow.

    The check raises `UnfitError`.
    """

    def checked(value: Any, info: ValidationInfo) -> Any:
        if is_start(info):
            check(value)
        return value

    return AfterValidator(checked)


MOST_SERVICES = 1_000
"""Services of one plan."""
MOST_CASES = 1 + MOST_SERVICES + MOST_SERVICES * (MOST_SERVICES - 1) // 2
"""Cases of one plan: the baseline, each single service, and each pair."""
MOST_BATCHES = 1_000
"""Batches of one page. Keeps its history short."""
MOST_AT_ONCE = 16
"""Batches that are measured at once, by `load.batches_at_once`."""
LARGEST_ID = 2**53 - 1
"""Largest id of an execution: 53 bits."""

LONGEST_HOLD = LONGEST + timedelta(hours=1)
"""Longest time that a window holding something itself may be open. A recording window has the longest:
`timeouts.analyze`, at most 7 days, and a few minutes for the analysis to begin."""

LONGEST_BATCH = timedelta(days=365 * 1_000)
"""Longest time of a batch. A plan may allow 10 years of load if every request times out. On top of that, a batch has
its warm-up, and may send only a share of the load. Temporal's own limit is ten times as much."""

SHORTEST_INTERVAL = timedelta(milliseconds=10)
"""Shortest interval of Holdfast itself. Polling more often would be a flood."""
LONGEST_INTERVAL = timedelta(hours=1)

LONGEST_TEXT = 1_000
"""Characters in a workflow id, as many as the server allows."""

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_RECORD = re.compile(r"hf[0-9a-z]{1,11}x")


def seconds_between(least: float, most: timedelta) -> AfterValidator:
    """Require finite seconds, above `least` and at most `most`."""

    def check(value: float) -> None:
        if not math.isfinite(value):
            raise UnfitError("must be a finite number of seconds", "it bounds how long something may stay on")
        if not least < value <= most.total_seconds():
            raise UnfitError(f"{value:g} is not a time that a plan can ask for", _above(least, most))

    return at_start(check)


def _above(least: float, most: timedelta) -> str:
    return f"above {least:g} and at most {most.total_seconds():.0f} seconds"


def _check_interval(value: timedelta) -> None:
    if not SHORTEST_INTERVAL <= value <= LONGEST_INTERVAL:
        shortest, longest = SHORTEST_INTERVAL.total_seconds(), LONGEST_INTERVAL.total_seconds()
        raise UnfitError(
            "is not an interval that a worker can keep", f"at least {shortest:g} and at most {longest:g} s"
        )


def _check_pause(value: timedelta) -> None:
    if value != timedelta(0):
        _check_interval(value)


def number_between(least: int, most: int) -> AfterValidator:
    """Require a whole number from `least` to `most`."""

    def check(value: int) -> None:
        if not least <= value <= most:
            raise UnfitError("is out of bounds", f"at least {least} and at most {most}")

    return at_start(check)


def _check_text(value: str) -> None:
    if not value or len(value) > LONGEST_TEXT or not value.isprintable():
        raise UnfitError("must be printable text", f"1 to {LONGEST_TEXT} characters on one line")


def _check_name(value: str) -> None:
    if not _NAME.fullmatch(value):
        raise UnfitError("is not a name", "lower-case letters, digits and hyphens, at most 63")


def _check_name_or_nothing(value: str) -> None:
    if value:
        _check_name(value)


def _check_record(value: str) -> None:
    if not _RECORD.fullmatch(value):
        raise UnfitError("is not a record id", "hf, up to 11 digits in base 36, x")


def _check_run_id(value: str) -> None:
    try:
        canonical = str(uuid.UUID(value))
    except ValueError:
        canonical = ""
    if not canonical or canonical != value.lower():
        raise UnfitError("is not a run id", "the server's run ids are UUIDs")


def at_most(count: int) -> WrapValidator:
    """Require a list of at most `count` values, before reading them."""

    def checked(value: Any, handler: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
        if is_start(info) and isinstance(value, list) and len(value) > count:
            raise UnfitError("has too many values", f"at most {count}")
        return handler(value)

    return WrapValidator(checked)


Interval = Annotated[timedelta, at_start(_check_interval)]
"""An interval of Holdfast itself that a worker can keep."""

Pause = Annotated[timedelta, at_start(_check_pause)]
"""An `Interval`, or 0."""

HoldSeconds = Annotated[float, seconds_between(0, LONGEST_HOLD)]
"""How long something may be switched on."""

BatchSeconds = Annotated[float, seconds_between(0, LONGEST_BATCH)]
"""Upper bound on the time of one batch."""

ExecutionId = Annotated[int, number_between(1, LARGEST_ID)]
"""Id of a run, 53 bits."""

ContentId = Annotated[int, number_between(0, 2**63 - 1)]
"""Id by which the peers know a plan or its request."""

CaseIndex = Annotated[int, number_between(0, MOST_CASES)]
"""Index of a case, or the end of a range of cases."""

Text = Annotated[str, at_start(_check_text)]
"""Printable text on one line, such as a workflow id."""

RunId = Annotated[str, at_start(_check_run_id)]
"""Id of one run of a workflow."""

Label = Annotated[str, at_start(_check_name)]
"""Name of a service or a namespace (`domain.plans.system.Name`)."""

LabelOrNone = Annotated[str, at_start(_check_name_or_nothing)]
"""A `Label`, or empty."""

RecordId = Annotated[str, at_start(_check_record)]
"""Record id of a run's rules at the proxy."""

Services = Annotated[list[Label], at_most(MOST_SERVICES)]
"""Names of a plan's services."""
