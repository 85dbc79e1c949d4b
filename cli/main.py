"""The command line: its group, its commands, and how the process exits."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import NoReturn, cast

import click

from cli.commands.cancel import cancel
from cli.commands.compare import compare
from cli.commands.demo import demo
from cli.commands.faults import faults
from cli.commands.halt import halt, unhalt
from cli.commands.init import init
from cli.commands.list_runs import list_runs
from cli.commands.logs import logs
from cli.commands.preview import preview_plan
from cli.commands.recover import recover
from cli.commands.report import report
from cli.commands.run import run
from cli.commands.serve import lab, server, worker
from cli.commands.status import status
from cli.commands.validate import schema, validate
from cli.commands.watch import watch
from cli.console import UNWRITABLE, complain
from domain.executions.outcome import ExitCode
from operations.processes.children import end_with_parent


@click.group("holdfast", context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Find out how a microservice system behaves when its services fail.

    Holdfast breaks services, one at a time and in pairs, measures what users get, and always puts the system back.
    """
    end_with_parent()


_COMMANDS = (
    *(demo, init, validate, preview_plan, run, status, watch, logs, cancel, report),
    *(list_runs, compare, faults, recover, halt, unhalt, schema, server, lab, worker),
)
for command in _COMMANDS:
    cli.add_command(command)


def _secure_standard_streams() -> None:
    """Open closed standard descriptors, and let the streams write any text."""
    # Otherwise a file that we open later, such as a database, would get a standard descriptor.
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def main() -> NoReturn:
    """Run `holdfast` as a process. Never returns."""
    _secure_standard_streams()
    output, code = sys.stdout, cast("object", 0)
    try:
        cli(prog_name="holdfast")
    except SystemExit as end:
        # When click's own output (help) meets a broken pipe, click replaces the stream and exits with 1, which would
        # mean «verdict failed».
        code = end.code if sys.stdout is output else ExitCode.OUTPUT_LOST
    except OSError as error:
        complain(f"error: standard output cannot be written: {error.strerror or error}")
        code = ExitCode.OUTPUT_LOST
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(*UNWRITABLE):
            stream.flush()
    # Skip the interpreter's teardown. Threads of Temporal's Rust core that call back during it abort the process with
    # 134 or 139 instead of the exit code (temporalio/sdk-python issue 300; seen in every second run of a short script).
    # Everything of ours is closed by now, and the streams are flushed.
    os._exit(code if isinstance(code, int) else 0 if code is None else 1)
