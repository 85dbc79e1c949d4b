"""What differs between two requests or answers that mean the same: ids, trace ids and times, by their shape."""

from __future__ import annotations

import re

_VOLATILE = (
    (re.compile(r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b"), "<uuid>"),
    (re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?: ?Z|[+-]\d\d:?\d\d)?"), "<time>"),
    (re.compile(r"\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT\b"), "<time>"),
    (re.compile(r"\b(?=[0-9a-fA-F]*[0-9])[0-9a-fA-F]{16,}\b"), "<id>"),
    (re.compile(r"\b1\d{9}(?:\d{3}|\d{6}|\d{9})?\b"), "<epoch>"),
)


def masked(text: str) -> str:
    """A text in which a word stands for each id and time."""
    for pattern, word in _VOLATILE:
        text = pattern.sub(word, text)
    return text


def volatile_parts(text: str) -> set[str]:
    """The ids and times in a text."""
    found: set[str] = set()
    for pattern, word in _VOLATILE:
        found.update(match[0] for match in pattern.finditer(text))
        text = pattern.sub(word, text)
    return found
