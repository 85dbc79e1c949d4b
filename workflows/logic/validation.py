"""Is this input a run? Every problem at once, each with its path; nothing is switched on before this says yes."""

from __future__ import annotations

import json
from collections.abc import Sequence

from pydantic import ValidationError

from workflows.contracts.base import Contract
from workflows.contracts.errors import Problem
from workflows.contracts.execution import RunInput
from workflows.contracts.plan import Plan
from workflows.logic.plan_rules import broken_rules
from workflows.logic.problems import problems_of

LARGEST_PLAN = 262_144
"""Bytes of JSON: what a workflow's payload should stay under."""

DEEPEST = 40
MOST_SERVICES = 1_000


class CheckedInput(Contract):
    """What became of an input: either problems, or input and plan."""

    input: RunInput | None = None
    plan: Plan | None = None
    problems: list[Problem] = []


def check_input(raw: object, extra: Sequence[object] = ()) -> CheckedInput:
    """Validate what a run was started with: exactly one object `{"plan": {...}, "if_busy": ..., "requested_by": ...}`.

    Paths of plan problems are relative to the plan, as its author sees it.
    """
    problems = []
    if extra:
        count = 1 + len(extra)
        problems.append(Problem(path="input", message=f"one JSON object is expected, {count} inputs were given"))
    if not isinstance(raw, dict):
        what = "no input" if raw is None else f"a {type(raw).__name__}"
        hint = 'start with --input-file run.json, which holds {"plan": {...}}'
        problems.append(Problem(path="input", message=f"one JSON object is expected, not {what}", hint=hint))
        return CheckedInput(problems=problems)
    found, run_problems = _run_input(raw)
    plan, plan_problems = check_plan(raw["plan"]) if "plan" in raw else (None, [])
    problems += run_problems + plan_problems
    return CheckedInput(input=found, plan=plan, problems=problems) if not problems else CheckedInput(problems=problems)


def _run_input(raw: dict[object, object]) -> tuple[RunInput | None, list[Problem]]:
    try:
        # What the plan is, is looked at apart.
        return RunInput.model_validate(raw | ({"plan": {}} if "plan" in raw else {})), []
    except ValidationError as error:
        return None, problems_of(error, raw, RunInput)


def check_plan(raw: object) -> tuple[Plan | None, list[Problem]]:
    """Validate a plan document: problems of shape and broken rules together. Never raises."""
    if not isinstance(raw, dict):
        return None, [Problem(path="", message=f"a plan is a mapping of fields, not a {type(raw).__name__}")]
    bounds = _out_of_bounds(raw)
    if bounds:
        return None, bounds
    plan, problems = None, []
    try:
        plan = Plan.model_validate(raw)
    except ValidationError as error:
        problems = problems_of(error, raw)
    known = {problem.path for problem in problems}
    problems += [problem for problem in broken_rules(raw) if problem.path not in known]
    return (None, problems) if problems else (plan, [])


def _out_of_bounds(raw: dict[object, object]) -> list[Problem]:
    """What must be refused before anything walks through it."""
    if _deeper_than(raw, DEEPEST):
        return [Problem(path="", message=f"nested deeper than {DEEPEST} levels")]
    try:
        size = len(json.dumps(raw, allow_nan=False).encode(errors="surrogatepass"))
    except (ValueError, TypeError):
        return [Problem(path="", message="holds a value that JSON does not have, such as NaN, a date or a set")]
    if size > LARGEST_PLAN:
        return [Problem(path="", message=f"{size} bytes of JSON; at most {LARGEST_PLAN} can be handed to a run")]
    services = raw.get("services")
    if isinstance(services, list) and len(services) > MOST_SERVICES:
        return [Problem(path="services", message=f"{len(services)} services; at most {MOST_SERVICES} in one plan")]
    return []


def _deeper_than(value: object, levels: int) -> bool:
    if isinstance(value, dict):
        return levels == 0 or any(_deeper_than(one, levels - 1) for one in value.values())
    if isinstance(value, list):
        return levels == 0 or any(_deeper_than(one, levels - 1) for one in value)
    return False
