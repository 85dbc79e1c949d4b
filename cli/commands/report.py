"""`holdfast report`: everything known about a run.

As HTML, Markdown, JSON or JUnit XML, or as a short text.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import click

from cli.console import clear_errors, complain, one_line, say
from cli.options import RUN_ID
from cli.report_files import ReportFiles, report_options
from operations.runs.report import stored_report
from reports.forms.registry import FORMS
from reports.model.execution import ExecutionReport
from reports.model.report import Report
from reports.text.calls import call_in_words, found_in_words, grounds_in_words
from reports.text.figures import interaction_in_words, notable
from reports.text.values import percent

MOST_PAIRS = 10
"""Most pairs that the short text describes."""

MOST_CALLS = 10
"""Most fallback calls that the short text describes."""


@click.command()
@RUN_ID
@report_options(*FORMS)
@clear_errors
def report(run_id: str, json_file: Path | None, *, files: ReportFiles) -> None:  # `clear_errors` reads json_file
    """Write the report of a run, whether or not it has ended.

    The report has the verdict, matrix, timeline, coverage and recovery. There is one however the run ended, and while
    it is under way.

    ID is a plan's name, a workflow id, or the number of an execution, as `holdfast list` shows it. FILE may be `-`, for
    standard output. Without a file, a short text is printed.

    Only the store is read; HOLDFAST_DATABASE_URL must be the worker's.
    """
    files.check()
    found = asyncio.run(stored_report(run_id))
    written = files.write(found)
    show = complain if files.to_standard_output else say
    for path in written:
        show(f"written: {path}")
    if not files:
        for line in short_text(found):
            say(line)
        say(f"next: `holdfast report {run_id} --html report.html` shows all of it")


def short_text(found: ExecutionReport) -> Iterator[str]:
    """Yield the most important facts of a report."""
    yield f"{found.title}, execution {found.run.execution_id}"
    yield found.verdict_sentence
    yield found.recovery_sentence
    if isinstance(found, Report):
        yield from _resilience_lines(found)


def _resilience_lines(found: Report) -> Iterator[str]:
    """Yield coverage, fallback calls, and pairs."""
    coverage = found.coverage
    yield (
        f"coverage: {coverage.measured} of {coverage.total} cases measured, {percent(coverage.share)} of the cases "
        f"that count; {coverage.invalid} invalid, {coverage.skipped} skipped, {coverage.excluded} excluded, "
        f"{coverage.missing} not reached"
    )
    yield from _fallbacks(found)
    pairs = notable(found.pairs)
    if pairs:
        yield "pairs that show what no single failure does:"
    for pair in pairs[:MOST_PAIRS]:
        yield f"  {f'{pair.first}+{pair.second}':<32} {interaction_in_words(pair.interaction)}"
    if len(pairs) > MOST_PAIRS:
        yield f"  ... and {len(pairs) - MOST_PAIRS} more"


def _fallbacks(found: Report) -> Iterator[str]:
    """Yield the fallback calls, and what the verdicts rest on."""
    calls = found.fallback
    if calls is not None:
        yield f"fallback calls: {found_in_words(calls)}"
        yield from (f"  not seen: {one_line(reason)}" for reason in calls.unseen)
        yield from (f"  {one_line(call_in_words(call))}" for call in calls.calls[:MOST_CALLS])
        more = len(calls.calls) - MOST_CALLS + calls.calls_left_out
        if more > 0 and calls.calls:
            yield f"  ... and {more} more"
    if found.grounds is not None:
        yield from grounds_in_words(found.grounds)
