"""The files that a report is written to: the options of `report` and of `run`, and what comes of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, cast

import click

from cli.console import STANDARD_OUTPUT, assert_writable, say_document, write_file
from reports import as_json, as_junit, as_markdown
from reports.as_junit import Inconclusive
from reports.model import Report

Command = Callable[..., Any]
Option = Callable[[Command], Command]

_FILE = click.Path(path_type=Path, dir_okay=False, allow_dash=True)

HTML = click.option("--html", "html_file", type=_FILE, help="The report as one HTML file that needs nothing else.")
JSON = click.option("--json", "json_file", type=_FILE, help="The report as JSON (`holdfast schema --report`).")
MARKDOWN = click.option("--markdown", "markdown_file", type=_FILE,
                        help="The report as Markdown, for a pull request or a step's summary.")  # fmt: skip
JUNIT = click.option("--junit", "junit_file", type=_FILE, help="A testcase for each case, as JUnit XML.")
JUNIT_INCONCLUSIVE = click.option("--junit-inconclusive", type=click.Choice([one.value for one in Inconclusive]),
                                  default=Inconclusive.FAILURE.value, show_default=True,
                                  help="What an inconclusive case counts as.")  # fmt: skip


@dataclass(frozen=True)
class ReportFiles:
    """Where somebody wants a report, by the option that said so; `-` is standard output."""

    wanted: Mapping[str, Path]
    inconclusive: Inconclusive = Inconclusive.FAILURE

    def __bool__(self) -> bool:
        """Whether any is wanted."""
        return bool(self.wanted)

    @property
    def to_standard_output(self) -> bool:
        """Whether one of them is to be the only thing on standard output."""
        return STANDARD_OUTPUT in self.wanted.values()

    def check(self, **others: Path | None) -> None:
        """Refuse what could only be found out when everything is done.

        Args:
            others: files that the command writes beside the report, by their options.

        Raises:
            click.UsageError: for a file that cannot be written, one file for two forms, or `-` twice.
        """
        every = {**self.wanted, **{name: path for name, path in others.items() if path is not None}}
        for option, path in every.items():
            if path != STANDARD_OUTPUT:
                _check(option, path)
        if len({path.resolve() for path in every.values()}) < len(every):
            raise click.UsageError("two forms of the report cannot go to the same place: give each a file of its own")

    def write(self, report: Report) -> list[Path]:
        """Write every form that is wanted; the files, without standard output.

        Raises:
            HoldfastError: VALIDATION_ERROR for a file that cannot be written.
        """
        for option, path in self.wanted.items():
            text = self._rendered(option, report)
            if path == STANDARD_OUTPUT:
                say_document(text)
            else:
                write_file(path, text, overwrite=True)
        return [path for path in self.wanted.values() if path != STANDARD_OUTPUT]

    def _rendered(self, option: str, report: Report) -> str:
        if option == "junit":
            return as_junit.render(report, self.inconclusive)
        if option == "html":
            # Its template engine is loaded by those alone who want a page.
            from reports import as_html  # noqa: PLC0415

            return as_html.render(report)
        return as_json.render(report) if option == "json" else as_markdown.render(report)


def _check(option: str, path: Path) -> None:
    if not path.parent.is_dir():
        raise click.UsageError(f"--{option}: there is no folder {path.parent}")
    try:
        assert_writable(path)
    except OSError as error:
        raise click.UsageError(f"--{option}: {path} cannot be written: {error.strerror or error}") from error


def report_options(*options: Option) -> Callable[[Command], Command]:
    """Give a command these options, and what they say as `files`."""

    def decorate(command: Command) -> Command:
        @wraps(command)
        def with_files(*args: Any, junit_inconclusive: str, **kwargs: Any) -> Any:
            names = [name for name in ("html", "markdown", "junit") if f"{name}_file" in kwargs]
            given = {name: kwargs.pop(f"{name}_file") for name in names}
            if JSON in options:
                given["json"] = kwargs["json_file"]
            wanted = {name: path for name, path in given.items() if path is not None}
            return command(*args, files=ReportFiles(wanted, Inconclusive(junit_inconclusive)), **kwargs)

        found: Command = with_files
        for option in reversed([*options, JUNIT_INCONCLUSIVE]):
            found = cast("Command", option(found))
        return found

    return decorate
