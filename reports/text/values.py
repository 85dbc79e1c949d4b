"""Values as people read them, the same in every form.

These functions round and choose units; they compute nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from domain.cases.lines import TOO_SMALL
from reports.model.report import CaseState

NONE: Final = "–"
"""Shown if there is no value."""

FEW: Final = TOO_SMALL
"""Shown for a percentile that too few requests support."""

STATE_WORDS: Final[dict[CaseState, str]] = {
    CaseState.PASSED: "passed",
    CaseState.FAILED: "failed",
    CaseState.INCONCLUSIVE: "inconclusive",
    CaseState.UNJUDGED: "measured, not judged",
    CaseState.INVALID: "invalid",
    CaseState.SKIPPED: "skipped",
    CaseState.EXCLUDED: "excluded by the plan",
    CaseState.MISSING: "not reached",
}


def percent(value: float | None) -> str:
    """Format a percentage: `12.5%`.

    A value above 0 is never shown as 0, and a value below 100 never as 100.
    """
    if value is None:
        return NONE
    if 0 < value < 0.01:
        return "<0.01%"
    if 99.99 < value < 100:
        return ">99.99%"
    return f"{_plain(value, 2)}%"


def points(value: float | None) -> str:
    """Format percentage points with their sign: `+40 points`."""
    return NONE if value is None else f"{_sign(value)}{_plain(abs(value), 2)} points"


def times(value: float | None) -> str:
    """Format a ratio: `2.1×`."""
    if value is None:
        return NONE
    return f"{value:.2f}×" if value < 10 else f"{value:.0f}×"


def interval(low: float | None, high: float | None) -> str:
    """Format the bounds of a ratio: `1.1× to 1.4×`.

    With one bound missing: `at least 1.1×`, `at most 1.4×`.
    """
    if low is None or high is None:
        return NONE if low is high else f"at most {times(high)}" if low is None else f"at least {times(low)}"
    return f"{times(low)} to {times(high)}"


def milliseconds(value: float | None) -> str:
    """Format a latency in milliseconds, with at least three digits.

    Examples are `4.25 ms`, `42.5 ms` and `425 ms`. From 10 s on, seconds are shown: `12.3 s`.
    """
    if value is None:
        return NONE
    if value >= 9_999.5:
        return f"{value / 1000:.1f} s"
    # The limits are where rounding reaches the next power of ten.
    digits = 2 if value < 9.995 else 1 if value < 99.95 else 0
    return f"{value:.{digits}f} ms"


def more_milliseconds(value: float | None) -> str:
    """Format a difference of latencies, with its sign."""
    return NONE if value is None else _sign(value) + milliseconds(abs(value))


def seconds(value: float | None) -> str:
    """Format a duration in seconds: `0.4 s`, `12.3 s`.

    From a minute on: `2 min 5 s`, `1 h 2 min`.
    """
    if value is None:
        return NONE
    if value < 59.95:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def moment(value: datetime | None) -> str:
    """Format a time with its date, in UTC."""
    return NONE if value is None else f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def clock(value: datetime | None) -> str:
    """Format a time of day for a timeline, in UTC."""
    return NONE if value is None else f"{value.astimezone(UTC):%H:%M:%S}"


def state(value: CaseState) -> str:
    """Describe what became of a case."""
    return STATE_WORDS[value]


def together(case_id: str) -> str:
    """Format a case's id with room for line breaks: `cart + payment`."""
    return case_id.replace("+", " + ")


def count(value: int, singular: str, plural: str = "") -> str:
    """Format a count with its noun: `1 case`, `1,225 cases`."""
    return f"{value:,} {singular if value == 1 else plural or singular + 's'}"


def _plain(value: float, digits: int) -> str:
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _sign(value: float) -> str:
    return "+" if value > 0 else "−" if value < 0 else ""
