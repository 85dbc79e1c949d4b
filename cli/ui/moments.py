"""Moments on the command line: a date, a time, or an age."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import click

from domain.base import UnfitError
from domain.units import parse_duration

_DAYS = re.compile(r"(\d{1,5})d")


def moment(text: str) -> datetime:
    """Parse an age (`2h`, `7d`), or an ISO 8601 date or time.

    Times without an offset are UTC.

    Raises:
        click.BadParameter: anything else, including a moment that no calendar has.
    """
    try:
        found = _ago(text) or datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        hint = "write '2h', '7d', '2026-11-20' or '2026-11-20T18:30Z'"
        raise click.BadParameter(f"'{text}' is not a time: {hint}") from error


def _ago(text: str) -> datetime | None:
    """Return the moment that long ago. None: not a duration."""
    if days := _DAYS.fullmatch(text):
        return datetime.now(UTC) - timedelta(days=int(days[1]))
    try:
        return datetime.now(UTC) - parse_duration(text)
    except UnfitError:
        return None
