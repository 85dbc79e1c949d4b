"""Values as people read them, the same in every form: they round and choose units, and compute nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from domain.cases.lines import TOO_SMALL
from reports.model.report import CaseState

NONE: Final = "–"
"""Stands where there is no value."""

FEW: Final = TOO_SMALL
"""Stands where a percentile would, of which so few requests say nothing."""

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
    """`12.5%`; what is above 0 is never shown as 0, and what is below 100 never as 100."""
    if value is None:
        return NONE
    if 0 < value < 0.01:
        return "<0.01%"
    if 99.99 < value < 100:
        return ">99.99%"
    return f"{_plain(value, 2)}%"


def points(value: float | None) -> str:
    """Percentage points with their sign: `+40 points`."""
    return NONE if value is None else f"{_sign(value)}{_plain(abs(value), 2)} points"


def times(value: float | None) -> str:
    """A ratio: `2.1×`."""
    if value is None:
        return NONE
    return f"{value:.2f}×" if value < 10 else f"{value:.0f}×"


def interval(low: float | None, high: float | None) -> str:
    """The bounds of a ratio: `1.1× to 1.4×`, `at least 1.1×`, `at most 1.4×`."""
    if low is None or high is None:
        return NONE if low is high else f"at most {times(high)}" if low is None else f"at least {times(low)}"
    return f"{times(low)} to {times(high)}"


def milliseconds(value: float | None) -> str:
    """A latency in milliseconds, three digits of it at least: `4.25 ms`, `42.5 ms`, `425 ms`; from 10 s on `12.3 s`."""
    if value is None:
        return NONE
    if value >= 9_999.5:
        return f"{value / 1000:.1f} s"
    # The limits are where rounding reaches the next power of ten.
    digits = 2 if value < 9.995 else 1 if value < 99.95 else 0
    return f"{value:.{digits}f} ms"


def more_milliseconds(value: float | None) -> str:
    """The same of a difference, with its sign."""
    return NONE if value is None else _sign(value) + milliseconds(abs(value))


def seconds(value: float | None) -> str:
    """A duration in seconds: `0.4 s`, `12.3 s`, `2 min 5 s`, `1 h 2 min`."""
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
    """A time with its date, UTC."""
    return NONE if value is None else f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def clock(value: datetime | None) -> str:
    """A time of the day, UTC, as it stands in a timeline."""
    return NONE if value is None else f"{value.astimezone(UTC):%H:%M:%S}"


def state(value: CaseState) -> str:
    """What became of a case, in words."""
    return STATE_WORDS[value]


def together(case_id: str) -> str:
    """A case's id with room for a line break: `cart + payment`."""
    return case_id.replace("+", " + ")


def count(value: int, one: str, many: str = "") -> str:
    """`1 case`, `1,225 cases`."""
    return f"{value:,} {one if value == 1 else many or one + 's'}"


def _plain(value: float, digits: int) -> str:
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _sign(value: float) -> str:
    return "+" if value > 0 else "−" if value < 0 else ""
