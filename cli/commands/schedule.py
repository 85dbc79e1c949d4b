"""`holdfast schedule`: runs that start by themselves, on Temporal's schedules."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
from temporalio.client import Client

from cli.console import clear_errors, one_line, say, say_json
from cli.options import AS_JSON, CLEAN, PLAN, VERIFY_PAIRS, WAIT, YES, Duration
from cli.plans import confirm, is_our_lab, more_than_usual, valid_definition, warn_of_refusals
from cli.ui.columns import aligned
from domain.executions.execution import IfBusy, Leftovers
from domain.executions.start_options import StartOptions
from domain.units import format_duration
from operations import schedules
from operations.connection import connect_quietly
from operations.definitions import PlanFile
from operations.environment import task_queue
from operations.schedules import NewSchedule, ScheduledRun, ScheduleFacts, Times

_HEADINGS = ("schedule", "times", "state", "next", "last verdicts")
_NAME = click.argument("name", metavar="NAME")
_SHOWN_TIMES = 3
_SHORTEST = timedelta(minutes=1)
"""Shortest interval of a schedule. No run is over sooner."""


@click.group()
def schedule() -> None:
    """Let runs start by themselves, on Temporal's schedules.

    NAME is a plan's name or a schedule's id. A plan has at most one schedule. While a run that it
    started is still going on, the next one is left out.
    """


@schedule.command()
@PLAN
@click.option(
    "--cron",
    "crons",
    metavar="EXPRESSION",
    multiple=True,
    help="When to start: minute, hour, day of the month, month, day of the week. May be repeated.",
)
@click.option("--every", type=Duration(), help="How often to start: 6h.")
@click.option("--timezone", metavar="NAME", default="UTC", show_default=True, help="Time zone of --cron: Europe/Rome.")
@click.option(
    "--jitter",
    type=Duration(),
    default="0s",
    show_default=True,
    help="Start up to this much later, at random, so that plans do not start at the same moment.",
)
@click.option(
    "--catch-up",
    type=Duration(),
    default="1m",
    show_default=True,
    help="How late a run may start that was due while the Temporal server was away.",
)
@click.option("--replace", is_flag=True, help="Take the place of the plan's schedule.")
@YES
@WAIT
@CLEAN
@VERIFY_PAIRS
@AS_JSON
@clear_errors
def create(
    plan: Path,
    *,
    crons: tuple[str, ...],
    every: timedelta | None,
    timezone: str,
    jitter: timedelta,
    catch_up: timedelta,
    replace: bool,
    yes: bool,
    wait: bool,
    clean: bool,
    verify_pairs: float | None,
    as_json: bool,
) -> None:
    """Start runs of a plan again and again.

    The plan is stored with the schedule: after changing its file, use --replace. Secrets that it names are read by the
    worker at each run.
    """
    if not crons and every is None:
        raise click.UsageError("say when: --cron '0 3 * * 1-5', or --every 6h")
    if every is not None and every < _SHORTEST:
        raise click.UsageError(f"--every is at least {format_duration(_SHORTEST)}")
    file = valid_definition(plan)
    times = Times(crons, every, timezone, jitter, catch_up)
    options = StartOptions(
        if_busy=IfBusy.WAIT if wait else IfBusy.REFUSE,
        leftovers=Leftovers.CLEAN if clean else Leftovers.REFUSE,
        verify_pairs=verify_pairs,
    )
    more = more_than_usual(file, options)
    ours = isinstance(file, PlanFile) and is_our_lab(file.plan)
    confirm(file, assume_yes=yes or ours, also=" ".join([*more, f"It does so {times.in_words()}."]))
    if isinstance(file, PlanFile):
        warn_of_refusals(file.plan)
    facts = asyncio.run(_create(NewSchedule(file, times, task_queue(), options, replace)))
    if as_json:
        say_json(facts.model_dump(mode="json"))
        return
    say(f"scheduled {facts.schedule_id}: {facts.times}")
    say(f"  next: {_moments(facts.next_at[:_SHOWN_TIMES])}")
    name = file.name
    say(f"next: `holdfast schedule show {name}` shows its runs, `holdfast schedule trigger {name}` starts one now")


async def _create(new: NewSchedule) -> ScheduleFacts:
    client = await connect_quietly()
    await schedules.create(client, new)
    _, described = await schedules.find(client, new.schedule_id)
    return await schedules.facts_of(client, described, most_runs=0)


@schedule.command("list")
@AS_JSON
@clear_errors
def list_schedules(*, as_json: bool) -> None:
    """List schedules with the verdicts of their last runs, newest first."""
    found = asyncio.run(_every())
    if as_json:
        say_json([facts.model_dump(mode="json") for facts in found])
        return
    if not found:
        say("there are no schedules")
        say("next: `holdfast schedule create PLAN --cron '0 3 * * *'` makes one")
        return
    for line in aligned(_HEADINGS, [_cells(facts) for facts in found]):
        say(line)
    say(f"next: `holdfast schedule show {found[0].name}` shows runs and coming starts")


async def _every() -> list[ScheduleFacts]:
    return await schedules.every_schedule(await connect_quietly())


@schedule.command()
@_NAME
@AS_JSON
@clear_errors
def show(name: str, *, as_json: bool) -> None:
    """Show a schedule: when it starts runs, and how the last ones ended."""

    async def look() -> ScheduleFacts:
        client = await connect_quietly()
        _, described = await schedules.find(client, name)
        return await schedules.facts_of(client, described)

    facts = asyncio.run(look())
    if as_json:
        say_json(facts.model_dump(mode="json"))
        return
    for line in _lines(facts):
        say(line)


@schedule.command()
@_NAME
@click.option("--reason", default="", help="Why; `show` repeats it.")
@clear_errors
def pause(name: str, reason: str) -> None:
    """Start no more runs until `resume`. A run that is going on goes on."""
    _act(lambda client: schedules.pause(client, name, reason))
    say(f"paused {name}. A run that is going on goes on: `holdfast cancel {name}` ends it")
    say(f"next: `holdfast schedule resume {name}`")


@schedule.command()
@_NAME
@clear_errors
def resume(name: str) -> None:
    """Start runs again when they are due."""
    _act(lambda client: schedules.resume(client, name))
    say(f"resumed {name}")
    say(f"next: `holdfast schedule show {name}` shows the coming starts")


@schedule.command()
@_NAME
@clear_errors
def trigger(name: str) -> None:
    """Start a run now, unless one is going on."""
    _act(lambda client: schedules.trigger(client, name))
    say(f"asked {name} to start now")
    say(f"next: `holdfast watch {name}` follows it")


@schedule.command()
@_NAME
@clear_errors
def delete(name: str) -> None:
    """Delete a schedule. Its runs stay, and one that is going on goes on."""
    _act(lambda client: schedules.delete(client, name))
    say(f"deleted the schedule of {name}")
    say("next: `holdfast schedule list` shows the others")


def _act(change: Callable[[Client], Awaitable[None]]) -> None:
    async def act() -> None:
        await change(await connect_quietly())

    asyncio.run(act())


def _cells(facts: ScheduleFacts) -> tuple[str, ...]:
    return tuple(
        one_line(cell)
        for cell in (
            facts.name,
            facts.times,
            facts.state,
            _moments(facts.next_at[:1]),
            ", ".join(_verdict(run) for run in facts.runs) or "no runs yet",
        )
    )


def _lines(facts: ScheduleFacts) -> list[str]:
    note = f" ({one_line(facts.note)})" if facts.note else ""
    lines = [f"schedule {facts.schedule_id}: {one_line(facts.times)}", f"  {facts.state}{note}"]
    lines += [f"  next: {_moments(facts.next_at[:_SHOWN_TIMES])}"]
    lines += [f"  left out: {facts.skipped} because a run was going on, {facts.missed} missed by the server"]
    if not facts.runs:
        return [*lines, "  no runs yet", f"next: `holdfast schedule trigger {facts.name}` starts one now"]
    rows = [(_moment(run.started_at), _verdict(run), run.recovery or "", run.workflow_id) for run in facts.runs]
    lines += [f"  {line}" for line in aligned(("started", "verdict", "recovery", "run"), rows)]
    return [*lines, f"next: `holdfast report {facts.runs[0].workflow_id}` shows the newest run in full"]


def _verdict(run: ScheduledRun) -> str:
    return run.verdict or run.status.lower()


def _moments(times: list[datetime]) -> str:
    return ", ".join(map(_moment, times)) or "none"


def _moment(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%SZ}"
