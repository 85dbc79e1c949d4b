"""Forms of reports on the command line: a new module needs only its line in the registry."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import pytest
from click.testing import CliRunner

from cli.report_files import ReportFiles, report_options
from reports.forms.registry import FORMS, Form
from reports.model.report import Report


def test_a_new_form_needs_only_a_module_and_a_registry_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = ModuleType("reports.forms.as_title")
    module.render = lambda report: report.title
    monkeypatch.setitem(sys.modules, module.__name__, module)
    form = Form("title", "The title alone.", module.__name__)
    written: list[Path] = []

    @click.command()
    @report_options(*FORMS, form)
    def command(*, files: ReportFiles, **_: object) -> None:
        files.check()
        written.extend(files.write(Report.model_construct(title="a run")))  # type: ignore[call-arg]

    path = tmp_path / "title.txt"
    result = CliRunner().invoke(command, ["--title", str(path)])
    assert (result.exit_code, written) == (0, [path])
    assert path.read_text() == "a run"
    assert "The title alone." in CliRunner().invoke(command, ["--help"]).output
