"""`holdfast run`: from a plan file to a verdict."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import click
from temporalio.client import Client

from cli.connection import connected
from cli.console import QUIET, STANDARD_OUTPUT, acts, clear_errors, complain, error_facts, say, understood, write_file
from cli.exit_codes import ExitCode, RunOutcome
from cli.following import Detached, Follower, Run, Say, mention_missing_worker, untold
from cli.interrupts import Interrupts
from cli.next_steps import after_run
from cli.pairs import PairShare, pairs_promise
from cli.plans import PLAN, PlanFile, confirm, is_of_our_lab, mention_refusals, valid_plan
from cli.preview import preview_of, show_preview
from cli.report_files import HTML, JUNIT, MARKDOWN, ReportFiles, report_options
from cli.results import show_conclusion, show_outcome
from cli.run_report import write_report
from cli.starting import Wishes, start, task_queue, web_ui_page
from workflows.contracts.errors import HoldfastError
from workflows.contracts.execution import IfBusy, Leftovers

_CLEANING = (
    "First, it removes every recording and rule of these services, whoever made them, and the faults of Holdfast in "
    "{plan.system.namespace}."
)


@click.command()
@PLAN
@click.option("--detach", is_flag=True, help="Start the run and return; it goes on in the worker.")
@click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the outcome to this file, as JSON; with --quiet, - is standard output.",
)
@report_options(HTML, MARKDOWN, JUNIT)
@QUIET
@click.option("--yes", is_flag=True, help="Do not ask before touching anything but a lab of this machine.")
@click.option("--wait", is_flag=True, help="When another run holds the namespace: wait for its end.")
@click.option("--force", is_flag=True, help="When another run holds the namespace: have it cancelled and cleaned up.")
@click.option("--clean", is_flag=True,
              help="When something is on in the plan's services: remove it first, whoever left it.")  # fmt: skip
@click.option("--verify-pairs", type=PairShare(), is_flag=False, flag_value="100%", metavar="[SHARE]",
              help="Run pairs with two real faults as well, all or a share such as 25%, and tell whether those made of "
              "rules agree. Where the answers differ, the real ones decide.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Show what the run would do, as `holdfast preview` does, and end.")
@clear_errors
@acts
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

    While another run holds the namespace this one is refused, unless --wait or --force says otherwise. So it is while
    something is on in the plan's services; with --clean that is removed first: every recording and rule, whoever made
    it, and the faults of Holdfast.

    --quiet shows no progress, only what came of it; remarks are on standard error.

    --html, --markdown and --junit write the report of the run when it has ended, in whatever way. --json is its outcome
    alone; `holdfast report ID --json` is the report as JSON.

    Ctrl-C cancels the run and waits until everything is off; a second Ctrl-C lets go of it.

    Exit codes: 0 passed, 1 failed, 2 invalid plan, 3 run failed, 4 stopped, 5 recovery unverified, 6 inconclusive,
    7 refused with nothing touched, 130 cancelled.
    """
    _check(files, json_file, follows=not (detach or dry_run), shows=dry_run or not quiet)
    if wait and force:
        raise click.UsageError("--wait and --force exclude each other: wait for the other run, or have it cancelled")
    wishes = Wishes(
        if_busy=IfBusy.WAIT if wait else IfBusy.REPLACE if force else IfBusy.REFUSE,
        leftovers=Leftovers.CLEAN if clean else Leftovers.REFUSE,
        verify_pairs=verify_pairs,
    )
    file = valid_plan(plan)
    also = [_CLEANING.format(plan=file.plan)] if clean else []
    also += [pairs_promise(file.plan, verify_pairs)] if verify_pairs is not None else []
    if dry_run:
        found = preview_of(file.plan)
        show_preview(found, plan)
        mention_refusals(file.plan)
        for line in also:
            say(line)
        _write(json_file, found.model_dump(mode="json"))
        return
    confirm(file, unasked=yes or is_of_our_lab(file.plan), also=" ".join(also))
    try:
        code = asyncio.run(_run(file, wishes, json_file, files, detach=detach, quiet=quiet))
    except HoldfastError as error:
        _write(json_file, error_facts(understood(error)))
        raise
    raise SystemExit(code)


def _check(files: ReportFiles, json_file: Path | None, *, follows: bool, shows: bool) -> None:
    files.check(json=json_file)
    if files and not follows:
        raise click.UsageError("a report is written when the run has ended: `holdfast report ID` writes it then")
    if files.to_standard_output or (json_file == STANDARD_OUTPUT and shows):
        what = "report a file" if files.to_standard_output else "outcome a file, or say --quiet"
        raise click.UsageError(f"standard output shows how the run goes on: give the {what}")


async def _run(
    file: PlanFile, wishes: Wishes, json_file: Path | None, files: ReportFiles, *, detach: bool, quiet: bool
) -> ExitCode:
    queue = task_queue()
    remark = complain if quiet else say
    with Interrupts() as interrupts:
        client = await interrupts.during(connected())
        if not quiet:
            say(file.summary())
        handle = await start(client, file, wishes, interrupts, remark, queue=queue)
        if not quiet:
            announce(client, handle)
        facts: dict[str, Any] = {"workflow_id": handle.id, "run_id": handle.run_id}
        if detach:
            await mention_missing_worker(client, handle, queue, remark)
            remark(f"next: `holdfast watch {file.plan.name}` follows it, `holdfast cancel {file.plan.name}` ends it")
            _write(json_file, facts | {"exit_code": ExitCode.PASSED})
            return ExitCode.PASSED
        try:
            outcome = await follow(client, handle, interrupts, queue, quiet=quiet)
        except Detached as why:
            remark(str(why))
            outcome = None
    if outcome is None:
        _write(json_file, facts | {"exit_code": ExitCode.CANCELLED})
        if files:
            complain(f"no report: the run goes on. `holdfast report {file.plan.name}` writes one")
        return ExitCode.CANCELLED
    if not quiet:
        await show_outcome(outcome)
        say(f"next: {after_run(outcome, file.plan.name)}")
    elif json_file != STANDARD_OUTPUT:
        show_conclusion(outcome)
    _write(json_file, outcome.model_dump(mode="json"))
    return await write_report(files, file.plan, outcome, remark)


def announce(client: Client, handle: Run, ui: str = "") -> None:
    """Say that the server has accepted the run, and under which names."""
    say(f"started {handle.id}, run {handle.run_id}")
    page = web_ui_page(client, handle, ui)
    if page:
        say(f"  {page}")


async def follow(client: Client, handle: Run, interrupts: Interrupts, queue: str, *, quiet: bool = False) -> RunOutcome:
    """Follow to the end.

    Raises:
        Detached: the operator let go.
    """
    remark: Say = complain if quiet else say
    reminding = asyncio.create_task(mention_missing_worker(client, handle, queue, remark))
    try:
        return await Follower(client, handle, remark, untold if quiet else None).follow(interrupts)
    finally:
        reminding.cancel()
        await asyncio.gather(reminding, return_exceptions=True)


def _write(json_file: Path | None, facts: dict[str, Any]) -> None:
    if json_file == STANDARD_OUTPUT:
        say(json.dumps(facts, indent=2))
    elif json_file:
        write_file(json_file, json.dumps(facts, indent=2) + "\n", overwrite=True)
