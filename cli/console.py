"""Console output: plain lines, optional colour, and errors with a hint."""

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

from cli.damage import damaged, forget, with_damage
from cli.ui.next_steps import after_error
from clients.local.private import opener, opener_in, private_folder
from domain.control_characters import visible
from domain.errors import ErrorCode, HoldfastError, Problem
from domain.executions.outcome import ExitCode, code_for
from operations.processes.interrupts import Interrupted
from operations.processes.process_end import UNWRITABLE

P = ParamSpec("P")
R = TypeVar("R")

_WITHOUT_COLOUR = {"dumb", "unknown"}
"""Values of TERM for terminals that print escape sequences instead of interpreting them."""

_SURROUNDINGS = {
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOENT, errno.ENOTDIR, errno.EISDIR),
    *(errno.EEXIST, errno.ENAMETOOLONG, errno.ELOOP, errno.EMFILE, errno.ENFILE),
}
"""Errors of files and folders: not a defect of ours, and for the user to fix."""

STANDARD_OUTPUT = Path("-")
"""Standard output, for options that take a file."""


def on_terminal(stream: IO[str] | None) -> bool:
    """Return whether a standard stream is an open terminal."""
    try:
        return stream is not None and stream.isatty()
    except (OSError, ValueError):
        return False


def coloured() -> bool:
    """Return whether to use colour: on capable terminals without NO_COLOR."""
    return on_terminal(sys.stdout) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") not in _WITHOUT_COLOUR


def live() -> bool:
    """Return whether the terminal can redraw a view by moving its cursor."""
    return on_terminal(sys.stdout) and os.environ.get("TERM", "") not in {"", *_WITHOUT_COLOUR}


def printable(text: str) -> str:
    """Make text from peers and services safe for terminals and files.

    JSON stays the same JSON.
    """
    return visible(text)


def one_line(text: str) -> str:
    """Make text safe, and put it on a single line.

    A peer's text must not be able to imitate lines of ours.
    """
    return printable(" ".join(text.expandtabs(1).splitlines()))


class OutputLostError(Exception):
    """Standard output can no longer be written."""


class _Output:
    """Whether standard output still works, or was closed, full or unread."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Reset the state at the start of a command."""
        self.lost: str | None = None
        """Why output was lost. None: nothing was lost."""
        self.dispensable = False
        """Whether the command goes on without output.

        A command that acts on a system must not stop half-way because of a broken pipe.
        """

    def lose(self, error: Exception) -> None:
        """Note a failed write, which ends a command that only prints.

        Raises:
            OutputLostError: the command exists for its output alone.
        """
        self.note(error)
        if not self.dispensable:
            raise OutputLostError from error

    def note(self, error: Exception) -> None:
        """Remember the first reason why output was lost."""
        if self.lost is None:
            self.lost = (error.strerror if isinstance(error, OSError) else None) or "it is closed"


OUTPUT = _Output()


@contextlib.contextmanager
def guard_output() -> Iterator[None]:
    """Note it when a write to standard output in the block fails.

    Raises:
        OutputLostError: see `_Output.lose`.
    """
    try:
        yield
    except UNWRITABLE as error:
        OUTPUT.lose(error)


def survives_lost_output(command: Callable[P, R]) -> Callable[P, R]:
    """Let a command go on when standard output is lost.

    For commands that act on a system, or that wait until everything is off.
    """

    @wraps(command)
    def going_on(*args: P.args, **kwargs: P.kwargs) -> R:
        OUTPUT.dispensable = True
        return command(*args, **kwargs)

    return going_on


def say(text: str = "", *, bold: bool = False, colour: str | None = None, end: str = "\n") -> None:
    """Print one line, and flush it at once even into a pipe."""
    text = printable(text)
    styled = click.style(text, bold=bold, fg=colour) if (bold or colour) and coloured() else text
    with guard_output():
        click.echo(styled + end, nl=False, color=coloured())
        sys.stdout.flush()


def say_document(text: str) -> None:
    """Print a whole document to standard output."""
    with guard_output():
        # Always UTF-8, whatever the terminal uses: that is the encoding the document declares.
        sys.stdout.buffer.write(printable(text).encode("utf-8", "replace"))
        sys.stdout.flush()


def complain(text: str) -> None:
    """Print one line to standard error."""
    # If this fails too, there is nowhere left to report it.
    with contextlib.suppress(*UNWRITABLE):
        click.echo(printable(text), err=True, color=False)


