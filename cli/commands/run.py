"""`holdfast run`: from a plan file to a verdict."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import click

from cli.commands.preview import preview_of, show_preview
from cli.console import (
    STANDARD_OUTPUT,
    as_holdfast_error,
    clear_errors,
    complain,
    error_facts,
    say,
    survives_lost_output,
    write_file,
)
from cli.following import announce, follow
from cli.options import CLEAN, PLAN, QUIET, VERIFY_PAIRS, WAIT, YES
from cli.plans import confirm, is_our_lab, more_than_usual, valid_definition, warn_of_refusals
from cli.report_files import ReportFiles, report_options
from cli.results import show_conclusion, show_outcome
from cli.run_report import write_report
from cli.ui.next_steps import after_run
from domain.errors import HoldfastError
from domain.executions.execution import IfBusy, Leftovers
from domain.executions.outcome import ExitCode, RunOutcome
from domain.executions.start_options import StartOptions
from operations.connection import connect_quietly
from operations.definitions import DefinitionFile, PlanFile
from operations.environment import task_queue
from operations.processes.interrupts import Interrupts
from operations.runs.follow import Detached, mention_missing_worker
from operations.runs.start import start
from reports.forms.registry import FORMS, JSON


@click.command()
@PLAN
@click.option("--detach", is_flag=True, help="Start the run and return; it goes on in the worker.")
@click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the outcome to this file, as JSON; with --quiet, - is standard output.",
)
@report_options(*(form for form in FORMS if form is not JSON))
@QUIET
@YES
@WAIT
@click.option("--force", is_flag=True, help="If another run holds the namespace: have it cancelled and cleaned up.")
@CLEAN
@VERIFY_PAIRS
@click.option("--dry-run", is_flag=True, help="Show what the run would do, as `holdfast preview` does, and end.")
@clear_errors
@survives_lost_output
def run(
    plan: Path,
    json_file: Path | None,
    *,
    quiet: bool,
    detach: bool,
    yes: bool,
    wait: bool,
    force: bool,
    clean: bool,
    verify_pairs: float | None,
    dry_run: bool,
    files: ReportFiles,
) -> None:
    """Run a plan and wait for its verdict.

    While another run holds the namespace, this run is refused, unless --wait or --force is given. It is also refused
    while something is switched on in the plan's services. With --clean, that is removed first: every recording and
    rule, no matter who made it, and the faults of Holdfast.

    --quiet shows no progress, only the result; remarks go to standard error.

    --html, --markdown and --junit write the report of the run when it has ended, however it ended. --json writes the
    outcome alone; `holdfast report ID --json` writes the report as JSON.

    Ctrl-C cancels the run and waits until everything is off. A second Ctrl-C stops waiting; recovery goes on in the
    worker.

    Exit codes: 0 passed, 1 failed, 2 invalid plan, 3 run failed, 4 stopped, 5 recovery unverified, 6 inconclusive,
    7 refused with nothing touched, 8 standard output lost, 130 cancelled.
    """
    _check_outputs(files, json_file, follows=not (detach or dry_run), dry_run=dry_run, quiet=quiet)
    if wait and force:
        raise click.UsageError("--wait and --force exclude each other: wait for the other run, or have it cancelled")
    options = StartOptions(
        if_busy=IfBusy.WAIT if wait else IfBusy.REPLACE if force else IfBusy.REFUSE,
        leftovers=Leftovers.CLEAN if clean else Leftovers.REFUSE,
        verify_pairs=verify_pairs,
    )
    file = valid_definition(plan)
    extra_warnings = more_than_usual(file, options)
    if dry_run:
        _show_only(file, plan, extra_warnings, json_file)
        return
    ours = isinstance(file, PlanFile) and is_our_lab(file.plan)
    confirm(file, assume_yes=yes or ours, also=" ".join(extra_warnings))
    try:
        code = asyncio.run(_run(file, options, json_file, files, detach=detach, quiet=quiet))
    except HoldfastError as error:
        if json_file != STANDARD_OUTPUT:  # `clear_errors` writes it there.
            _write_outcome(json_file, error_facts(as_holdfast_error(error)))
        raise
    raise SystemExit(code)


def _show_only(file: DefinitionFile, path: Path, extra_warnings: list[str], json_file: Path | None) -> None:
    """Show what a run would do.

    Raises:
        click.UsageError: this is not known of this kind.
    """
    if not isinstance(file, PlanFile):
        raise click.UsageError(f"--dry-run is for plans, and this is a {file.kind.name}")
    found = preview_of(file.plan)
    show_preview(found, path)
    warn_of_refusals(file.plan)
    for line in extra_warnings:
        say(line)
    _write_outcome(json_file, found.model_dump(mode="json"))


def _check_outputs(files: ReportFiles, json_file: Path | None, *, follows: bool, dry_run: bool, quiet: bool) -> None:
    files.check(json=json_file)
    if files and not follows:
        raise click.UsageError("a report is written only when the run has ended: use `holdfast report ID` then")
    if files.to_standard_output:
        raise click.UsageError("a run's report cannot go to standard output: give it a file")
    if json_file != STANDARD_OUTPUT:
        return
    if dry_run:
        raise click.UsageError("standard output shows the preview: give the outcome a file, or use `holdfast preview`")
    if not quiet:
        raise click.UsageError("standard output shows the progress of the run: give the outcome a file, or add --quiet")


async def _run(
    file: DefinitionFile,
    options: StartOptions,
    json_file: Path | None,
    files: ReportFiles,
    *,
    detach: bool,
    quiet: bool,
) -> ExitCode:
    queue = task_queue()
    remark = complain if quiet else say
    with Interrupts() as interrupts:
        client = await interrupts.during(connect_quietly())
        if not quiet:
            say(file.summary())
        handle = await start(client, file, options, interrupts, remark, queue=queue)
        if not quiet:
            announce(client, handle)
        facts: dict[str, Any] = {"workflow_id": handle.id, "run_id": handle.run_id}
        if detach:
            await mention_missing_worker(client, handle, queue, remark)
            remark(f"next: `holdfast watch {file.name}` follows it, `holdfast cancel {file.name}` ends it")
            _write_outcome(json_file, facts | {"exit_code": ExitCode.PASSED})
            return ExitCode.PASSED
        try:
            outcome = await follow(client, handle, interrupts, queue, quiet=quiet)
        except Detached as why:
            remark(str(why))
            _write_outcome(json_file, facts | {"exit_code": ExitCode.CANCELLED})
            if files:
                complain(f"no report: the run goes on. `holdfast report {file.name}` writes one")
            return ExitCode.CANCELLED
    return await _show_end(file, outcome, json_file, files, quiet=quiet)


async def _show_end(
    file: DefinitionFile, outcome: RunOutcome, json_file: Path | None, files: ReportFiles, *, quiet: bool
) -> ExitCode:
    """Show how the run ended, and write the wanted files."""
    if not quiet:
        await show_outcome(outcome)
        say(f"next: {after_run(outcome, file.name)}")
    elif json_file != STANDARD_OUTPUT:
        show_conclusion(outcome)
    _write_outcome(json_file, outcome.model_dump(mode="json"))
    return await write_report(files, file, outcome, complain if quiet else say)


def _write_outcome(json_file: Path | None, facts: dict[str, Any]) -> None:
    if json_file == STANDARD_OUTPUT:
        say(json.dumps(facts, indent=2))
    elif json_file:
        write_file(json_file, json.dumps(facts, indent=2) + "\n", overwrite=True)
