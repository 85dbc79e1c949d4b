"""Facts that an execution's state shows, as lines of progress."""

from __future__ import annotations

from typing import NamedTuple

from clients.store.read_models import LogLevel


class Line(NamedTuple):
    """One line of progress."""

    text: str
    level: LogLevel = LogLevel.INFO


class Fact(NamedTuple):
    """One fact that a state shows."""

    key: str
    """Identifies the fact: a fact with a known key is not shown again."""
    text: str
    level: LogLevel = LogLevel.INFO
