"""Plans on the command line: read, validated, and confirmed before use."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from cli.console import complain, on_terminal, say_json, show_problems
from cli.ui.resilience.pairs import pairs_promise
from clients.local import notes
from clients.plans.files import read_plan_file
from clients.settings import Settings
from domain.addresses import address_in, address_of
from domain.errors import HoldfastError
from domain.executions.execution import Leftovers
from domain.executions.outcome import ExitCode
from domain.executions.start_options import StartOptions
from domain.guardrails.check import outside
from domain.plans.addresses import addresses_in
from domain.plans.plan import Plan
from operations.definitions import DefinitionFile, PlanFile, check_file, validate_definition

_MOST_MENTIONED = 10
_CLEANING = (
    "First, it removes every recording and rule of these services, no matter who made them, and the faults of "
    "Holdfast in {plan.system.namespace}."
)


def valid_definition(path: Path, *, as_json: bool = False) -> DefinitionFile:
    """Read and validate a file of any kind, or show every problem and exit 2.

    With `as_json`, the problems are printed as `validate --json` prints them.
    """
    if not as_json:
        return valid_document(read_plan_file(path), str(path))
    file, facts = check_file(path)
    if file is None:
        say_json(facts)
        raise SystemExit(ExitCode.INVALID)
    return file


def valid_plan(path: Path, *, as_json: bool = False) -> PlanFile:
    """Read and validate a plan, as `valid_definition` does any kind.

    Raises:
        click.UsageError: the file is valid, but not a plan.
    """
    file = valid_definition(path, as_json=as_json)
    if not isinstance(file, PlanFile):
        raise click.UsageError(f"{path} is a {file.kind.name}, and this command takes only plans")
    return file


def valid_document(document: object, where: str) -> DefinitionFile:
    """Validate a document, or show every problem and exit 2."""
    file, problems = validate_definition(document)
    if file is None:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        complain(f"{where}: {count}")
        show_problems(problems)
        complain(f"next: fix {'it' if len(problems) == 1 else 'them'}, then `holdfast validate {where}` again")
        raise SystemExit(ExitCode.INVALID)
    return file


def is_our_lab(plan: Plan) -> bool:
    """Return whether the plan touches only this user's labs on this machine.

    A local address alone proves little: a `kubectl port-forward` may be behind it.
    """
    ours = {address_in(address) for address in notes.addresses_of(notes.Kind.LAB)}
    return all(address_of(str(url)) in ours for _, url in addresses_in(plan.model_dump(by_alias=True)))


def is_local(plan: Plan) -> bool:
    """Return whether everything that the plan touches is on this machine."""
    return all(address_of(str(url)).is_loopback for _, url in addresses_in(plan.model_dump(by_alias=True)))


def warn_of_refusals(plan: Plan) -> None:
    """Warn of what a worker with this terminal's settings would refuse.

    It is only a warning, because the settings that count are those of the real worker.
    """
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


def more_than_usual(file: DefinitionFile, options: StartOptions) -> list[str]:
    """Return a sentence for each option that makes a run do more.

    Raises:
        click.UsageError: an option is given that only plans have.
    """
    cleans = options.leftovers is Leftovers.CLEAN
    if not isinstance(file, PlanFile):
        if cleans or options.verify_pairs is not None:
            raise click.UsageError(f"--clean and --verify-pairs are for plans, and this is a {file.kind.name}")
        return []
    cleaning = [_CLEANING.format(plan=file.plan)] if cleans else []
    return cleaning + ([pairs_promise(file.plan, options.verify_pairs)] if options.verify_pairs is not None else [])


def confirm(file: DefinitionFile, *, assume_yes: bool, question: str = "", also: str = "") -> None:
    """Ask once before anything is broken, and exit without consent.

    Nothing is asked with `assume_yes`, or if nothing will be broken. Without a terminal, only `--yes` gives consent:
    exit with 2. A refusal exits with 7. `also` names what the run does besides breaking services.
    """
    warning = file.kind.warning(file.definition)
    if assume_yes or not (warning or question):
        return
    question = question or " ".join(part for part in (warning, also, "Go on?") if part)
    if not on_terminal(sys.stdin):
        complain(f"error: {question} There is no terminal to ask on: use --yes")
        raise SystemExit(ExitCode.INVALID)
    if not click.confirm(question, default=False):
        complain("nothing was touched. next: `holdfast preview` shows what a run would do")
        raise SystemExit(ExitCode.REFUSED)
