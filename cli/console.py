"""Speaking to people: plain lines, colour only where it is wanted, errors as one sentence and a hint."""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import click
from temporalio.service import RPCError

from cli.exit_codes import code_for
from cli.interrupts import Interrupted
from cli.next_steps import after_error
from clients.private import opener, opener_in, private_folder
from clients.temporal import server_error
from workflows.contracts.errors import ErrorCode, HoldfastError, Problem

P = ParamSpec("P")
R = TypeVar("R")

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""Control characters, but for tabs and ends of lines."""

_WITHOUT_COLOUR = {"dumb", "unknown"}
"""What TERM says of a terminal that shows escape sequences instead of following them."""

AS_JSON = click.option("--json", "as_json", is_flag=True, help="As JSON.")
"""For commands that print facts: JSON, and nothing else, on standard output. An error is JSON there as well, and a
sentence on standard error; wrong use of the command line is the sentence alone, because nothing has begun."""

QUIET = click.option("--quiet", "-q", is_flag=True, help="No progress: only what came of it.")

STANDARD_OUTPUT = Path("-")
"""Stands for standard output where an option takes a file."""


def coloured() -> bool:
    """Whether to colour: in a terminal that can, unless NO_COLOR says otherwise."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") not in _WITHOUT_COLOUR


def live() -> bool:
    """Whether a view that redraws itself can be shown: in a terminal that can move its cursor."""
    return sys.stdout.isatty() and os.environ.get("TERM", "") not in {"", *_WITHOUT_COLOUR}


def printable(text: str) -> str:
    """Text without control characters: what peers and services say must not steer a terminal, nor soil a file.

    They are told as JSON tells them, so that JSON stays what it was.
    """
    return _CONTROL.sub(lambda found: f"\\u{ord(found.group()):04x}", text)


def one_line(text: str) -> str:
    """The same on one line: what peers say must not look like lines of ours."""
    return printable(" ".join(text.expandtabs(1).splitlines()))


def say(text: str = "", *, bold: bool = False, colour: str | None = None, end: str = "\n") -> None:
    """One line, shown at once also when it is piped."""
    text = printable(text)
    styled = click.style(text, bold=bold, fg=colour) if (bold or colour) and coloured() else text
    click.echo(styled + end, nl=False, color=coloured())
    sys.stdout.flush()


def say_document(text: str) -> None:
    """A whole document on standard output, in UTF-8 whatever the terminal has: that is what it says of itself."""
    sys.stdout.buffer.write(printable(text).encode())
    sys.stdout.flush()


def complain(text: str) -> None:
    """One line on standard error."""
    click.echo(printable(text), err=True, color=False)


def _write_new(path: Path, text: str) -> None:
    """A file that was not there, for its user alone: not what somebody else has put in its place."""
    with open(path, "x", encoding="utf-8", opener=opener) as opened:
        opened.write(text)


def write_file(path: Path, text: str, *, overwrite: bool, hint: str = "") -> None:
    """Write a file that somebody asked for; one that is there already only with `overwrite`.

    Raises:
        HoldfastError: VALIDATION_ERROR when it is there, or cannot be written.
    """
    try:
        mode = "w" if overwrite else "x"
        with open(path, mode, encoding="utf-8", opener=opener_in(path)) as opened:
            opened.write(text)
    except FileExistsError as error:
        raise HoldfastError(ErrorCode.VALIDATION_ERROR, f"{path} is there already", hint=hint) from error
    except OSError as error:
        words = error.strerror or str(error)
        raise HoldfastError(ErrorCode.VALIDATION_ERROR, f"{path} cannot be written: {words}") from error


def assert_writable(path: Path) -> None:
    """Find out now whether a file can be written later. What is in it stays, and where none was none is left.

    Raises:
        OSError: when it cannot.
    """
    path = path.resolve()  # Of a link that leads to nothing, what it leads to is made, and taken away again.
    there = path.exists()
    if there and not path.is_file():
        return  # A pipe or a device: to open it may wait for somebody, or be seen.
    with path.open("a", encoding="utf-8"):
        pass
    if not there:
        path.unlink()


def show_problems(problems: Iterable[Problem]) -> None:
    """Every problem of a plan, a line each."""
    for problem in problems:
        complain(f"  {problem}")


def clear_errors(command: Callable[P, R]) -> Callable[P, R]:
    """Let no traceback through: what is understood is one sentence; a defect's details go to a file that is named.

    Every sentence ends with what to do next. A command that was asked for JSON gives the same as JSON.
    """

    def as_json(options: dict[str, Any]) -> bool:
        return options.get("as_json") is True or options.get("json_file") == STANDARD_OUTPUT

    @wraps(command)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except (click.ClickException, click.exceptions.Exit, SystemExit, BrokenPipeError):
            raise
        except (KeyboardInterrupt, click.Abort, Interrupted):
            ended = HoldfastError(ErrorCode.CANCELLED, "ended on request")
            if as_json(kwargs):
                say(json.dumps(error_facts(ended)))
            raise SystemExit(code_for(ended.code)) from None
        except Exception as error:
            known = understood(error)
            complain(f"error: {known}")
            if as_json(kwargs):
                say(json.dumps(error_facts(known)))
            raise SystemExit(code_for(known.code)) from None

    return guarded


def say_json(facts: Any, indent: int | None = 2) -> None:
    """Facts, as JSON on standard output; without an indent on one line."""
    say(json.dumps(facts, indent=indent))


def error_facts(error: HoldfastError) -> dict[str, Any]:
    """An error as JSON: the same for every command, and one line, so that it ends a stream of lines as well."""
    return {
        "error_code": error.code,
        "message": error.message,
        "hint": error.hint,
        "exit_code": code_for(error.code),
    }


def understood(error: Exception) -> HoldfastError:
    """What an error means, and what to do next."""
    if isinstance(error, RPCError):
        error = server_error(error)
    if isinstance(error, HoldfastError):
        return error if error.hint else HoldfastError(error.code, error.message, hint=after_error(error.code))
    message = f"unexpected {type(error).__name__}. Details: {_keep_traceback()}"
    return HoldfastError(ErrorCode.UNEXPECTED, message, hint=after_error(ErrorCode.UNEXPECTED))


def _keep_traceback() -> Path:
    """Write the traceback under `.holdfast`, or, where that cannot be, where temporary files go."""
    name = f"error-{datetime.now().astimezone():%Y%m%d-%H%M%S}-{os.getpid()}.txt"
    text = traceback.format_exc()
    try:
        path = Path(".holdfast") / name
        private_folder(path.parent)
        _write_new(path, text)
    except OSError:
        path = Path(tempfile.gettempdir()) / f"holdfast-{name}"
        _write_new(path, text)
    return path
