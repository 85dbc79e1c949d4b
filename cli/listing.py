"""`holdfast list`: the runs that the store knows, newest first."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import click

from cli.columns import aligned
from cli.console import AS_JSON, clear_errors, say, say_json
from cli.halting import mention_halt
from cli.results import ask_store
from cli.spans import in_words
from clients.store.executions import MOST_LISTED
from clients.store.read_models import ExecutionRow
from workflows.contracts.execution import RunStatus
from workflows.names import run_workflow_id

_HEADINGS = ("execution", "plan", "namespace", "status", "verdict", "recovery", "started", "took")
_RIGHT = {0, 7}


@click.command("list")
@click.option("--plan", metavar="NAME", help="Only runs of this plan.")
@click.option("--limit", type=click.IntRange(1, MOST_LISTED), default=20, show_default=True, help="So many at most.")
@AS_JSON
@clear_errors
def list_runs(plan: str | None, limit: int, *, as_json: bool) -> None:
    """List runs, newest first: how they stand or ended, and whether everything is off.

    Only the store is asked; HOLDFAST_DATABASE_URL must be the worker's.
    """
    rows = asyncio.run(_rows(limit, plan))
    now = datetime.now(UTC)
    if as_json:
        say_json([_facts(row, now) for row in rows])
        return
    if not rows:
        say(f"the store has no run of {plan}" if plan else "the store has no run")
        say("next: `holdfast run PLAN` makes one")
        return
    for line in aligned(_HEADINGS, [cells(row, now) for row in rows], _RIGHT):
        say(line)
    say(f"next: `holdfast status {_known_as(rows[0])}` shows the newest one in full")


async def _rows(limit: int, plan: str | None) -> list[ExecutionRow]:
    await mention_halt()
    return await ask_store(lambda store: store.latest_executions(limit, plan))


def cells(row: ExecutionRow, now: datetime) -> tuple[str, ...]:
    """One row for people."""
    running = row.run_status is RunStatus.RUNNING
    status = f"running, {row.status}" if running else str(row.error_code or row.run_status)
    return (
        str(row.execution_id),
        row.plan,
        row.namespace,
        status,
        str(row.verdict or ""),
        str(row.recovery or "not yet"),
        f"{row.started_at.astimezone(UTC):%Y-%m-%d %H:%M:%SZ}",
        in_words(_duration(row, now)) + (" so far" if running else ""),
    )


def _facts(row: ExecutionRow, now: datetime) -> dict[str, object]:
    return row.model_dump(mode="json") | {"duration_seconds": round(_duration(row, now).total_seconds(), 3)}


def _duration(row: ExecutionRow, now: datetime) -> timedelta:
    return max((row.finished_at or now) - row.started_at, timedelta(0))


def _known_as(row: ExecutionRow) -> str:
    """What `status` calls it: the plan's name, unless the run was started under an id of its own."""
    return row.plan if row.workflow_id == run_workflow_id(row.plan) else row.workflow_id