def _write_new(path: Path, text: str) -> None:
    """Create a private file. Fails if the path exists.

    What is there may have been put there by somebody else.
    """
    with open(path, "x", encoding="utf-8", opener=opener) as opened:
        opened.write(text)


def write_file(path: Path, text: str, *, overwrite: bool, hint: str = "") -> None:
    """Write a file for the user. Only `overwrite` replaces a file.

    Raises:
        HoldfastError: VALIDATION_ERROR when the file exists, or cannot be written.
    """
    try:
        mode = "w" if overwrite else "x"
        with open(path, mode, encoding="utf-8", opener=opener_in(path)) as opened:
            opened.write(text)
    except FileExistsError as error:
        raise HoldfastError(ErrorCode.VALIDATION_ERROR, f"{path} already exists", hint=hint) from error
    except OSError as error:
        words = error.strerror or str(error)
        raise HoldfastError(ErrorCode.VALIDATION_ERROR, f"{path} cannot be written: {words}") from error


def assert_writable(path: Path) -> None:
    """Check that a file can be written later, without changing anything.

    Existing contents stay. A file that the check created is removed again.

    Raises:
        OSError: the file cannot be written.
    """
    path = path.resolve()  # For a dangling link: create and remove its target, not the link.
    existed = path.exists()
    if existed and not path.is_file():
        return  # Opening a pipe or a device may block, or be noticed at its other end.
    with path.open("a", encoding="utf-8"):
        pass
    if not existed:
        path.unlink()


def show_problems(problems: Iterable[Problem]) -> None:
    """Print every problem of a plan to standard error, one per line."""
    for problem in problems:
        complain(f"  {problem}")


def clear_errors(command: Callable[P, R]) -> Callable[P, R]:
    """Turn every error of a command into one sentence, without traceback.

    The sentence ends with what to do next. The details of a defect go to a file, which the sentence names. A command
    that was asked for JSON prints the error as JSON too. Damaged rows and lost output also change the exit code here,
    for every command.
    """

    @wraps(command)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        forget()
        OUTPUT.begin()
        try:
            found = _translated(command, *args, **kwargs)
        except SystemExit as end:
            raise SystemExit(_final_code(end.code)) from None
        except OutputLostError:
            raise SystemExit(_final_code(ExitCode.PASSED)) from None
        code = _final_code(ExitCode.PASSED)
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
        known = as_holdfast_error(error)
        complain(f"error: {known}")
    if as_json:
        # On one line, so that it can also end a stream of JSON lines.
        say(json.dumps(error_facts(known)))
    raise SystemExit(code_for(known.code)) from None


def _final_code(code: Any) -> Any:
    """Adjust an exit code for damaged rows and for lost output."""
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
    """Print facts as JSON. Without an indent, on one line."""
    say(json.dumps(facts, indent=indent))


def error_facts(error: HoldfastError) -> dict[str, Any]:
    """Return an error as JSON facts, the same for every command."""
    return {
        "error_code": error.code,
        "message": error.message,
        "hint": error.hint,
        "exit_code": code_for(error.code),
    }


def as_holdfast_error(error: Exception) -> HoldfastError:
    """Translate an exception into a HoldfastError with a hint."""
    if type(error).__module__ == "temporalio.service":
        # Imported here: only an error of the SDK needs it, and code that raised one has already imported it.
        from temporalio.service import RPCError  # noqa: PLC0415

        from clients.temporal.connection import server_error  # noqa: PLC0415

        if isinstance(error, RPCError):
            error = server_error(error)
    if isinstance(error, HoldfastError):
        return error if error.hint else HoldfastError(error.code, error.message, hint=after_error(error.code))
    if isinstance(error, OSError) and error.errno in _SURROUNDINGS:
        what = str(error.filename) if error.filename is not None else "the current folder, or something in it,"
        message = f"{what} cannot be used: {error.strerror}"
        return HoldfastError(ErrorCode.VALIDATION_ERROR, message, hint="fix that, or go to another folder")
    message = f"unexpected {type(error).__name__}. Details: {_keep_traceback()}"
    return HoldfastError(ErrorCode.UNEXPECTED, message, hint=after_error(ErrorCode.UNEXPECTED))


def _keep_traceback() -> Path:
    """Write the traceback below `.holdfast`, or else to a temporary file."""
    with contextlib.suppress(OSError):
        return _write_details()
    return Path("(there is no folder to write them to)")


def _write_details() -> Path:
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
