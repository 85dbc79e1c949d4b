"""The reference of all commands as Markdown, which `make docs` writes.

By hand: `python -m cli.reference >docs/cli.md`.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator

import click

from cli.main import every_subcommand
from domain.executions.outcome import ExitCode

MEANINGS = {
    ExitCode.PASSED: "passed",
    ExitCode.VERDICT_FAILED: "verdict failed",
    ExitCode.INVALID: "invalid plan or usage, or a plan that the worker does not allow",
    ExitCode.RUN_FAILED: "the run failed",
    ExitCode.STOPPED: "stopped: stop condition, abort, deadline, or steady state not met before anything was active",
    ExitCode.RECOVERY_UNVERIFIED: "**recovery unverified**: something may still be active. Wins over all others",
    ExitCode.INCONCLUSIVE: "inconclusive: not every case that the plan asks for could be measured (`coverage`)",
    ExitCode.REFUSED: "refused with nothing touched: locked, running already, not clean, halted",
    ExitCode.OUTPUT_LOST: "standard output cannot be written: closed, full, or its reader is gone. Only 5 wins over it",
    ExitCode.CANCELLED: "cancelled",
}

_HEAD = """# Command line

Generated from the commands' own help by `make docs`. `ID` is a plan's name, a workflow id, or, where the command says
so, the number of an execution.
"""


def reference() -> str:
    """Return the help of every command, and the exit codes, as Markdown."""
    return "\n".join([_HEAD, *_overview(), "", *_exit_codes(), *_commands()]) + "\n"


def _overview() -> Iterator[str]:
    yield "| command | what it does |"
    yield "| --- | --- |"
    for name, command in every_subcommand().items():
        place = f"holdfast {name}".replace(" ", "-")
        yield f"| [`holdfast {_usage(name, command)}`](#{place}) | {command.get_short_help_str(200)} |"


def _exit_codes() -> Iterator[str]:
    yield "## Exit codes"
    yield ""
    yield "| code | meaning |"
    yield "| --- | --- |"
    for code in ExitCode:
        yield f"| {code.value} | {MEANINGS[code]} |"


def _commands() -> Iterator[str]:
    for name, command in every_subcommand().items():
        yield ""
        yield f"## holdfast {name}"
        yield ""
        yield f"    holdfast {_usage(name, command)}"
        yield ""
        yield _paragraphs(command.help or "")
        rows = list(_options(command))
        if rows:
            yield ""
            yield "| option | |"
            yield "| --- | --- |"
            yield from rows


def _usage(name: str, command: click.Command) -> str:
    arguments = [
        parameter.make_metavar(click.Context(command))
        for parameter in command.params
        if isinstance(parameter, click.Argument)
    ]
    return " ".join([name, *arguments, *(["COMMAND"] if isinstance(command, click.Group) else [])])


def _paragraphs(text: str) -> str:
    """Join the lines of each paragraph: Markdown breaks lines itself."""
    parts = inspect.cleandoc(text).replace("\b\n", "").split("\n\n")
    return "\n\n".join(part if part.startswith("    ") else " ".join(part.split()) for part in parts)


def _options(command: click.Command) -> Iterator[str]:
    context = click.Context(command)
    for parameter in command.params:
        if not isinstance(parameter, click.Option):
            continue
        record = parameter.get_help_record(context)
        if record is None:
            continue
        names, words = record
        yield f"| `{names}` | {' '.join(words.split())} |".replace("|]", "\\|]")


if __name__ == "__main__":
    sys.stdout.write(reference())
