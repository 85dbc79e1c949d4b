"""Results from the store, which a pipeline may not have access to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from cli.console import complain, say
from cli.ui.resilience.pairs import fidelity_lines
from cli.ui.resilience.verdict_table import conclusion, table
from domain.errors import HoldfastError
from domain.executions.outcome import ExitCode, RunOutcome
from domain.resilience.model import ResilienceSummary
from operations.stores import query_store
from reports.build.shown_cases import as_shown

T = TypeVar("T")

LARGEST_TABLE = 5_000
"""Most cases that a table reads from the store. For larger runs, the summary has the worst cases."""

_COLOURS = {ExitCode.PASSED: "green", ExitCode.INCONCLUSIVE: "yellow"}


async def show_outcome(outcome: RunOutcome, database_url: str | None = None) -> None:
    """Show the table of cases, then what came of the run.

    If the store cannot be read, the table has only the failed and the inconclusive cases of the run's summary.
    """
    if isinstance(outcome.summary, ResilienceSummary):
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
    if isinstance(outcome.summary, ResilienceSummary) and outcome.summary.pairs:
        for line in fidelity_lines(outcome.summary.pairs):
            say(line)


async def _cases(summary: ResilienceSummary, database_url: str | None) -> Sequence[str]:
    if summary.cases.total > LARGEST_TABLE:
        return table([*summary.failed_cases, *summary.inconclusive_cases])
    try:
        results = await query_store(lambda store: store.results.all(summary.execution_id), database_url)
    except HoldfastError as error:
        complain(f"the store cannot be read here, so cases that passed are not shown ({error.message})")
        return table([*summary.failed_cases, *summary.inconclusive_cases])
    if not results:
        complain("the store that can be read here does not have this run, so cases that passed are not shown")
        return table([*summary.failed_cases, *summary.inconclusive_cases])
    return table([as_shown(result) for result in results])
