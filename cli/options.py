"""Arguments and options that several commands have."""

from __future__ import annotations

from pathlib import Path

import click

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
