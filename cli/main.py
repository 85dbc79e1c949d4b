"""The command line: its group and its commands."""

from __future__ import annotations

import click

from cli.demo import demo
from cli.run import cancel, faults, run, status, validate, watch
from cli.serving import lab, server, worker


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Holdfast finds out how a microservice system behaves when its services fail, and always puts it back."""


for command in (demo, run, validate, status, watch, cancel, faults, server, lab, worker):
    cli.add_command(command)


def main() -> None:
    """Entry point of `holdfast`."""
    cli(prog_name="holdfast")
