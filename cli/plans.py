"""Plans on the command line: read, validated, and asked about before a system is touched."""

from __future__ import annotations

import ipaddress
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from cli.console import complain, on_terminal, say_json, show_problems
from cli.exit_codes import ExitCode
from clients.plan_files import PlanFileError, read_plan_file
from workflows.contracts.errors import Problem
from workflows.contracts.plan import Plan
from workflows.logic.cases import case_count
from workflows.logic.durations import most_at_once
from workflows.logic.validation import check_plan

PLAN = click.argument("plan", type=click.Path(path_type=Path, allow_dash=True))
"""A plan's file; `-` is standard input."""


@dataclass(frozen=True)
class PlanFile:
    """A valid plan, and the document it came from, which is what a run is started with."""

    plan: Plan
    document: Any

    def summary(self) -> str:
        """One line."""
        plan, numbers = self.plan, self.numbers()
        where = f"namespace {plan.system.namespace} of {plan.environment}"
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
            "environment": plan.environment,
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


def is_local(plan: Plan) -> bool:
    """Whether everything the plan touches is on this machine."""
    system = plan.system
    login = [plan.request.login.url] if plan.request.login else []
    urls = (system.proxy, system.faults, plan.request.url, *login, *system.services.values())
    return all(_loopback(url) for url in urls)


def _loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def confirm(file: PlanFile, *, yes: bool, question: str = "", also: str = "") -> None:
    """Ask once before touching a system that is not on this machine; without a terminal only `--yes` answers.

    `also` is what the run does beside breaking services.
    """
    if yes or is_local(file.plan):
        return
    names = ", ".join(file.plan.service_names)
    most = most_at_once(file.plan)
    together = "one at a time" if most == 1 else f"up to {most} at once"
    breaks = f"This really breaks {names} in {file.plan.system.namespace}, {together}."
    question = question or " ".join(part for part in (breaks, also, "Go on?") if part)
    if not on_terminal(sys.stdin):
        complain(f"error: {question} There is no terminal to ask on: say --yes")
        raise SystemExit(ExitCode.INVALID)
    if not click.confirm(question, default=False):
        complain("nothing was touched. next: `holdfast preview` shows what a run would do")
        raise SystemExit(ExitCode.REFUSED)
