"""The command line: its group, its commands, and how it leaves."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import NoReturn

import click

from cli.checking import schema, validate
from cli.compare import compare
from cli.demo import demo
from cli.faults import faults
from cli.halting import halt, unhalt
from cli.init import init
from cli.listing import list_runs
from cli.logs import logs
from cli.looking import cancel
from cli.preview import preview_plan
from cli.processes import end_with_parent
from cli.recover import recover
from cli.report import report
from cli.run import run
from cli.serving import lab, server, worker
from cli.status import status
from cli.watch import watch


@click.group("holdfast", context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Holdfast finds out how a microservice system behaves when its services fail, and always puts it back."""
    end_with_parent()


_COMMANDS = (
    *(demo, init, validate, preview_plan, run, status, watch, logs, cancel, report),
    *(list_runs, compare, faults, recover, halt, unhalt, schema, server, lab, worker),
)
for command in _COMMANDS:
    cli.add_command(command)


def main() -> NoReturn:
    """Entry point of `holdfast`. Never returns.

    The interpreter is left without being torn down: threads of Temporal's Rust core that call back during that abort
    the process with 134 or 139 instead of the exit code (temporalio/sdk-python issue 300; seen in every second run of a
    short script). Everything of ours is closed by then, and the streams are flushed here.
    """
    code: object = 0
    try:
        cli(prog_name="holdfast")
    except SystemExit as end:
        code = end.code
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code if isinstance(code, int) else 0 if code is None else 1)
