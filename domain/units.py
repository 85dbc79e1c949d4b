"""Quantities as people write them: `250ms`, `2s`, `1%`, `20/s`.

A bare number is refused: no unit is ever guessed.
"""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, WithJsonSchema

from domain.base import UnfitError

_UNITS = {"ms": 1_000, "s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000}
"""Microseconds per unit. A microsecond is the finest resolution kept."""
_NUMBER = r"[0-9]{1,15}(?:\.[0-9]{1,15})?"
_DURATION = re.compile(rf"(?P<number>{_NUMBER})\s*(?P<unit>ms|s|m|h)")
_IN_WORDS = re.compile(rf"(?P<number>{_NUMBER})\s*(?P<unit>[A-Za-z]+)")
_WORDS = {
    "ms": ("ms", "msec", "msecs", "milli", "millis", "millisecond", "milliseconds"),
    "s": ("s", "sec", "secs", "second", "seconds"),
    "m": ("min", "mins", "minute", "minutes"),
    "h": ("h", "hr", "hrs", "hour", "hours"),
}
"""Spellings of units that people use elsewhere. `M` is not among them: it may mean a month."""
_PERCENT = re.compile(rf"(?P<number>{_NUMBER})\s*%")
_RATE = re.compile(rf"(?P<number>{_NUMBER})\s*/\s*(?P<unit>s|m)")
_BARE = re.compile(_NUMBER)
DURATION_PATTERN = r"^\d+(\.\d+)?\s*(ms|s|m|h)$"
PERCENT_PATTERN = r"^\d+(\.\d+)?\s*%$"
RATE_PATTERN = r"^\d+(\.\d+)?\s*/\s*(s|m)$"
_SHOWN = 40

LONGEST = timedelta(days=7)
"""Longest duration in a plan. The proxy forgets its sessions after this time (`peer-contract` section 3.3)."""

MOST_PERCENT = 1_000_000.0

MOST_PER_SECOND = 10_000.0
"""Highest rate that our load generator can keep."""

LEAST_PER_SECOND = 1 / 3600
"""Lowest rate: one request an hour. A plan that wants less does not want a load test."""

_PER_MINUTE = 60
_DIGITS = 12
"""Decimal places of a rate."""


def _shown(text: str) -> str:
    # On one line, and without characters that a terminal would obey.
    line = "".join(character if character.isprintable() else "?" for character in text[:_SHOWN])
    return f"'{line}'" if len(text) <= _SHOWN else f"'{line}...'"


def parse_duration(value: object) -> timedelta:
    """Parse `250ms`, `2s`, `10m` or `1h`.

    Raises:
        ValueError: for anything else, and above `LONGEST`. For a bare number, which has no unit, the error suggests the
            two likely spellings.
    """
    if isinstance(value, timedelta):
        return value
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise UnfitError("is not a duration", "write text such as '250ms', '2s', '10m' or '1h'")
    text = str(value).strip()
    match = _DURATION.fullmatch(text)
    if match is None:
        if _BARE.fullmatch(text):
            raise UnfitError(f"'{text}' needs a unit", f"write '{text}s' or '{text}ms'")
        raise UnfitError(f"{_shown(text)} is not a duration", _likely_spelling(text))
    microseconds = round(Decimal(match["number"]) * _UNITS[match["unit"]])
    if microseconds > LONGEST / timedelta(microseconds=1):
        raise UnfitError(f"{_shown(text)} is too long", f"at most {format_duration(LONGEST)}")
    return timedelta(microseconds=microseconds)


def _likely_spelling(text: str) -> str:
    """Suggest the likely spelling, if the unit is recognised."""
    match = _IN_WORDS.fullmatch(text)
    unit = next((unit for unit, words in _WORDS.items() if match and match["unit"].lower() in words), None)
    if match is None or unit is None:
        return "write a number and ms, s, m or h, for example '250ms'"
    return f"write '{match['number']}{unit}'"


def format_duration(value: timedelta) -> str:
    """Format a duration in the largest unit that divides it.

    The inverse of `parse_duration`.
    """
    microseconds = value // timedelta(microseconds=1)
    for unit in ("h", "m", "s"):
        if microseconds and microseconds % _UNITS[unit] == 0:
            return f"{microseconds // _UNITS[unit]}{unit}"
    return f"{_plain(Decimal(microseconds) / 1000)}ms"


def _plain(number: Decimal) -> str:
    """Format without exponent and trailing zeros."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def parse_percent(value: object) -> float:
    """Parse `1%` or `0.5%` into a percentage (1.0, 0.5).

    The sign is required, because the peers take 0.5 for 50 % (`peer-contract` section 7).

    Raises:
        ValueError: for anything else, and above `MOST_PERCENT`.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise UnfitError("is not a share", "write text such as '1%' or '0.5%'")
    text = str(value).strip()
    match = _PERCENT.fullmatch(text)
    if match is None:
        if _BARE.fullmatch(text):
            whole = "" if float(text) >= 1 else f", or '{100 * float(text):g}%' for {text} of all"
            raise UnfitError(f"'{text}' needs its sign", f"write '{text}%'{whole}")
        raise UnfitError(f"{_shown(text)} is not a share", "write a number and a percent sign, for example '1%'")
    percent = float(match["number"])
    if percent > MOST_PERCENT:
        raise UnfitError(f"{_shown(text)} is too large", f"at most {format_percent(MOST_PERCENT)}")
    return percent


def format_percent(value: float) -> str:
    """Format a percentage as `parse_percent` reads it."""
    return f"{_plain(Decimal(repr(float(value))))}%"


def parse_rate(value: object) -> float:
    """Parse `20/s` or `90/m` into a number per second (20.0, 1.5).

    Raises:
        ValueError: for anything else, because a bare number might be per second or per minute, and outside
            `LEAST_PER_SECOND` to `MOST_PER_SECOND`.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise UnfitError("is not a rate", "write text such as '20/s' or '90/m'")
    text = str(value).strip()
    match = _RATE.fullmatch(text)
    if match is None:
        if _BARE.fullmatch(text):
            raise UnfitError(f"'{text}' needs its time", f"write '{text}/s' or '{text}/m'")
        raise UnfitError(f"{_shown(text)} is not a rate", "write a number and /s or /m, for example '20/s'")
    rate = _per_second(match["number"], match["unit"])
    if not LEAST_PER_SECOND <= rate <= MOST_PER_SECOND:
        size = "too high" if rate > MOST_PER_SECOND else "too low"
        raise UnfitError(f"{_shown(text)} is {size}", f"at most {MOST_PER_SECOND:.0f}/s, at least one an hour")
    return rate


def _per_second(number: str, unit: str) -> float:
    # Rounded, so that a rate that is formatted and parsed again is still the same.
    return round(float(number) / (_PER_MINUTE if unit == "m" else 1), _DIGITS)


def format_rate(value: float) -> str:
    """Format a rate as `parse_rate` reads it.

    Per second, or per minute where that is shorter.
    """
    second = _plain(Decimal(f"{value:.{_DIGITS}f}"))
    minute = _plain(Decimal(f"{value * _PER_MINUTE:.{_DIGITS - 3}f}"))
    if len(minute) < len(second) and _per_second(minute, "m") == value:
        return f"{minute}/m"
    return f"{second}/s"


def _more_than_nothing(value: timedelta) -> timedelta:
    if value <= timedelta(0):
        raise UnfitError("must be longer than 0", "write a number above 0 and ms, s, m or h, for example '250ms'")
    return value


def _a_second_at_least(value: timedelta) -> timedelta:
    if value < timedelta(seconds=1):
        raise UnfitError("must be at least 1s", "the peers count whole seconds")
    return value


def _more_than_none(value: float) -> float:
    if value <= 0:
        raise UnfitError("must be more than 0%", "write a number above 0 and a percent sign, for example '100%'")
    return value


def _at_most_all(value: float) -> float:
    if value > 100:
        raise UnfitError(f"{format_percent(value)} is more than all", "a share of requests is at most 100%")
    return value


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN, "examples": ["250ms", "2s", "10m"]}),
]
"""A length of time, written with its unit."""

Percent = Annotated[
    float,
    BeforeValidator(parse_percent),
    PlainSerializer(format_percent, return_type=str),
    WithJsonSchema({"type": "string", "pattern": PERCENT_PATTERN, "examples": ["1%", "0.5%"]}),
]
"""A percentage, written with its sign: 0 to 100, or more for a ratio to the baseline."""

Rate = Annotated[
    float,
    BeforeValidator(parse_rate),
    PlainSerializer(format_rate, return_type=str),
    WithJsonSchema({"type": "string", "pattern": RATE_PATTERN, "examples": ["20/s", "90/m"]}),
]
"""A number per second (1/s), written with its unit of time."""

PositiveDuration = Annotated[Duration, AfterValidator(_more_than_nothing)]
"""A length of time above 0."""

Ttl = Annotated[Duration, AfterValidator(_a_second_at_least)]
"""TTL of something at a peer, at least 1s. Peers count whole seconds, and take 0 for never or for a mistake."""

Share = Annotated[Percent, AfterValidator(_at_most_all)]
"""A share of a whole, 0% to 100%."""

ShareOfSome = Annotated[Share, AfterValidator(_more_than_none)]
"""A share of a whole, above 0% and at most 100%."""
