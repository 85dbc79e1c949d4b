"""Misspelt fields: what they would have been, so that one typo is one problem.

A field that is not known is also one that is missing, and a limit that does not hold. So what a plan breaks beside its
typos is looked for in the plan as it was meant, and told where it stands in the plan as it is.
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
    """A field that is not known, and the one that was probably meant."""

    parts: Parts
    meant: str


class Meant:
    """A document with its misspelt fields under the names that were meant."""

    def __init__(self, document: dict[str, Any], misspelt: Iterable[Misspelt]) -> None:
        """The document given is left as it is."""
        self.document: dict[str, Any] = json.loads(json.dumps(document))
        self._places: dict[str, str] = {}
        for one in misspelt:
            self._rename(one)

    def _rename(self, one: Misspelt) -> None:
        outer, name = one.parts[:-1], one.parts[-1]
        inner = value_at(self.document, outer)
        if isinstance(inner, dict) and name in inner and one.meant not in inner:
            inner[one.meant] = inner.pop(name)
            self._places[inner_path(path_of(outer), one.meant)] = path_of(one.parts)

    def __bool__(self) -> bool:
        """Whether any field has another name now."""
        return bool(self._places)

    def as_written(self, problems: Iterable[Problem]) -> list[Problem]:
        """Problems of this document, at their places in the one that was given."""
        return [problem.model_copy(update={"path": self._written(problem.path)}) for problem in problems]

    def _written(self, path: str) -> str:
        for meant, written in self._places.items():
            if path == meant or path.startswith((f"{meant}.", f"{meant}[")):
                return written + path[len(meant) :]
        return path
