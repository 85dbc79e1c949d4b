"""Speaking to people: plain lines, colour only where it is wanted, errors as one sentence and a hint."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import IO, Any, ParamSpec, TypeVar

import click
from temporalio.service import RPCError

from cli.damage import damaged, forget, with_damage
from cli.exit_codes import ExitCode, code_for
from cli.interrupts import Interrupted
from cli.ui.next_steps import after_error
from clients.local.private import opener, opener_in, private_folder
from clients.temporal.connection import server_error
from domain.control_characters import visible
from domain.errors import ErrorCode, HoldfastError, Problem

P = ParamSpec("P")
R = TypeVar("R")

_WITHOUT_COLOUR = {"dumb", "unknown"}
"""What TERM says of a terminal that shows escape sequences instead of following them."""

AS_JSON = click.option("--json", "as_json", is_flag=True, help="As JSON.")
"""For commands that print facts: JSON, and nothing else, on standard output. An error is JSON there as well, and a
sentence on standard error; wrong use of the command line is the sentence alone, because nothing has begun."""

_SURROUNDINGS = {
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOENT, errno.ENOTDIR, errno.EISDIR),
    *(errno.EEXIST, errno.ENAMETOOLONG, errno.ELOOP, errno.EMFILE, errno.ENFILE),
}
"""Trouble with files and folders: no defect of ours, and for a person to mend."""

QUIET = click.option("--quiet", "-q", is_flag=True, help="No progress: only what came of it.")

STANDARD_OUTPUT = Path("-")
"""Stands for standard output where an option takes a file."""


def on_terminal(stream: IO[str] | None) -> bool:
    """Whether a standard stream is a terminal; one that is closed or absent is not."""
    try:
        return stream is not None and stream.isatty()
    except (OSError, ValueError):
        return False


def coloured() -> bool:
    """Whether to colour: in a terminal that can, unless NO_COLOR says otherwise."""
    return on_terminal(sys.stdout) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") not in _WITHOUT_COLOUR


def live() -> bool:
    """Whether a view that redraws itself can be shown: in a terminal that can move its cursor."""
    return on_terminal(sys.stdout) and os.environ.get("TERM", "") not in {"", *_WITHOUT_COLOUR}


def printable(text: str) -> str:
    """Text that steers no terminal and soils no file, whatever peers and services have put into it; JSON stays JSON."""
    return visible(text)


def one_line(text: str) -> str:
    """The same on one line: what peers say must not look like lines of ours."""
    return printable(" ".join(text.expandtabs(1).splitlines()))


class OutputLostError(Exception):
    """Standard output cannot be written any more."""


class _Output:
    """Standard output: what becomes of it when it is closed, full, or nobody reads it."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Begin a command."""
        self.lost: str | None = None
        """Why output is lost; None while none was."""
        self.dispensable = False
        """Whether the command goes on without it: what acts on a system must not stop in its middle for a pipe."""

    def lose(self, error: Exception) -> None:
        """Note a failed write.

        Raises:
            OutputLostError: the command is there for its output alone.
        """
        self.note(error)
        if not self.dispensable:
            raise OutputLostError from error

    def note(self, error: Exception) -> None:
        """Remember why output is lost."""
        if self.lost is None:
            self.lost = (error.strerror if isinstance(error, OSError) else None) or "it is closed"


OUTPUT = _Output()

UNWRITABLE = (OSError, ValueError, AttributeError)
"""What writing to a standard stream raises: full or broken; closed; absent, because the process began without it."""


@contextlib.contextmanager
def written() -> Iterator[None]:
    """Write to standard output; what cannot be written is noted.

    Raises:
        OutputLostError: see `_Output.lose`.
    """
    try:
        yield
    except UNWRITABLE as error:
        OUTPUT.lose(error)


def acts(command: Callable[P, R]) -> Callable[P, R]:
    """Let a command go on when standard output is lost: it acts on a system, or waits until everything is off."""

    @wraps(command)
    def going_on(*args: P.args, **kwargs: P.kwargs) -> R:
        OUTPUT.dispensable = True
        return command(*args, **kwargs)

    return going_on


