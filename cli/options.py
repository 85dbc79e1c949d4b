"""Arguments and options that several commands have."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import click

from cli.ui.resilience.pairs import PairShare
from domain.units import parse_duration


class Duration(click.ParamType[timedelta]):
    """A duration such as `90s`, `10m` or `6h`."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Parse it."""
        try:
            return parse_duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


PLAN = click.argument("plan", type=click.Path(path_type=Path, allow_dash=True))
"""A plan file. `-` is standard input."""

RUN_ID = click.argument("run_id", metavar="ID")
"""A plan's name, or a workflow id."""

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
"""For commands that print facts: JSON and nothing else on standard output.

An error is JSON there too, plus a sentence on standard error. A usage error is the sentence alone, because nothing has
begun.
"""

QUIET = click.option("--quiet", "-q", is_flag=True, help="Show only the result, no progress.")

YES = click.option("--yes", is_flag=True, help="Do not ask before touching anything but a lab of this machine.")

WAIT = click.option("--wait", is_flag=True, help="If another run holds the namespace: wait until it ends.")

CLEAN = click.option(
    "--clean",
    is_flag=True,
    help="If something is on in the plan's services: remove it first, no matter who left it.",
)

VERIFY_PAIRS = click.option(
    "--verify-pairs",
    type=PairShare(),
    is_flag=False,
    flag_value="100%",
    metavar="[SHARE]",
    help="Run pairs with two real faults as well, all or a share such as 25%, and report whether the rules gave the "
    "same answers. Where they differ, the real answers decide.",
)
