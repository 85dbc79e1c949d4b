"""Plans as files: read, validated, and counted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clients.plans.files import PlanFileError, read_plan_file
from domain.cases.cases import case_count
from domain.errors import Problem
from domain.plans.environments import environment_in
from domain.plans.plan import Plan
from domain.plans.validation.validate import check_plan


@dataclass(frozen=True)
class PlanFile:
    """A valid plan, and the document that its runs are started with."""

    plan: Plan
    document: Any

    def summary(self) -> str:
        """Summarise the plan in one line."""
        plan, numbers = self.plan, self.numbers()
        where = f"namespace {plan.system.namespace} of {environment_in(plan)}"
        up_to = "up to " if plan.load.max_requests is not None else ""
        counted = f"{numbers['services']} services, {numbers['cases']} cases, {up_to}{numbers['requests']} requests"
        return f"plan {plan.name}: {counted}, {where}"

    def numbers(self) -> dict[str, Any]:
        """Return the summary as JSON facts.

        `requests` is the most that the cases may send.
        """
        plan = self.plan
        cases = case_count(len(plan.services))
        return {
            "plan": plan.name,
            "namespace": plan.system.namespace,
            "environment": environment_in(plan),
            "services": len(plan.services),
            "cases": cases,
            "requests": cases * plan.load.most_requests,
        }


def checked(path: Path) -> tuple[PlanFile | None, dict[str, Any]]:
    """Check a plan file. Returns the plan, if valid, and JSON facts.

    The facts are the numbers of a valid plan, or the problems of an invalid one.
    """
    try:
        document = read_plan_file(path)
    except PlanFileError as error:
        problem_facts = Problem(path="", message=error.message, hint=error.hint).model_dump()
        place = {"file": str(path), "line": error.line, "column": error.column}
        return None, {"file": str(path), "valid": False, "problems": [place | problem_facts]}
    plan, problems = check_plan(document)
    file = PlanFile(plan=plan, document=document) if plan else None
    problem_rows = [{"file": str(path), **problem.model_dump()} for problem in problems]
    return file, {
        "file": str(path),
        "valid": file is not None,
        **(file.numbers() if file else {}),
        "problems": problem_rows,
    }
