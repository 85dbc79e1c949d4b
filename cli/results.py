"""Reading the store for people: optional, because a pipeline may have no access to it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from cli.console import complain, say
from cli.exit_codes import ExitCode, RunOutcome
from cli.verdict_table import conclusion, table
from clients.store.store import Store
from workflows.contracts.errors import HoldfastError
from workflows.contracts.execution import CaseVerdict

T = TypeVar("T")

_COLOURS = {ExitCode.PASSED: "green", ExitCode.INCONCLUSIVE: "yellow"}


async def results_of(database_url: str, question: Callable[[Store], Awaitable[T]]) -> T:
    """Ask the store one thing."""
    store = await Store.open(database_url)
    try:
        return await question(store)
    finally:
        await store.close()


async def show_outcome(outcome: RunOutcome, database_url: str | None) -> None:
    """The table of cases where the store can be read, else the failing cases; then what came of the run."""
    if outcome.summary:
        execution_id = outcome.summary.execution_id
        say()
        for line in await _cases(outcome.summary.failed_cases, execution_id, database_url):
            say(line, colour="red" if " FAILED " in line else None)
        say()
    first, *rest = conclusion(outcome)
    say(first, bold=True, colour=_COLOURS.get(outcome.exit_code, "red"))
    for line in rest:
        say(line)


async def _cases(failed: list[CaseVerdict], execution_id: int, database_url: str | None) -> list[str]:
    if database_url:
        try:
            return table(await results_of(database_url, lambda store: store.results(execution_id)))
        except HoldfastError as error:
            complain(f"the store cannot be read here ({error.code}); failing cases only")
    return [f"{case.case_id}  {case.verdict}  {case.reason}" for case in failed]
