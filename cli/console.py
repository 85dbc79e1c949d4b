"""Speaking to people: plain lines, colour only where it is wanted, errors as one sentence and a hint."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

import click

from cli.exit_codes import code_for
from workflows.contracts.errors import ErrorCode, HoldfastError, Problem

P = ParamSpec("P")
R = TypeVar("R")


def coloured() -> bool:
    """Whether to colour: in a terminal, unless NO_COLOR says otherwise."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def say(text: str = "", *, bold: bool = False, colour: str | None = None) -> None:
    """One line for people, shown at once also when it is piped."""
    styled = click.style(text, bold=bold, fg=colour) if (bold or colour) and coloured() else text
    click.echo(styled, color=coloured())
    sys.stdout.flush()


def complain(text: str) -> None:
    """One line on standard error."""
    click.echo(text, err=True, color=False)


def show_problems(problems: Iterable[Problem]) -> None:
    """Every problem of a plan, a line each."""
    for problem in problems:
        complain(f"  {problem}")


def clear_errors(command: Callable[P, R]) -> Callable[P, R]:
    """Let no traceback through: what is understood is one sentence; a defect's details go to a file that is named."""

    @wraps(command)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except (click.ClickException, click.exceptions.Exit, click.Abort, SystemExit):
            raise
        except HoldfastError as error:
            complain(f"error: {error}")
            raise SystemExit(code_for(error.code)) from None
        except KeyboardInterrupt:
            raise SystemExit(130) from None
        except Exception as error:
            complain(f"error: unexpected {type(error).__name__}. Details: {_keep_traceback()}")
            raise SystemExit(code_for(ErrorCode.UNEXPECTED)) from None

    return guarded


def _keep_traceback() -> Path:
    folder = Path(".holdfast")
    folder.mkdir(exist_ok=True)
    path = folder / f"error-{datetime.now().astimezone():%Y%m%d-%H%M%S}.txt"
    path.write_text(traceback.format_exc())
    return path
