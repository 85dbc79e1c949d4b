"""Quantities as people write them: `250ms`, `2s`, `10m`, `1%`. A bare number is refused, so no unit is ever guessed."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

_UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000}
_DURATION = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>ms|s|m|h)")
_PERCENT = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*%")
_DURATION_PATTERN = r"^\d+(\.\d+)?\s*(ms|s|m|h)$"
_PERCENT_PATTERN = r"^\d+(\.\d+)?\s*%$"


def parse_duration(value: object) -> timedelta:
    """Read `250ms`, `2s`, `10m` or `1h`.

    Raises:
        ValueError: for anything else; a bare number has no unit and is refused with the two likely spellings.
    """
    if isinstance(value, timedelta):
        return value
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError("a duration is text such as '250ms', '2s', '10m' or '1h'")
    if isinstance(value, (int, float)):
        raise ValueError(f"a duration needs a unit: write '{value}s' or '{value}ms'")
    match = _DURATION.fullmatch(value.strip())
    if match is None:
        raise ValueError(f"'{value}' is not a duration: write a number and ms, s, m or h, for example '250ms'")
    return timedelta(milliseconds=float(match["number"]) * _UNITS[match["unit"]])


def format_duration(value: timedelta) -> str:
    """Write a duration in the largest unit that divides it: the inverse of `parse_duration`."""
    milliseconds = value / timedelta(milliseconds=1)
    for unit in ("h", "m", "s"):
        if milliseconds and milliseconds % _UNITS[unit] == 0:
            return f"{int(milliseconds // _UNITS[unit])}{unit}"
    return f"{milliseconds:g}ms"


def parse_percent(value: object) -> float:
    """Read `1%` or `0.5%` as a number of percent (1.0, 0.5).

    Raises:
        ValueError: for anything else. The peers judge 0.5 as 50 % (`peer-contract` section 7), so the sign is required.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError("a share is text such as '1%' or '0.5%'")
    if isinstance(value, (int, float)):
        raise ValueError(f"a share needs its sign: write '{value}%'")
    match = _PERCENT.fullmatch(value.strip())
    if match is None:
        raise ValueError(f"'{value}' is not a share: write a number and a percent sign, for example '1%'")
    return float(match["number"])


def format_percent(value: float) -> str:
    """Write percent as `parse_percent` reads it."""
    return f"{value:g}%"


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": _DURATION_PATTERN, "examples": ["250ms", "2s", "10m"]}),
]
"""A length of time, written with its unit."""

Percent = Annotated[
    float,
    BeforeValidator(parse_percent),
    PlainSerializer(format_percent, return_type=str),
    WithJsonSchema({"type": "string", "pattern": _PERCENT_PATTERN, "examples": ["1%", "0.5%"]}),
]
"""A share in percent, 0 to 100 (or more, for a ratio to the baseline), written with its sign."""
