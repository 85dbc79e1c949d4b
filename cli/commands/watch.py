"""`holdfast watch`: a run's progress until its end.

It is shown as a live view, as lines, as JSON, or not at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import click

from cli.console import clear_errors, complain, live, one_line, say
from cli.options import AS_JSON, QUIET, RUN_ID
from cli.results import show_conclusion, show_outcome
from cli.ui.live import LiveView
from cli.ui.next_steps import after_run
from cli.ui.panels import Panels
from domain.executions.outcome import ExitCode, RunOutcome
from domain.executions.state import ExecutionState
from operations.connection import connect_quietly
from operations.processes.interrupts import Interrupts
from operations.runs.find import find_run
from operations.runs.follow import Detached, Follower, Say, Tell, no_lines

MOST_TROUBLES = 20
"""Most warnings and errors that are repeated when the live view is gone."""


@click.command()
@RUN_ID
@QUIET
@AS_JSON
@clear_errors
def watch(run_id: str, *, quiet: bool, as_json: bool) -> None:
    """Show a run's progress until its end.

    ID is a plan's name or a workflow id.

    In a terminal, this is a view that redraws itself. It shows the stages and how long they took, what is switched on
    now, the panels of `status`, and the log. The log comes from the store if that can be read (HOLDFAST_DATABASE_URL
    must be the worker's). Elsewhere, each change is printed as a line.

    With --json, each change prints the run's state as one line, and the end prints the outcome. Ctrl-C stops watching;
    the run goes on. Exit codes are those of `holdfast run`.
    """
    raise SystemExit(asyncio.run(_watch(run_id, quiet=quiet, as_json=as_json)))


async def _watch(run_id: str, *, quiet: bool, as_json: bool) -> int:
    remark = complain if as_json or quiet else say
    with Interrupts() as interrupts:
        client = await interrupts.during(connect_quietly())
        handle = await interrupts.during(find_run(client, run_id))
        if not quiet:
            remark(f"{handle.id}, run {handle.run_id}")
        try:
            async with _display(run_id, quiet=quiet, as_json=as_json) as (show_remark, render):
                outcome = await Follower(client, handle, show_remark, render).follow(interrupts, cancel_first=False)
        except Detached as why:
            remark(f"{why}. To end it: `holdfast cancel {run_id}`")
            return ExitCode.CANCELLED
    await _show_outcome(outcome, run_id, quiet=quiet, as_json=as_json)
    return outcome.exit_code


async def _show_outcome(outcome: RunOutcome, run_id: str, *, quiet: bool, as_json: bool) -> None:
    if as_json:
        say(outcome.model_dump_json())
    elif quiet:
        show_conclusion(outcome)
    else:
        await show_outcome(outcome)
        say(f"next: {after_run(outcome, run_id)}")


@asynccontextmanager
async def _display(run_id: str, *, quiet: bool, as_json: bool) -> AsyncIterator[tuple[Say, Tell]]:
    """Choose how to show the run: functions for remarks and for states.

    With --quiet or --json, remarks go to standard error, because they are not facts.
    """
    if quiet:
        yield complain, no_lines
    elif as_json:
        yield complain, _JsonLines().lines
    elif not live():
        yield say, Panels().lines
    else:
        view = LiveView(f"Ctrl-C stops watching, the run goes on. `holdfast status {run_id}` shows every line of this")
        try:
            async with view:
                yield view.say, view.lines
        finally:
            _repeat(view)


def _repeat(view: LiveView) -> None:
    """Repeat warnings and errors that disappeared with the live view."""
    troubles = view.troubles()
    if len(troubles) > MOST_TROUBLES:
        say(f"the newest {MOST_TROUBLES} of {len(troubles)} warnings and errors in the log:")
    for entry in troubles[-MOST_TROUBLES:]:
        say(f"{entry.ts:%H:%M:%S}  {entry.level.name:<5}  {one_line(entry.message)}")


class _JsonLines:
    """Prints a state as JSON whenever it would show something new."""

    def __init__(self) -> None:
        self._panels = Panels()

    def lines(self, state: ExecutionState) -> list[str]:
        if self._panels.lines(state):
            say(state.model_dump_json())
        return []
