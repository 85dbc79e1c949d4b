"""The files of a report: the options for them, and the writing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import click

from cli.console import STANDARD_OUTPUT, assert_writable, say_document, write_file
from reports.forms.as_junit import Inconclusive
from reports.forms.registry import JSON, Form
from reports.model.execution import ExecutionReport

Command = Callable[..., Any]

_FILE = click.Path(path_type=Path, dir_okay=False, allow_dash=True)
_INCONCLUSIVE = click.option("--junit-inconclusive", type=click.Choice([one.value for one in Inconclusive]),
                             default=Inconclusive.FAILURE.value, show_default=True,
                             help="How to report an inconclusive case.")  # fmt: skip


@dataclass(frozen=True)
class ReportFiles:
    """Where a report is to be written, by form; `-` is standard output."""

    wanted: Mapping[Form, Path]
    inconclusive: Inconclusive = Inconclusive.FAILURE

    def __bool__(self) -> bool:
        """Return whether any file is wanted."""
        return bool(self.wanted)

    @property
    def to_standard_output(self) -> bool:
        """Whether a report is to be the only thing on standard output."""
        return STANDARD_OUTPUT in self.wanted.values()

    def check(self, **others: Path | None) -> None:
        """Refuse now what would otherwise fail only after all the work.

        Args:
            others: files that the command writes besides the report, by their options.

        Raises:
            click.UsageError: a file cannot be written, two forms share a file, or `-` is given twice.
        """
        every = {form.name: path for form, path in self.wanted.items()}
        every |= {name: path for name, path in others.items() if path is not None}
        for option, path in every.items():
            if path != STANDARD_OUTPUT:
                _check(option, path)
        if len({path.resolve() for path in every.values()}) < len(every):
            raise click.UsageError("two outputs cannot go to the same place: give each a file of its own")

    def write(self, report: ExecutionReport) -> list[Path]:
        """Write every wanted form. Returns the files, without standard output.

        Raises:
            HoldfastError: VALIDATION_ERROR when a file cannot be written.
        """
        for form, path in self.wanted.items():
            text = form.render(report, self.inconclusive)
            if path == STANDARD_OUTPUT:
                say_document(text)
            else:
                write_file(path, text, overwrite=True)
        return [path for path in self.wanted.values() if path != STANDARD_OUTPUT]


def _check(option: str, path: Path) -> None:
    if not path.parent.is_dir():
        raise click.UsageError(f"--{option}: there is no folder {path.parent}")
    try:
        assert_writable(path)
    except OSError as error:
        raise click.UsageError(f"--{option}: {path} cannot be written: {error.strerror or error}") from error


def report_options(*forms: Form) -> Callable[[Command], Command]:
    """Give a command an option for each form, and pass it their values as `files`.

    The file of the JSON form is also passed as `json_file`: errors are JSON there, too.
    """

    def decorate(command: Command) -> Command:
        @wraps(command)
        def with_files(*args: Any, junit_inconclusive: str, **kwargs: Any) -> Any:
            given = {form: kwargs.get(f"{form.name}_file") for form in forms}
            for form in forms:
                if form is not JSON:
                    del kwargs[f"{form.name}_file"]
            wanted = {form: path for form, path in given.items() if path is not None}
            return command(*args, files=ReportFiles(wanted, Inconclusive(junit_inconclusive)), **kwargs)

        found: Command = _INCONCLUSIVE(with_files)
        for form in reversed(forms):
            found = click.option(f"--{form.name}", f"{form.name}_file", type=_FILE, help=form.words)(found)
        return found

    return decorate
