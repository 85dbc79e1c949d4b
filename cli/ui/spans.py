"""Lengths of time, for people."""

from __future__ import annotations

from datetime import timedelta


def in_words(duration: timedelta) -> str:
    """Format a duration in seconds, minutes or hours."""
    seconds = round(duration.total_seconds())
    if seconds < 60:
        return f"{seconds} s"
    minutes, seconds = divmod(seconds, 60)
    return f"{minutes}:{seconds:02} min" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02} h"
