"""`holdfast report`: everything that is known of a run, in a form to look at, to attach, or to count."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import click

from cli.console import clear_errors, complain, one_line, say
from cli.finding import found_run
from cli.looking import RUN_ID
from cli.report_files import HTML, JSON, JUNIT, MARKDOWN, ReportFiles, report_options
from cli.results import ask_store
from clients.store.store import Store
from reports.call_words import call_in_words, found_in_words, grounds_in_words
from reports.figures import interaction_in_words, notable
from reports.gather import gather
from reports.model import Report
from reports.words import percent

PATIENCE = 300.0
"""Seconds for reading a run: half a million cases take a while."""

MOST_PAIRS = 10
"""Pairs that are told in words."""

MOST_CALLS = 10
"""Fallback calls that are."""


@click.command()
@RUN_ID
@report_options(HTML, JSON, MARKDOWN, JUNIT)
@clear_errors
def report(run_id: str, json_file: Path | None, *, files: ReportFiles) -> None:
    """Write the report of a run, however it ended, or as it stands: verdict, matrix, timeline, coverage, recovery.

    ID is a plan's name, a workflow id, or the number of an execution, as `holdfast list` shows it. FILE may be `-`, for
    standard output. Without a file, a short text is printed.

    Only the store is asked; HOLDFAST_DATABASE_URL must be the worker's.
    """
    files.check()
    found = asyncio.run(stored_report(run_id))
    written = files.write(found)
    tell = complain if files.to_standard_output else say
    for path in written:
        tell(f"written: {path}")
    if not files:
        for line in short_text(found):
            say(line)
        say(f"next: `holdfast report {run_id} --html report.html` shows all of it")


async def stored_report(run_id: str, database_url: str | None = None) -> Report:
    """The report of the newest run under an ID.

    Raises:
        HoldfastError: NOT_FOUND, STORE_UNAVAILABLE.
    """

    async def found(store: Store) -> Report:
        return await gather(store, (await found_run(store, run_id)).execution_id)

    return await ask_store(found, database_url, PATIENCE)


def short_text(found: Report) -> Iterator[str]:
    """What somebody wants first."""
    yield f"{found.title}, execution {found.run.execution_id}"
    yield found.verdict_sentence
    yield found.recovery_sentence
    coverage = found.coverage
    yield (
        f"coverage: {coverage.measured} of {coverage.total} cases measured, {percent(coverage.share)} of the wanted "
        f"ones; {coverage.invalid} invalid, {coverage.skipped} skipped, {coverage.excluded} excluded, "
        f"{coverage.missing} not reached"
    )
    yield from _fallbacks(found)
    pairs = notable(found.pairs)
    if pairs:
        yield "pairs that show what no single failure does:"
    for one in pairs[:MOST_PAIRS]:
        yield f"  {f'{one.first}+{one.second}':<32} {interaction_in_words(one.interaction)}"
    if len(pairs) > MOST_PAIRS:
        yield f"  ... and {len(pairs) - MOST_PAIRS} more"


def _fallbacks(found: Report) -> Iterator[str]:
    """Calls that only failures cause, and what the verdicts rest on."""
    calls = found.fallback
    if calls is not None:
        yield f"fallback calls: {found_in_words(calls)}"
        yield from (f"  not seen: {one_line(one)}" for one in calls.unseen)
        yield from (f"  {one_line(call_in_words(one))}" for one in calls.calls[:MOST_CALLS])
        more = len(calls.calls) - MOST_CALLS + calls.calls_left_out
        if more > 0 and calls.calls:
            yield f"  ... and {more} more"
    if found.grounds is not None:
        yield from grounds_in_words(found.grounds)
