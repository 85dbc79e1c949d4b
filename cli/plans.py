"""Plans on the command line: read, validated, and asked about before a system is touched."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from cli.console import complain, on_terminal, say_json, show_problems
from cli.exit_codes import ExitCode
from clients import notes
from clients.plan_files import PlanFileError, read_plan_file
from clients.settings import Settings
from workflows.contracts.errors import HoldfastError, Problem
from workflows.contracts.plan import Plan
from workflows.logic.addresses import address_in, address_of
from workflows.logic.cases import case_count
from workflows.logic.durations import most_at_once
from workflows.logic.environments import environment_in
from workflows.logic.guardrails import MAX_ACTIVE_FAULTS, outside
from workflows.logic.plan_addresses import addresses_in
from workflows.logic.validation import check_plan

PLAN = click.argument("plan", type=click.Path(path_type=Path, allow_dash=True))
"""A plan's file; `-` is standard input."""


_MOST_MENTIONED = 10


@dataclass(frozen=True)
class PlanFile:
    """A valid plan, and the document it came from, which is what a run is started with."""

    plan: Plan
    document: Any

    def summary(self) -> str:
        """One line."""
        plan, numbers = self.plan, self.numbers()
        where = f"namespace {plan.system.namespace} of {environment_in(plan)}"
        up_to = "up to " if plan.load.max_requests is not None else ""
        counted = f"{numbers['services']} services, {numbers['cases']} cases, {up_to}{numbers['requests']} requests"
        return f"plan {plan.name}: {counted}, {where}"

    def numbers(self) -> dict[str, Any]:
        """The same for programs; `requests` are those of the cases, at most."""
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
    """The plan, when it is one, and as JSON its numbers, or its problems."""
    try:
        document = read_plan_file(path)
    except PlanFileError as error:
        unread = Problem(path="", message=error.message, hint=error.hint).model_dump()
        place = {"file": str(path), "line": error.line, "column": error.column}
        return None, {"file": str(path), "valid": False, "problems": [place | unread]}
    plan, problems = check_plan(document)
    file = PlanFile(plan=plan, document=document) if plan else None
    told = [{"file": str(path), **problem.model_dump()} for problem in problems]
    return file, {"file": str(path), "valid": file is not None, **(file.numbers() if file else {}), "problems": told}


def valid_plan(path: Path, *, as_json: bool = False) -> PlanFile:
    """Read and validate; every problem is shown and exits 2. As JSON it is what `validate --json` says."""
    if not as_json:
        return valid_document(read_plan_file(path), str(path))
    file, facts = checked(path)
    if file is None:
        say_json(facts)
        raise SystemExit(ExitCode.INVALID)
    return file


def valid_document(document: object, where: str) -> PlanFile:
    """Validate a document that was read already."""
    plan, problems = check_plan(document)
    if plan is None:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        complain(f"{where}: {count}")
        show_problems(problems)
        complain(f"next: mend {'it' if len(problems) == 1 else 'them'}, then `holdfast validate {where}` again")
        raise SystemExit(ExitCode.INVALID)
    return PlanFile(plan=plan, document=document)


def is_of_our_lab(plan: Plan) -> bool:
    """Whether everything the plan touches is a lab of this user that runs on this machine.

    That an address is of this machine says little: behind it may be a `kubectl port-forward`.
    """
    ours = {address_in(one) for one in notes.addresses_of(notes.Kind.LAB)}
    return all(address_of(str(url)) in ours for _, url in addresses_in(plan.model_dump(by_alias=True)))


def is_local(plan: Plan) -> bool:
    """Whether everything the plan touches is on this machine."""
    return all(address_of(str(url)).is_loopback for _, url in addresses_in(plan.model_dump(by_alias=True)))


def mention_refusals(plan: Plan) -> None:
    """Warn of what a worker would refuse that has the settings of this terminal; the worker's own are what counts."""
    try:
        rails = Settings.from_environment(os.environ).guardrails(os.environ.get("TEMPORAL_ADDRESS", ""))
    except HoldfastError as error:
        complain(f"warning: a worker with this terminal's settings would not start: {error.message}")
        return
    problems = outside(plan, rails)
    if problems:
        complain("warning: a worker with this terminal's settings would refuse it")
        for problem in problems[:_MOST_MENTIONED]:
            complain(f"  {problem.path}: {problem.message}")
            complain(f"    {problem.hint}")
        if len(problems) > _MOST_MENTIONED:
            complain(f"  ... and {len(problems) - _MOST_MENTIONED} more")


def confirm(file: PlanFile, *, unasked: bool, question: str = "", also: str = "") -> None:
    """Ask once before a system is touched, unless that needs no question; without a terminal only `--yes` answers.

    `also` is what the run does beside breaking services.
    """
    if unasked:
        return
    names = ", ".join(file.plan.service_names)
    most = most_at_once(file.plan)
    together = "one at a time" if most == 1 else f"up to {most} at once"
    breaks = f"This really breaks {names} in {file.plan.system.namespace}, {together}."
    if len(file.plan.services) > 1:
        breaks += f" Where the worker allows two faults at once ({MAX_ACTIVE_FAULTS}), it may break pairs as well."
    question = question or " ".join(part for part in (breaks, also, "Go on?") if part)
    if not on_terminal(sys.stdin):
        complain(f"error: {question} There is no terminal to ask on: say --yes")
        raise SystemExit(ExitCode.INVALID)
    if not click.confirm(question, default=False):
        complain("nothing was touched. next: `holdfast preview` shows what a run would do")
        raise SystemExit(ExitCode.REFUSED)
