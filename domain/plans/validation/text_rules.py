"""Rules for every text in a plan: its length and its characters.

Texts of a plan end up in URLs, headers, paths, labels and file names, and people read them. The narrowest rule binds a
text unless its place is listed here. A new field is therefore bound before anybody thinks of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from typing import Any, NamedTuple

from domain.control_characters import STEERING
from domain.errors import Problem
from domain.plans.validation.wording import inner_path

LONGEST_LABEL = 2_048
"""Maximum number of characters of a name, an address, or any other text on one line."""
LONGEST_PROSE = 10_000
"""Maximum number of characters of a text for people."""
LONGEST_HEADER = 8_192
"""Maximum number of characters of a header's value. Nearly every server refuses longer ones."""
LONGEST_QUERY = 16_384
"""Maximum number of characters of all fields of a query together."""
LONGEST_PARAMETER = 16_384
"""Maximum number of characters of a fault's parameter, which may be a script. The same limit holds for a text that an
answer must contain."""

_PLACE = re.compile(r"\[\d+\]")
_NOT_IN_PATHS = re.compile(r"[^\x21-\x7e]|[\\#]")
"""Characters that no path may contain. A request cannot be built with them, and cutting them off or folding them would
change what was meant."""

_HINT = "remove invisible characters: control, bidirectional and zero-width characters"


class _Kind(StrEnum):
    LABEL = "label"
    """One line without any invisible character."""
    HEADER = "header"
    """Like a label, but with tabs, which HTTP allows in headers."""
    PROSE = "prose"
    """Lines for people, without any other invisible character."""
    CONTENT = "content"
    """Sent or searched for byte by byte, so any character is allowed."""


_REFUSED = {
    _Kind.LABEL: re.compile(f"[\\t\\n]|{STEERING.pattern}"),
    _Kind.HEADER: re.compile(f"\\n|{STEERING.pattern}"),
    _Kind.PROSE: STEERING,
}
"""Characters that a text must not contain, by its kind."""


class _Rule(NamedTuple):
    kind: _Kind
    longest: int | None
    """Maximum number of characters. None: the plan's own bound is enough."""


_LABEL = _Rule(_Kind.LABEL, LONGEST_LABEL)
_BODY = _Rule(_Kind.CONTENT, None)
_HEADER = _Rule(_Kind.HEADER, LONGEST_HEADER)
_RULES: tuple[tuple[str, _Rule], ...] = (
    ("description", _Rule(_Kind.PROSE, LONGEST_PROSE)),
    ("exclude[].reason", _Rule(_Kind.PROSE, LONGEST_PROSE)),
    ("request.headers.", _HEADER),
    ("request.login.headers.", _HEADER),
    # Percent-encoding and JSON can represent every character.
    ("request.query.", _Rule(_Kind.CONTENT, LONGEST_QUERY)),
    ("request.json", _BODY),
    ("request.form.", _BODY),
    ("request.raw", _BODY),
    ("request.login.json", _BODY),
    ("request.login.form.", _BODY),
    ("steady_state.body_contains", _Rule(_Kind.CONTENT, LONGEST_PARAMETER)),
    ("services[].fault.experiment.matchers.", _Rule(_Kind.LABEL, LONGEST_PARAMETER)),
)
"""Rules for texts that may be more than a label. Places are given by their beginning."""


def text_rules(document: dict[Any, Any]) -> Iterator[Problem]:
    """Report every text that does not fit its place.

    It may be too long, or contain characters that are not allowed there.
    """
    for path, text in texts_in(document, ""):
        problem = _problem(path, text, _rule(path))
        if problem is not None:
            yield problem
    for part in ("headers", "login.headers"):
        for name in _mapping(_inner(document, f"request.{part}")):
            if isinstance(name, str) and len(name) > LONGEST_LABEL:
                message = f"is a name of {len(name)} characters; at most {LONGEST_LABEL} are possible here"
                yield Problem(path=inner_path(f"request.{part}", name), message=message, hint="make it shorter")
    yield from _stability_path(document)
    yield from _query(document)


def label_rules(document: dict[Any, Any]) -> Iterator[Problem]:
    """Check what surrounds a plan, where every text is a label."""
    for path, text in texts_in(document, ""):
        problem = _problem(path, text, _LABEL)
        if problem is not None:
            yield problem


def _rule(path: str) -> _Rule:
    place = _PLACE.sub("[]", path)
    return next((rule for beginning, rule in _RULES if place.startswith(beginning)), _LABEL)


def _problem(path: str, text: str, rule: _Rule) -> Problem | None:
    if rule.longest is not None and len(text) > rule.longest:
        message = f"has {len(text)} characters; at most {rule.longest} are possible here"
        return Problem(path=path, message=message, hint="make it shorter")
    refused = _REFUSED.get(rule.kind)
    found = refused.search(text) if refused else None
    if found is None:
        return None
    what = "a line break" if found.group() in "\r\n" else f"an invisible character (U+{ord(found.group()):04X})"
    return Problem(path=path, message=f"holds {what}", hint=_HINT)


def _stability_path(document: dict[Any, Any]) -> Iterator[Problem]:
    path = _mapping(_inner(document, "system.stability")).get("path")
    if isinstance(path, str) and _NOT_IN_PATHS.search(path) and not STEERING.search(path):
        yield Problem(
            path="system.stability.path",
            message="holds a character that is not valid in an address: a space, a backslash, #, or one beyond ASCII",
            hint="percent-encode it: %20 for a space, %C3%BC for ü",
        )


def _query(document: dict[Any, Any]) -> Iterator[Problem]:
    query = _mapping(_inner(document, "request.query"))
    size = sum(len(name) for name in query if isinstance(name, str)) + sum(len(text) for _, text in texts_in(query, ""))
    if size > LONGEST_QUERY:
        message = f"has {size} characters in all; at most {LONGEST_QUERY} fit into an address"
        yield Problem(path="request.query", message=message, hint="send it as a body")


def _inner(document: dict[Any, Any], path: str) -> Any:
    found: Any = document
    for part in path.split("."):
        found = _mapping(found).get(part)
    return found


def _mapping(value: Any) -> dict[Any, Any]:
    return value if isinstance(value, dict) else {}


def texts_in(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yield every text in a document, with its path."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from texts_in(inner, inner_path(path, name))
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            yield from texts_in(inner, inner_path(path, position))
