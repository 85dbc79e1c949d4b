"""`holdfast validate` and `schema`: check plans, and print their schema.

Both touch nothing.
"""

from __future__ import annotations

import json
from pathlib import Path

import click

from cli.console import clear_errors, say, say_json, write_file
from cli.options import AS_JSON, PLAN
from cli.plans import valid_definition, warn_of_refusals
from domain.executions.outcome import ExitCode
from domain.plans.schema import plan_schema
from operations.definitions import PlanFile, check_file
from reports.forms.as_json import report_schema


@click.command()
@PLAN
@AS_JSON
@clear_errors
def validate(plan: Path, *, as_json: bool) -> None:
    """Check a plan without touching anything.

    Every problem is shown with its path and a hint. The exit code is 2 if there are any.
    """
    if as_json:
        _, facts = check_file(plan)
        say_json(facts)
        raise SystemExit(ExitCode.PASSED if facts["valid"] else ExitCode.INVALID)
    file = valid_definition(plan)
    say(f"ok: {file.summary()}")
    if not isinstance(file, PlanFile):
        say(f"next: `holdfast run {plan}` does it")
        return
    warn_of_refusals(file.plan)
    say(f"next: `holdfast preview {plan}` shows what a run would do, `holdfast run {plan}` does it")


@click.command()
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Write the schema to this file.")
@click.option("--report", is_flag=True, help="Print the schema of `holdfast report --json` instead.")
@clear_errors
def schema(output: Path | None, *, report: bool) -> None:
    """Print the JSON Schema of plans, for editors.

    An editor can then complete and check what you write. A plan names its schema in its first line:
    `# yaml-language-server: $schema=plan.schema.json`.
    """
    text = json.dumps(report_schema() if report else plan_schema(), indent=2) + "\n"
    if output is None:
        say(text, end="")
        return
    write_file(output, text, overwrite=True)
    say(f"written: {output}")
    if report:
        return
    first = f"# yaml-language-server: $schema={output.name}"
    say(f"next: your editor checks plans in the same folder whose first line is `{first}`")
