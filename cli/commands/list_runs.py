"""`holdfast list`: the runs in the store, newest first."""

from __future__ import annotations

import asyncio
import shlex
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import click

from cli.console import clear_errors, one_line, say, say_json
from cli.halt_notice import mention_halt
from cli.options import AS_JSON
from cli.ui.columns import aligned
from cli.ui.moments import moment
from cli.ui.spans import in_words
from clients.store.read_models import ExecutionRow, RunFilter
from clients.store.repositories.executions import MOST_LISTED
from clients.store.store import Store
from domain.executions.execution import Recovery, RunStatus, Verdict
from domain.executions.starting import LARGEST_ID
from domain.kinds import kind_named
from domain.resilience.model import RESILIENCE_TEST
from operations.stores import query_store

_HEADINGS = ("execution", "plan", "namespace", "status", "verdict", "recovery", "started", "took")
_RIGHT = {0, 7}


def _choice_of(kind: type[StrEnum]) -> click.Choice[str]:
    return click.Choice([member.value for member in kind])


@click.command("list")
@click.option("--plan", metavar="NAME", help="Only runs of this plan, or of another kind's definition.")
@click.option("--kind", "kinds", metavar="KIND", multiple=True, help="Only runs of this kind, such as resilience-test.")
@click.option("--namespace", metavar="NAME", help="Only runs on this namespace.")
@click.option("--status", "statuses", type=_choice_of(RunStatus), multiple=True, help="Only runs with this status.")
@click.option("--verdict", "verdicts", type=_choice_of(Verdict), multiple=True, help="Only runs with this verdict.")
@click.option(
    "--recovery", "recoveries", type=_choice_of(Recovery), multiple=True, help="Only runs with this recovery."
)
@click.option(
    "--since", type=moment, metavar="WHEN", help="Only runs started since then: 2h, 7d, or 2026-11-20T18:30Z."
)
@click.option("--limit", type=click.IntRange(1, MOST_LISTED), default=20, show_default=True, help="Most runs to show.")
@click.option(
    "--before",
    type=click.IntRange(0, LARGEST_ID),
    metavar="EXECUTION",
    help="Only runs older than this one, for the next page.",
)
@AS_JSON
@clear_errors
def list_runs(limit: int, *, as_json: bool, **only: Any) -> None:
    """List runs, newest first, and whether everything is off.

    Each line shows how a run stands or ended. --status, --verdict and --recovery may each be given several times: a run
    must match one of the values. Only the store is read; HOLDFAST_DATABASE_URL must be the worker's.
    """
    wanted = RunFilter.model_validate(only)
    rows = asyncio.run(_rows(limit, wanted))
    now = datetime.now(UTC)
    shown = rows[:limit]
    more = len(rows) > limit
    if as_json:
        say_json([_facts(row, now) for row in shown])
        return
    if not shown:
        _say_no_runs(wanted)
        return
    for line in _table(shown, now):
        say(line)
    if more:
        say(f"there are older ones: `{_next_page(limit, wanted, shown[-1])}`")
    say(f"next: `holdfast status {_known_as(shown[0])}` shows the newest one in full")
    pair = _comparable(shown)
    if pair is not None:
        say(f"      `holdfast compare {pair[0]} {pair[1]}` shows what changed between two runs")


def _table(rows: list[ExecutionRow], now: datetime) -> list[str]:
    """Format runs as lines. Where there is more than one kind, each line names it."""
    if all(row.kind == RESILIENCE_TEST for row in rows):
        return aligned(_HEADINGS, [cells(row, now) for row in rows], _RIGHT)
    return aligned((*_HEADINGS, "kind"), [(*cells(row, now), one_line(row.kind)) for row in rows], _RIGHT)


def _comparable(rows: list[ExecutionRow]) -> tuple[int, int] | None:
    """Return two successive completed runs of one plan, the earlier first."""
    ended: dict[str, int] = {}
    for row in rows:
        if row.run_status is RunStatus.COMPLETED and row.kind == RESILIENCE_TEST:
            if row.plan in ended:
                return row.execution_id, ended[row.plan]
            ended[row.plan] = row.execution_id
    return None


async def _rows(limit: int, only: RunFilter) -> list[ExecutionRow]:
    """Read the matching runs: at most one more than `limit`.

    The additional run shows that there are more.

    Raises:
        HoldfastError: NOT_FOUND for a page after a run that the store does not have.
    """

    async def question(store: Store) -> list[ExecutionRow]:
        if only.before is not None:
            await store.executions.row(only.before)
        return await store.executions.newest(limit + 1, only)

    await mention_halt()
    return await query_store(question)


def _say_no_runs(only: RunFilter) -> None:
    if only == RunFilter():
        say("the store has no runs")
        say("next: `holdfast run PLAN` starts one")
        return
    if only == RunFilter(plan=only.plan):
        say(f"the store has no runs of {only.plan}")
    else:
        say(f"no {'older ' if only.before else ''}runs match")
    say("next: `holdfast list` shows the newest runs")


def _next_page(limit: int, only: RunFilter, last: ExecutionRow) -> str:
    """Return the command for the next page, with the same filters."""
    repeated = {"kind": only.kinds, "status": only.statuses, "verdict": only.verdicts, "recovery": only.recoveries}
    single = {
        "plan": only.plan,
        "namespace": only.namespace,
        "since": only.since and f"{only.since:%Y-%m-%dT%H:%M:%S.%fZ}",
        "limit": limit,
        "before": last.execution_id,
    }
    words = [f"--{name} {shlex.quote(str(value))}" for name, value in single.items() if value is not None]
    words = [f"--{name} {shlex.quote(value)}" for name, values in repeated.items() for value in values] + words
    return " ".join(["holdfast list", *words])


def cells(row: ExecutionRow, now: datetime) -> tuple[str, ...]:
    """Return a run as the cells of a table row, for people."""
    running = row.run_status is RunStatus.RUNNING
    status = f"running, {row.status}" if running else str(row.error_code or row.run_status)
    found = (
        str(row.execution_id),
        row.plan,
        row.namespace,
        status,
        str(row.verdict or ""),
        str(row.recovery or "not yet"),
        f"{row.started_at.astimezone(UTC):%Y-%m-%d %H:%M:%SZ}",
        in_words(_duration(row, now)) + (" so far" if running else ""),
    )
    return tuple(one_line(cell) for cell in found)


def _facts(row: ExecutionRow, now: datetime) -> dict[str, object]:
    return row.model_dump(mode="json") | {"duration_seconds": round(_duration(row, now).total_seconds(), 3)}


def _duration(row: ExecutionRow, now: datetime) -> timedelta:
    return max((row.finished_at or now) - row.started_at, timedelta(0))


def _known_as(row: ExecutionRow) -> str:
    """Return the ID to use with `status`.

    It is the plan's name, unless the run was started under a workflow id of its own.
    """
    kind = kind_named(row.kind)
    return row.plan if kind is not None and row.workflow_id == kind.workflow_id(row.plan) else row.workflow_id
