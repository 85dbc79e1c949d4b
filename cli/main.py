"""The command line: its group, its commands, and how the process exits."""

from __future__ import annotations

import importlib
import io
import os
import sys
from typing import NoReturn, cast

import click

from cli.console import complain
from domain.executions.outcome import ExitCode
from operations.processes.children import watch_parent
from operations.processes.process_end import end_process

_COMMANDS = {
    "demo": "demo.demo",
    "init": "init.init",
    "validate": "validate.validate",
    "preview": "preview.preview_plan",
    "run": "run.run",
    "status": "status.status",
    "watch": "watch.watch",
    "logs": "logs.logs",
    "cancel": "cancel.cancel",
    "report": "report.report",
    "list": "list_runs.list_runs",
    "compare": "compare.compare",
    "schedule": "schedule.schedule",
    "faults": "faults.faults",
    "recover": "recover.recover",
    "halt": "halt.halt",
    "unhalt": "halt.unhalt",
    "schema": "validate.schema",
    "server": "serve.server",
    "lab": "serve.lab",
    "worker": "serve.worker",
    "codec-server": "codec_server.codec_server",
}
"""Each command's module in `cli/commands/` and its function there, in the order in which `--help` lists them."""


class _Commands(click.Group):
    """Imports a command when it is needed. All of them together take longer than most commands."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in _COMMANDS:
            return _imported(cmd_name)
        # click looks here for a name to suggest.
        self.commands = every_command()
        return None


def _imported(name: str) -> click.Command:
    module, function = _COMMANDS[name].split(".")
    return cast("click.Command", getattr(importlib.import_module(f"cli.commands.{module}"), function))


def every_command() -> dict[str, click.Command]:
    """Import all commands, in the order of `--help`."""
    return {name: _imported(name) for name in _COMMANDS}


def every_subcommand() -> dict[str, click.Command]:
    """Import all commands, with those of groups under their full names, such as `schedule create`."""
    found: dict[str, click.Command] = {}
    for name, command in every_command().items():
        found[name] = command
        if isinstance(command, click.Group):
            found |= {f"{name} {sub}": command.commands[sub] for sub in command.commands}
    return found


@click.group("holdfast", cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Find out how a microservice system behaves when its services fail.

    Holdfast breaks services, one at a time and in pairs, measures what users get, and always puts the system back.
    """
    # This has an effect only in child processes of `holdfast demo`.
    watch_parent()


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
    # Everything of ours is closed by now.
    end_process(code if isinstance(code, int) else 0 if code is None else 1)
