"""Bounds of an input, checked before anything else walks through it.

JSON values only, not too deep, not too large.
"""

from __future__ import annotations

import json
import math
from typing import Any

from domain.base import Contract
from domain.errors import Problem
from domain.plans.validation.wording import inner_path, kind_of, shown

LARGEST_PLAN = 262_144
"""Bytes of JSON. A workflow's payload should stay below this."""

DEEPEST = 40
MOST_VALUES = 50_000
"""Values in a document. Shared parts (YAML aliases) count each time they are used."""

_LARGEST_INTEGER = 2**63

_HALF_A_CHARACTER = "holds half a character (a lone surrogate)"
_SAVE_AS_UTF_8 = "save the text as UTF-8"


class _TooMuchError(Exception):
    """A document too deep or too large to walk to its end."""


class Bounded(Contract):
    """A document that consists of JSON values only.

    Each value that JSON does not have is replaced by null and reported.
    """

    text: str | None
    """The document as JSON. None if it is out of bounds as a whole."""
    document: Any = None
    problems: list[Problem] = []


def bounded(raw: object) -> Bounded:
    """Copy an input, and check that it is JSON and within bounds.

    Runs before Pydantic and the rules, which may then take plain JSON for granted.
    """
    copier = _Copier()
    try:
        document = copier.copy(raw, "", 0)
        text = json.dumps(document, allow_nan=False, separators=(",", ":"))
    except _TooMuchError as error:
        return Bounded(text=None, problems=[Problem(path="", message=str(error), hint="a plan is far smaller")])
    size = len(text)
    if size > LARGEST_PLAN:
        message = f"{size} bytes of JSON; at most {LARGEST_PLAN} can be handed to a run"
        return Bounded(
            text=None,
            problems=[Problem(path="", message=message, hint="shorten its longest part")],
        )
    return Bounded(text=text, document=document, problems=copier.problems)


class _Copier:
    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._values = 0

    def copy(self, value: object, path: str, depth: int) -> Any:
        self._values += 1
        if depth > DEEPEST:
            raise _TooMuchError(f"nested deeper than {DEEPEST} levels")
        if self._values > MOST_VALUES:
            raise _TooMuchError(f"more than {MOST_VALUES} values")
        if isinstance(value, dict):
            return self._copy_mapping(value, path, depth)
        if isinstance(value, list):
            return [self.copy(item, inner_path(path, position), depth + 1) for position, item in enumerate(value)]
        mistake = _mistake(value)
        if mistake is None:
            return value
        self.problems.append(Problem(path=path, message=mistake[0], hint=mistake[1]))
        return None

    def _copy_mapping(self, value: dict[Any, Any], path: str, depth: int) -> dict[str, Any]:
        copied = {}
        for name, item in value.items():
            if not isinstance(name, str):
                message = f"a field's name must be text, not {kind_of(name)}"
                self.problems.append(Problem(path=path, message=message, hint="put the name in quotes"))
            elif not _encodable(name):
                message = f"a field's name {_HALF_A_CHARACTER}"
                self.problems.append(Problem(path=path, message=message, hint=_SAVE_AS_UTF_8))
            else:
                copied[name] = self.copy(item, inner_path(path, name), depth + 1)
        return copied


def _mistake(value: object) -> tuple[str, str] | None:
    """Return why a single value is not JSON, and what to do."""
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, str):
        return None if _encodable(value) else (_HALF_A_CHARACTER, _SAVE_AS_UTF_8)
    if isinstance(value, int):
        if -_LARGEST_INTEGER <= value < _LARGEST_INTEGER:
            return None
        return ("is a whole number of more than 64 bits", "put it in quotes")
    if isinstance(value, float):
        return (
            None if math.isfinite(value) else (f"{shown(value)} is not a valid number in JSON", "use a finite number")
        )
    return (f"is {kind_of(value)}, which JSON does not support", "put it in quotes")


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
