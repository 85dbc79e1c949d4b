"""`holdfast compare`: compare two runs, as a gate for pipelines."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import click

from cli.console import clear_errors, one_line, say, say_json
from cli.options import AS_JSON
from domain.base import UnfitError
from domain.errors import ErrorCode, HoldfastError
from domain.executions.outcome import ExitCode
from domain.plans.slo import Percentile
from domain.resilience.model import RESILIENCE_TEST
from domain.units import parse_duration, parse_percent
from operations.runs.find_stored import find_stored_run
from operations.stores import existing_store
from reports.compare.model import Conclusion, RunComparison

CODES = {
    Conclusion.NO_REGRESSION: ExitCode.PASSED,
    Conclusion.REGRESSION: ExitCode.VERDICT_FAILED,
    Conclusion.UNCERTAIN: ExitCode.INCONCLUSIVE,
}


def _share(least: float, most: float) -> Callable[[str], float]:
    """Return a parser for percentages such as `5%` within bounds.

    The bounds themselves are not allowed. Everything else is a usage error.
    """

    def convert(text: str) -> float:
        try:
            found = parse_percent(text)
        except UnfitError as error:
            raise click.BadParameter(str(error)) from error
        if not least < found < most:
            raise click.BadParameter(f"must be more than {least:g}% and less than {most:g}%")
        return found

    return convert


def _milliseconds(text: str) -> float:
    """Parse `5ms` into a number of milliseconds."""
    try:
        return parse_duration(text).total_seconds() * 1_000
    except UnfitError as error:
        raise click.BadParameter(str(error)) from error


@click.command()
@click.argument("before", metavar="A")
@click.argument("after", metavar="B")
@click.option(
    "--percentile",
    type=click.Choice([percentile.value for percentile in Percentile]),
    help="Latency percentile to compare.",
)
@click.option("--slower", type=_share(0, 1_000), metavar="SHARE", help="Allowed slowdown, such as 10%.")
@click.option(
    "--at-least", "at_least_ms", type=_milliseconds, metavar="TIME", help="Smallest slowdown that counts, such as 5ms."
)
@click.option("--errors", type=_share(0, 100), metavar="POINTS", help="Allowed rise of the error rate, such as 5%.")
@click.option("--confidence", type=_share(50, 100), metavar="SHARE", help="Confidence of each bound, such as 95%.")
@AS_JSON
@clear_errors
def compare(before: str, after: str, *, as_json: bool, **given: Any) -> None:
    """Compare run B with run A: what changed, and how certain that is.

    A and B are execution ids (`holdfast list` shows them), plan names or workflow ids. A plan name or a workflow id
    means its newest run. Only the store is read.

    What counts as worse is set by the options, or else by slo.regression in B's plan, or else by its defaults.

    Exit codes: 0 no case is worse, 1 a case is surely worse, 2 the runs cannot be compared (the message explains why),
    6 undecided, because there are too few requests or a case was not measured.
    """
    wanted = {name: value for name, value in given.items() if value is not None}
    found = asyncio.run(_compared(before, after, wanted))
    code = CODES[found.conclusion]
    if as_json:
        say_json(found.model_dump(mode="json") | {"exit_code": code})
        raise SystemExit(code)
    from cli.ui.resilience.comparison_table import lines  # noqa: PLC0415

    for line in lines(found):
        say(line)
    raise SystemExit(code)


async def _compared(before: str, after: str, wanted: dict[str, Any]) -> RunComparison:
    from reports.compare.compare import compared  # noqa: PLC0415 - numpy takes half a second that no other command needs

    store = await existing_store()
    try:
        rows = await find_stored_run(store, before), await find_stored_run(store, after)
        for row in rows:
            if row.kind != RESILIENCE_TEST:
                message = (
                    f"execution {row.execution_id} is a {one_line(row.kind)}; only resilience tests can be compared"
                )
                raise HoldfastError(ErrorCode.VALIDATION_ERROR, message)
        return await compared(store, *rows, wanted)
    finally:
        await store.close()
