"""Misspelt fields and what was meant: one typo, one problem.

If a field is misspelt, the field that was meant is missing, and so is any limit that it sets. Other problems are
therefore searched for in the plan as it was meant. They are reported where they stand in the plan as it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from domain.errors import Problem
from domain.plans.validation.fields import value_at
from domain.plans.validation.wording import inner_path, path_of

Parts = Sequence[int | str]


class Misspelt(NamedTuple):
    """An unknown field, and the field that was probably meant."""

    parts: Parts
    meant: str


class Meant:
    """A document whose misspelt fields have the names that were meant."""

    def __init__(self, document: dict[str, Any], misspelt: Iterable[Misspelt]) -> None:
        """Copy the document, then rename its misspelt fields in the copy."""
        self.document: dict[str, Any] = json.loads(json.dumps(document))
        self._places: dict[str, str] = {}
        for field in misspelt:
            self._rename(field)

    def _rename(self, field: Misspelt) -> None:
        outer = field.parts[:-1]
        name = field.parts[-1]
        inner = value_at(self.document, outer)
        if isinstance(inner, dict) and name in inner and field.meant not in inner:
            inner[field.meant] = inner.pop(name)
            self._places[inner_path(path_of(outer), field.meant)] = path_of(field.parts)

    def __bool__(self) -> bool:
        """Return whether any field was renamed."""
        return bool(self._places)

    def as_written(self, problems: Iterable[Problem]) -> list[Problem]:
        """Return problems of this document at their places in the given one."""
        return [problem.model_copy(update={"path": self._written(problem.path)}) for problem in problems]

    def _written(self, path: str) -> str:
        for meant, written in self._places.items():
            if path == meant or path.startswith((f"{meant}.", f"{meant}[")):
                return written + path[len(meant) :]
        return path
