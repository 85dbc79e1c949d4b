"""`holdfast validate` and `schema`: whether a plan is one, and what plans look like. Both touch nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from cli.console import AS_JSON, clear_errors, say, write_file
from cli.exit_codes import ExitCode
from cli.plans import PLAN, PlanFile, valid_plan
from clients.plan_files import PlanFileError, read_plan_file
from workflows.contracts.errors import Problem
from workflows.logic.plan_schema import plan_schema
from workflows.logic.validation import check_plan


@click.command()
@PLAN
@AS_JSON
@clear_errors
def validate(plan: Path, *, as_json: bool) -> None:
    """Check a plan without touching anything: every problem with its path and a hint, exit code 2."""
    if as_json:
        facts = _facts(plan)
        say(json.dumps(facts, indent=2))
        raise SystemExit(ExitCode.PASSED if facts["valid"] else ExitCode.INVALID)
    say(f"ok: {valid_plan(plan).summary()}")
    say(f"next: `holdfast preview {plan}` shows what a run would do, `holdfast run {plan}` does it")


def _facts(path: Path) -> dict[str, Any]:
    """The plan's numbers, or its problems."""
    try:
        document = read_plan_file(path)
    except PlanFileError as error:
        unread = Problem(path="", message=error.message, hint=error.hint).model_dump()
        place = {"file": str(path), "line": error.line, "column": error.column}
        return {"file": str(path), "valid": False, "problems": [place | unread]}
    plan, problems = check_plan(document)
    told = [{"file": str(path), **problem.model_dump()} for problem in problems]
    numbers = PlanFile(plan=plan, document=document).numbers() if plan else {}
    return {"file": str(path), "valid": plan is not None, **numbers, "problems": told}


@click.command()
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Write it to this file.")
@clear_errors
def schema(output: Path | None) -> None:
    """Print the JSON Schema of plans, for editors that complete and check what is written.

    A plan names it in its first line: `# yaml-language-server: $schema=plan.schema.json`.
    """
    text = json.dumps(plan_schema(), indent=2) + "\n"
    if output is None:
        say(text, end="")
        return
    write_file(output, text, overwrite=True)
    say(f"written: {output}")
