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
