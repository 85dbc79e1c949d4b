"""`holdfast logs`: a run's log from the store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from cli.console import clear_errors, complain, one_line, say, say_json
from cli.options import AS_JSON, RUN_ID
from clients.store.read_models import ExecutionRow, LogEntry, LogLevel
from clients.store.store import Store
from domain.errors import ErrorCode, HoldfastError
from operations.processes.interrupts import Interrupts
from operations.runs.find_stored import find_stored_run
from operations.stores import existing_store, query_store

LOOK_EVERY = 1.0
"""Seconds between two reads of a log that is followed."""

REREAD = timedelta(minutes=1)
"""How much of the log each read repeats, to find late lines.

Lines carry their worker's time. The clocks of two workers may differ, and a line may wait for its turn to be written.
So lines may reach the store in another order than their times.
"""

HINT_AFTER = timedelta(minutes=5)
"""Time without a new line before we show where else to look."""

STORE_RETRY_LIMIT = timedelta(minutes=2)
"""How long we retry a store that no longer answers."""

_COLOURS = {LogLevel.WARN: "yellow", LogLevel.ERROR: "red"}
_LEVELS = [level.name.lower() for level in LogLevel]

PrintLines = Callable[[list[LogEntry]], None]


@click.command()
@RUN_ID
@click.option("--follow", "-f", is_flag=True, help="Show new lines until the run ends.")
@click.option(
    "--level",
    type=click.Choice(_LEVELS, case_sensitive=False),
    default=LogLevel.INFO.name.lower(),
    show_default=True,
    help="Only lines of this level or above.",
)
@AS_JSON
@clear_errors
def logs(run_id: str, level: str, *, follow: bool, as_json: bool) -> None:
    """Show a run's log, oldest line first.

    ID is a plan's name, a workflow id, or an execution id.

    Times are UTC. Only the store is read; HOLDFAST_DATABASE_URL must be the worker's. With --follow and --json, each
    line of the log is one line of JSON.

    The exit code is 0 however the run ended. Ctrl-C ends following with 130.
    """
    min_level = LogLevel[level.upper()]
    asyncio.run(_follow(run_id, min_level, as_json=as_json) if follow else _show(run_id, min_level, as_json=as_json))


async def _show(run_id: str, min_level: LogLevel, *, as_json: bool) -> None:
    async def question(store: Store) -> tuple[ExecutionRow, list[LogEntry]]:
        row = await find_stored_run(store, run_id)
        return row, await store.logs.of(row.execution_id)

    row, lines = await query_store(question)
    wanted = [line for line in lines if line.level >= min_level]
    if as_json:
        say_json([_facts(line) for line in wanted])
        return
    _print_text(wanted)
    complain(_summary(row, len(lines), len(wanted)))


def _summary(row: ExecutionRow, lines: int, shown: int) -> str:
    whole = f"{shown} lines" if shown == lines else f"{shown} of {lines} lines, `--level debug` shows all"
    following = f". next: `holdfast logs {row.execution_id} --follow` goes on" if row.finished_at is None else ""
    return f"(execution {row.execution_id} of plan {row.plan}: {whole}{following})"


async def _follow(run_id: str, min_level: LogLevel, *, as_json: bool) -> None:
    print_lines: PrintLines = _print_json if as_json else _print_text
    with Interrupts() as interrupts:
        store = await interrupts.during(existing_store())
        try:
            row = await interrupts.during(find_stored_run(store, run_id))
            await interrupts.during(LogFollower(store, row, min_level, print_lines).follow())
        finally:
            await store.close()


class LogFollower:
    """Shows each line of a run's log once, as it arrives."""

    def __init__(self, store: Store, run: ExecutionRow, min_level: LogLevel, print_lines: PrintLines) -> None:
        self._store = store
        self._execution_id = run.execution_id
        self._known_as = run.workflow_id
        self._min_level = min_level
        self._print = print_lines
        self._newest: datetime | None = None
        self._printed: set[int] = set()

    async def follow(self) -> None:
        """Show lines until the run's end is stored.

        The end is stored after the last line of the log (`activities/run/ended_runs.py`).
        """
        clock = asyncio.get_running_loop().time
        newest = self._newest
        since = clock()
        while not await self._look_patiently():
            if self._newest != newest:
                newest = self._newest
                since = clock()
            elif clock() - since > HINT_AFTER.total_seconds():
                # A run whose workers are gone never ends in the store, and nothing in its log shows that.
                complain(f"(nothing new for a while: `holdfast status {self._known_as}` shows the state of the run)")
                since = clock()
            await asyncio.sleep(LOOK_EVERY)

    async def _look_patiently(self) -> bool:
        """Look as `_look` does, and retry while the store does not answer.

        Raises:
            HoldfastError: the store's own error. STORE_UNAVAILABLE only when it has not answered for too long.
        """
        clock = asyncio.get_running_loop().time
        since = clock()
        while True:
            try:
                return await self._look()
            except HoldfastError as error:
                if error.code is not ErrorCode.STORE_UNAVAILABLE or clock() - since > STORE_RETRY_LIMIT.total_seconds():
                    raise
                complain(f"({error.message}: trying again)")
                await asyncio.sleep(LOOK_EVERY)

    async def _look(self) -> bool:
        """Show the new lines.

        Returns whether the run had ended before they were read.
        """
        # In this order: once the end is stored, no more lines come.
        row = await self._store.executions.row(self._execution_id)
        since = self._newest - REREAD if self._newest else None
        lines = await self._store.logs.of(self._execution_id, since)
        new = [line for line in lines if line.entry_id not in self._printed]
        # Older lines are not read again, so we need not remember them.
        self._printed = {line.entry_id for line in lines}
        self._newest = max((line.ts for line in lines), default=self._newest)
        self._print([line for line in new if line.level >= self._min_level])
        return row.finished_at is not None


def _print_text(lines: list[LogEntry]) -> None:
    for line in lines:
        say(line_text(line), colour=_COLOURS.get(line.level))


def _print_json(lines: list[LogEntry]) -> None:
    for line in lines:
        say_json(_facts(line), indent=None)


def line_text(line: LogEntry) -> str:
    """Format a log line for people, always on a single line."""
    moment = f"{line.ts.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}"[:-3]
    return f"{moment}Z  {line.level.name:<5}  {one_line(line.message)}"


def _facts(line: LogEntry) -> dict[str, Any]:
    return line.model_dump(mode="json", include={"ts", "message"}) | {"level": line.level.name}
