"""What differs between two requests or answers that mean the same: ids and times, by their shape."""

from __future__ import annotations

import re

VOLATILE = (
    (re.compile(r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b"), "<uuid>"),
    (re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?: ?Z|[+-]\d\d:?\d\d)?"), "<time>"),
    (re.compile(r"\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT\b"), "<time>"),
    (re.compile(r"\b(?=[0-9a-fA-F]*[0-9])[0-9a-fA-F]{16,}\b"), "<id>"),
    (re.compile(r"\b1\d{9}(?:\d{3}|\d{6}|\d{9})?\b"), "<epoch>"),
)
"""What differs between two answers of a service that does the same: ids, trace ids and times, by their shape."""

_NUMBER = re.compile(r"(?<=/)[0-9]{4,}(?=/|$)")
"""A segment of a path that is a number of four digits or more: an order, a customer, a time."""


def shape(path: str) -> str:
    """A path with words in the place of its ids and times."""
    for pattern, word in VOLATILE:
        path = pattern.sub(word, path)
    return _NUMBER.sub("<number>", path)
