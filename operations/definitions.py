"""Definitions of executions as files, such as plans: read, validated, and counted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from clients.plans.files import PlanFileError, read_plan_file
from domain.errors import Problem
from domain.executions.kinds import Definition, Kind
from domain.kinds import kind_of
from domain.plans.plan import Plan
from domain.resilience.kind import numbers_of

_LONGEST_SUMMARY = 200
_LONGEST_DETAILS = 10_000
"""Bytes. The server takes 400 and 20,000, of which encryption and the payload's own names need some."""


def cut_bytes(text: str, longest: int) -> str:
    """Cut a text to so many bytes of UTF-8."""
    return text.encode()[:longest].decode(errors="ignore")


@dataclass(frozen=True)
class DefinitionFile:
    """A valid definition, and the document that its executions are started with."""

    kind: Kind
    definition: Definition
    document: Any

    @property
    def name(self) -> str:
        """The definition's name."""
        return self.definition.name

    def summary(self) -> str:
        """Summarise the definition in one line."""
        return self.kind.summarised(self.definition)

    def for_web_ui(self) -> tuple[str, str]:
        """Return what a run's page shows from the start: one line, and Markdown.

        Neither is longer than the server takes.
        """
        return cut_bytes(self.summary(), _LONGEST_SUMMARY), cut_bytes(
            self.kind.described(self.definition), _LONGEST_DETAILS
        )

    def facts(self) -> dict[str, Any]:
        """Return JSON facts about the definition."""
        return {"kind": self.kind.name, "name": self.name}


class PlanFile(DefinitionFile):
    """A valid plan, and the document that its runs are started with."""

    @property
    def plan(self) -> Plan:
        """The plan."""
        return cast("Plan", self.definition)

    def facts(self) -> dict[str, Any]:
        """Return JSON facts about the plan.

        `requests` is the most that the cases may send.
        """
        return numbers_of(self.plan)


def validate_definition(document: object) -> tuple[DefinitionFile | None, list[Problem]]:
    """Validate a document of any kind. Returns either the definition or at least one problem."""
    kind = kind_of(document)
    definition, problems = kind.check(document)
    if definition is None:
        return None, problems
    return (PlanFile if isinstance(definition, Plan) else DefinitionFile)(kind, definition, document), problems


def check_file(path: Path) -> tuple[DefinitionFile | None, dict[str, Any]]:
    """Read and validate a file. Return the definition, or None, and JSON facts.

    The facts describe a valid definition, or list the problems of an invalid one.
    """
    try:
        document = read_plan_file(path)
    except PlanFileError as error:
        problem_facts = Problem(path="", message=error.message, hint=error.hint).model_dump()
        place = {"file": str(path), "line": error.line, "column": error.column}
        return None, {"file": str(path), "valid": False, "problems": [place | problem_facts]}
    file, problems = validate_definition(document)
    problem_rows = [{"file": str(path), **problem.model_dump()} for problem in problems]
    return file, {
        "file": str(path),
        "valid": file is not None,
        **(file.facts() if file else {}),
        "problems": problem_rows,
    }
