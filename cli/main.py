"""The command line: its group and its commands."""

from __future__ import annotations

import click

from cli.demo import demo
from cli.faults import faults
from cli.looking import cancel, status, watch
from cli.processes import end_with_parent
from cli.run import run, validate
from cli.serving import lab, server, worker


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Holdfast finds out how a microservice system behaves when its services fail, and always puts it back."""
    end_with_parent()


for command in (demo, run, validate, status, watch, cancel, faults, server, lab, worker):
    cli.add_command(command)


def main() -> None:
    """Entry point of `holdfast`."""
    cli(prog_name="holdfast")