def say(text: str = "", *, bold: bool = False, colour: str | None = None, end: str = "\n") -> None:
    """One line, shown at once also when it is piped."""
    text = printable(text)
    styled = click.style(text, bold=bold, fg=colour) if (bold or colour) and coloured() else text
    with written():
        click.echo(styled + end, nl=False, color=coloured())
        sys.stdout.flush()


def say_document(text: str) -> None:
    """A whole document on standard output, in UTF-8 whatever the terminal has: that is what it says of itself."""
    with written():
        sys.stdout.buffer.write(printable(text).encode("utf-8", "replace"))
        sys.stdout.flush()


def complain(text: str) -> None:
    """One line on standard error; where that cannot be written there is nobody left to complain to."""
    with contextlib.suppress(*UNWRITABLE):
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

    Every sentence ends with what to do next. A command that was asked for JSON gives the same as JSON. What else the
    exit code must say (damaged rows, lost output) is added here, for every command.
    """

    @wraps(command)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        forget()
        OUTPUT.begin()
        try:
            found = _translated(command, *args, **kwargs)
        except SystemExit as end:
            raise SystemExit(_marked(end.code)) from None
        except OutputLostError:
            raise SystemExit(_marked(ExitCode.PASSED)) from None
        code = _marked(ExitCode.PASSED)
        if code != ExitCode.PASSED:
            raise SystemExit(code)
        return found

    return guarded


def _translated(command: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    as_json = kwargs.get("as_json") is True or kwargs.get("json_file") == STANDARD_OUTPUT
    try:
        return command(*args, **kwargs)
    except (click.ClickException, click.exceptions.Exit, SystemExit, OutputLostError):
        raise
    except BrokenPipeError as error:
        OUTPUT.note(error)
        raise OutputLostError from error
    except (KeyboardInterrupt, click.Abort, Interrupted):
        known = HoldfastError(ErrorCode.CANCELLED, "ended on request")
    except Exception as error:
        known = understood(error)
        complain(f"error: {known}")
    if as_json:
        say(json.dumps(error_facts(known)))
    raise SystemExit(code_for(known.code)) from None


def _marked(code: Any) -> Any:
    """An exit code in view of what else happened: damaged rows in the store, and output that nobody got."""
    for row in damaged():
        complain(str(row))
    given = 0 if code is None else code
    if given in list(ExitCode):
        given = with_damage(ExitCode(given))
    if OUTPUT.lost is None:
        return given
    complain(f"error: standard output cannot be written: {OUTPUT.lost}")
    return given if given == ExitCode.RECOVERY_UNVERIFIED else ExitCode.OUTPUT_LOST


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
    if isinstance(error, OSError) and error.errno in _SURROUNDINGS:
        what = str(error.filename) if error.filename is not None else "the current folder, or what is in it,"
        message = f"{what} cannot be used: {error.strerror}"
        return HoldfastError(ErrorCode.VALIDATION_ERROR, message, hint="mend that, or go to another folder")
    message = f"unexpected {type(error).__name__}. Details: {_keep_traceback()}"
    return HoldfastError(ErrorCode.UNEXPECTED, message, hint=after_error(ErrorCode.UNEXPECTED))


def _keep_traceback() -> Path:
    """Write the traceback under `.holdfast`, or, where that cannot be, where temporary files go."""
    with contextlib.suppress(OSError):
        return _written_details()
    return Path("(there is no folder to write them to)")


def _written_details() -> Path:
    name = f"error-{datetime.now().astimezone():%Y%m%d-%H%M%S}-{os.getpid()}.txt"
    text = printable(traceback.format_exc())
    try:
        path = Path(".holdfast") / name
        private_folder(path.parent)
        _write_new(path, text)
    except OSError:
        path = Path(tempfile.gettempdir()) / f"holdfast-{name}"
        _write_new(path, text)
    return path
