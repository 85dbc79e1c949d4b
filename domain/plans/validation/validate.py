"""Validation of a run's input.

It reports every problem at once, each with its path, before anything is switched on.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import islice
from typing import Any

from pydantic import ValidationError

from domain.base import Contract
from domain.cases.cases import pair_count
from domain.errors import Problem
from domain.executions.input_bounds import bounded
from domain.pairs.comparing import MOST_PAIRS
from domain.plans.original_names import rename_originals
from domain.plans.plan import Plan
from domain.plans.validation.fields import purpose
from domain.plans.validation.plan_rules import FIELD_ORDER, broken_rules
from domain.plans.validation.problems import MOST_PROBLEMS, UNKNOWN, misspelt_fields, problems_of
from domain.plans.validation.text_rules import label_rules, text_rules
from domain.plans.validation.typos import Meant
from domain.plans.validation.wording import kind_of
from domain.resilience.model import RunInput
from domain.units import format_percent

_EXAMPLE = 'start with --input-file run.json, which holds {"plan": {...}}'


class CheckedInput(Contract):
    """The result of checking an input: problems, or input and plan."""

    input: RunInput | None = None
    plan: Plan | None = None
    problems: list[Problem] = []


def check_input(raw: object, extra: Sequence[object] = ()) -> CheckedInput:
    """Validate the input that a run was started with.

    Exactly one object is expected: `{"plan": {...}, "if_busy": ..., "requested_by": ...}`. Paths of problems inside the
    plan are relative to the plan document, as its author sees it (`services[2].fault`). Paths in the object around it
    are `plan`, `if_busy`, `requested_by`, and `input` for the object as a whole. Never raises.
    """
    problems = []
    if extra:
        message = f"expected one JSON object, but {1 + len(extra)} inputs were given"
        problems.append(Problem(path="input", message=message, hint=_EXAMPLE))
    if not isinstance(raw, dict):
        what = "no input was given" if raw is None else f"not {kind_of(raw)}"
        problems.append(Problem(path="input", message=f"expected one JSON object: {what}", hint=_EXAMPLE))
        return CheckedInput(problems=problems)
    if "plan" not in raw and "system" in raw:
        message = "is a plan itself, but must be an object that contains the plan"
        return CheckedInput(problems=[*problems, Problem(path="input", message=message, hint=_EXAMPLE)])
    found, run_problems = _run_input(raw)
    plan, plan_problems = check_plan(raw["plan"]) if isinstance(raw.get("plan"), dict) else (None, [])
    problems += run_problems + plan_problems
    if plan is not None and found is not None and not problems:
        problems += _too_many_pairs(plan, found)
    if problems or found is None:
        return CheckedInput(problems=problems)
    return CheckedInput(input=found.model_copy(update={"plan": raw["plan"]}), plan=plan)


def _too_many_pairs(plan: Plan, wishes: RunInput) -> list[Problem]:
    """Refuse to verify more pairs than a run can.

    Each pair takes time, because it is broken with two real faults.
    """
    share = wishes.verify_pairs or 0
    pairs = pair_count(len(plan.services))
    if pairs * share / 100 <= MOST_PAIRS:
        return []
    message = f"{format_percent(share)} of {pairs:,} pairs are more than the {MOST_PAIRS:,} that a run verifies"
    return [Problem(path="verify_pairs", message=message, hint="ask for a smaller share")]


def _run_input(raw: dict[object, object]) -> tuple[RunInput | None, list[Problem]]:
    """Read the object around the plan. The plan itself is checked separately."""
    plan = raw.get("plan")
    around = bounded({name: value for name, value in raw.items() if name != "plan"})
    problems = around.problems[:MOST_PROBLEMS]
    if around.text is None:
        return None, problems
    document = around.document | ({"plan": {} if isinstance(plan, dict) else plan} if "plan" in raw else {})
    problems += islice(label_rules({name: given for name, given in document.items() if name != "plan"}), MOST_PROBLEMS)
    try:
        return RunInput.model_validate(document), problems
    except ValidationError as error:
        return None, problems + _new(problems, problems_of(error, document, RunInput))


def check_plan(raw: object) -> tuple[Plan | None, list[Problem]]:
    """Validate a plan document.

    Returns either a plan or at least one problem. Problems of shape and broken rules are reported together, in the
    order of the document. Never raises, whatever it is given.
    """
    if not isinstance(raw, dict):
        message = f"a plan is a mapping of fields, not {kind_of(raw)}"
        return None, [Problem(path="", message=message, hint="see examples/minimal.yaml")]
    found = bounded(raw)
    if found.text is None:
        return None, found.problems
    document, problems_of_theirs = rename_originals(found.document)
    problems = found.problems[:MOST_PROBLEMS] + problems_of_theirs
    plan, error = _read(document)
    if error is not None:
        problems += _new(problems, _all_problems(error, document))
    else:
        problems += _new(problems, _broken_rules(document))
    return (None, _ordered_with_hints(problems)) if problems else (plan, [])


def _read(document: dict[str, Any]) -> tuple[Plan | None, ValidationError | None]:
    try:
        # Reading text strictly keeps JSON's types: 'yes' is not a boolean, '3' and true are not numbers.
        return Plan.model_validate_json(json.dumps(document), strict=True), None
    except ValidationError as error:
        return None, error


def _all_problems(error: ValidationError, document: dict[str, Any]) -> list[Problem]:
    """Return the problems of shape and the broken rules.

    A misspelt field is only reported as misspelt.
    """
    problems = problems_of(error, document)
    meant = Meant(document, misspelt_fields(error, document))
    if not meant:
        return problems + _new(problems, _broken_rules(document))
    problems = [problem for problem in problems if problem.message == UNKNOWN]
    _, remaining = _read(meant.document)
    if remaining is not None:
        problems += _new(problems, meant.as_written(problems_of(remaining, meant.document)))
    return problems + _new(problems, meant.as_written(_broken_rules(meant.document)))


def _broken_rules(document: dict[str, Any]) -> list[Problem]:
    problems = list(islice(broken_rules(document), MOST_PROBLEMS))
    # A narrower rule for the same place explains more than a forbidden character does.
    return problems + _new(problems, list(islice(text_rules(document), MOST_PROBLEMS)))


def _ordered_with_hints(problems: list[Problem]) -> list[Problem]:
    """Return the problems in plan order, each with a hint.

    There are no more of them than anybody reads.
    """
    hinted = [
        problem if problem.hint else problem.model_copy(update={"hint": purpose(problem.path)}) for problem in problems
    ]
    ordered = sorted(hinted, key=_position)
    if len(ordered) < MOST_PROBLEMS:
        return ordered
    message = f"only the first {MOST_PROBLEMS} problems are shown"
    more = Problem(path="", message=message, hint="fix these first, then validate again")
    return [*ordered[:MOST_PROBLEMS], more]


def _new(known: list[Problem], more: list[Problem]) -> list[Problem]:
    """Return the problems at places that have none yet.

    One mistake is reported once: the first finding about a place counts.
    """
    places = {problem.path for problem in known}
    return [problem for problem in more if problem.path not in places]


def _position(problem: Problem) -> int:
    """Return the position of the problem's section in a plan."""
    part = problem.path.partition(".")[0].partition("[")[0]
    return FIELD_ORDER.index(part) if part in FIELD_ORDER else -1
