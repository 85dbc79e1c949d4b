"""Results from the store, which a pipeline may not have access to."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from cli.console import complain, say
from cli.damage import watched
from cli.ui.pairs import fidelity_lines
from cli.ui.verdict_table import conclusion, table
from clients.settings import Settings
from clients.store.store import Store
from domain.errors import ErrorCode, HoldfastError
from domain.executions.execution import RunSummary
from domain.executions.outcome import ExitCode, RunOutcome
from reports.build.shown_cases import as_shown

T = TypeVar("T")

STORE_PATIENCE = 15.0
"""Seconds before we give up on a database that does not answer."""

LARGEST_TABLE = 5_000
"""Most cases that a table reads from the store. For larger runs, the summary has the worst cases."""

_COLOURS = {ExitCode.PASSED: "green", ExitCode.INCONCLUSIVE: "yellow"}


async def ask_store(
    question: Callable[[Store], Awaitable[T]], database_url: str | None = None, patience: float = STORE_PATIENCE
) -> T:
    """Ask the store one question.

    A missing store is not created: an empty one would answer that all is well.

    Raises:
        HoldfastError: STORE_UNAVAILABLE.
    """
    try:
        async with asyncio.timeout(patience):
            store = await existing_store(database_url)
            try:
                return await question(store)
            finally:
                await store.close()
    except TimeoutError as error:
        raise HoldfastError(
            ErrorCode.STORE_UNAVAILABLE, "the database does not answer", hint="check HOLDFAST_DATABASE_URL"
        ) from error


async def existing_store(database_url: str | None = None) -> Store:
    """Open this store, or else the configured one. The caller closes it.

    Raises:
        HoldfastError: STORE_UNAVAILABLE, also when there is no store yet.
    """
    url = database_url or Settings.from_environment(os.environ).database_url
    _must_exist(url)
    return watched(await Store.open(url))


def _must_exist(url: str) -> None:
    try:
        parsed = make_url(url)
    except ArgumentError:
        return  # Opening the store reports this.
    file = parsed.database or ""
    if parsed.get_backend_name() == "sqlite" and not Path(file).is_file():
        raise HoldfastError(
            ErrorCode.STORE_UNAVAILABLE,
            f"there is no database {file}",
            hint="go to the folder where the worker runs, or set HOLDFAST_DATABASE_URL as the worker has it",
        )


async def show_outcome(outcome: RunOutcome, database_url: str | None = None) -> None:
    """Show the table of cases, then what came of the run.

    If the store cannot be read, the table has only the failed and the inconclusive cases of the run's summary.
    """
    if outcome.summary:
        say()
        for line in await _cases(outcome.summary, database_url):
            say(line, colour="red" if " FAILED " in line else None)
        say()
    show_conclusion(outcome)


def show_conclusion(outcome: RunOutcome) -> None:
    """Show what came of the run, without its cases."""
    first, *rest = conclusion(outcome)
    say(first, bold=True, colour=_COLOURS.get(outcome.exit_code, "red"))
    for line in rest:
        say(line)
    if outcome.summary and outcome.summary.pairs:
        for line in fidelity_lines(outcome.summary.pairs):
            say(line)


async def _cases(summary: RunSummary, database_url: str | None) -> Sequence[str]:
    if summary.cases.total > LARGEST_TABLE:
        return table([*summary.failed_cases, *summary.inconclusive_cases])
    try:
        results = await ask_store(lambda store: store.results(summary.execution_id), database_url)
    except HoldfastError as error:
        complain(f"the store cannot be read here, so cases that passed are not shown ({error.message})")
        return table([*summary.failed_cases, *summary.inconclusive_cases])
    if not results:
        complain("the store that can be read here does not have this run: cases that passed are not shown")
        return table([*summary.failed_cases, *summary.inconclusive_cases])
    return table([as_shown(one) for one in results])
