"""`holdfast report`, and the report of a run that `run` has followed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import pytest
from click.testing import CliRunner

from cli.main import cli
from cli.report_files import ReportFiles
from cli.run_report import write_report
from clients.store.store import Store
from domain.executions.execution import RunStatus, Verdict
from domain.executions.outcome import ExitCode, RunOutcome
from domain.resilience.kind import KIND
from operations.definitions import PlanFile
from reports.forms.registry import HTML
from tests.support.cli.stored import invoke
from tests.support.cli.terminal import Terminal
from tests.support.reports.stored_runs import StoredRun, aborted_run, finished_run, small_plan, taken

Start = Callable[..., Awaitable[Terminal]]


def _cases(path: Path) -> dict[str, bool]:
    """Return each testcase, and whether it is a failure."""
    root = Xml.parse(path).getroot()  # noqa: S314 - it is ours
    return {testcase.get("name", ""): testcase.find("failure") is not None for testcase in root.iter("testcase")}


async def test_a_report_without_a_file_is_a_short_text(store: Store) -> None:
    """Verdict, recovery, coverage, the pairs that matter, and what to do next."""
    execution_id = await finished_run(store)
    result = await invoke("report", "small")
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert lines[0].endswith(f"execution {execution_id}")
    assert lines[1] == "Failed: 2 of 7 cases miss the SLO: alpha+beta, alpha+gamma."
    assert "  alpha+beta                       fails only together, 100 points more errors than expected" in lines
    assert lines[-1] == "next: `holdfast report small --html report.html` shows all of it"


@pytest.mark.parametrize("known_as", ["small", "resilience-test/small", "number"])
async def test_a_report_is_found_by_every_name_of_its_run(store: Store, known_as: str) -> None:
    """The names are those of `status`, and the number that `list` shows."""
    execution_id = await finished_run(store)
    result = await invoke("report", str(execution_id) if known_as == "number" else known_as, "--json", "-")
    assert json.loads(result.stdout)["run"]["execution_id"] == execution_id


async def test_all_forms_are_written_at_once(store: Store, tmp_path: Path) -> None:
    """One of them may be standard output, which then has nothing else."""
    await aborted_run(store)
    files = {form: tmp_path / f"report.{form}" for form in ("html", "junit", "json")}
    options = [word for form, path in files.items() for word in (f"--{form}", str(path))]
    result = await invoke("report", "small", *options, "--markdown", "-")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("## Holdfast: small, ")
    assert "written: " not in result.stdout
    assert sorted(result.stderr.splitlines()) == sorted(f"written: {path}" for path in files.values())
    assert files["html"].read_text().lower().startswith("<!doctype html>")
    assert _cases(files["junit"])["the run comes to a verdict"]
    assert json.loads(files["json"].read_text())["version"] == 1


async def test_inconclusive_can_be_skipped(store: Store, tmp_path: Path) -> None:
    """In JUnit XML it may count as skipped, for pipelines that would rather not stop."""
    run = await StoredRun.begin(store)
    await run.generate()
    await run.measure(1, taken(1), Verdict.INCONCLUSIVE, "too few")
    await run.end(verdict=Verdict.INCONCLUSIVE)
    path = tmp_path / "junit.xml"
    await invoke("report", "small", "--junit", str(path))
    assert _cases(path)["alpha"]
    await invoke("report", "small", "--junit", str(path), "--junit-inconclusive", "skipped")
    assert not any(_cases(path).values())


async def test_an_unwritable_file_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    """The exit code is 2, and the error names the option."""
    nowhere = await invoke("report", "x", "--html", str(tmp_path / "no" / "report.html"))
    assert (nowhere.exit_code, "--html: there is no folder" in nowhere.output) == (2, True)
    twice = await invoke("report", "x", "--html", "-", "--json", "-")
    assert (twice.exit_code, "the same place" in twice.output) == (2, True)


async def test_an_unwritable_file_is_reported_before_the_run(
    here: Path, plan: Callable[..., str], tmp_path: Path
) -> None:
    """Not an hour later. Existing files stay as they are, and nothing is left behind."""
    (tmp_path / "old.html").write_text("old")
    name = f"{plan()}.yaml"
    long = "x" * 300
    for option in ("--html", "--markdown", "--junit", "--json"):
        result = await invoke("run", name, "--markdown", "old.html", "--junit", "new.xml", option, long)
        assert (result.exit_code, f"{option}: {long} cannot be written" in result.output) == (2, True)
    assert (await invoke("report", "x", "--json", long)).exit_code == 2
    assert (tmp_path / "old.html").read_text() == "old"
    assert not (tmp_path / "new.xml").exists()


@pytest.mark.parametrize("same", ["one", "./one", "sub/../one", "link"])
async def test_the_same_file_is_not_written_twice(
    here: Path, plan: Callable[..., str], tmp_path: Path, same: str
) -> None:
    """Neither under a different spelling of its name, nor by a different option."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "one")
    result = await invoke("run", f"{plan()}.yaml", "--json", "one", "--html", same)
    assert (result.exit_code, "the same place" in result.output) == (2, True)


async def test_a_failed_report_does_not_hide_the_outcome_of_the_run(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever goes wrong with the report, the exit code shows that something may still be active."""

    async def broken(*_: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr("cli.run_report.report_on", broken)
    outcome = RunOutcome(workflow_id="w", run_id="r", status=RunStatus.FAILED, lock_trouble="gone")
    files = ReportFiles({HTML: tmp_path / "report.html"})
    assert await write_report(files, PlanFile(KIND, small_plan(), {}), outcome) == ExitCode.RECOVERY_UNVERIFIED
    assert "the report could not be written: " in capsys.readouterr().err
    fine = outcome.model_copy(update={"lock_trouble": "", "summary": None, "status": RunStatus.CANCELLED})
    assert await write_report(files, PlanFile(KIND, small_plan(), {}), fine) == ExitCode.CANCELLED


async def test_a_report_on_standard_output_is_utf_8(store: Store) -> None:
    """The page declares UTF-8, and the terminal may have a different encoding."""
    await finished_run(store)
    result = await asyncio.to_thread(CliRunner(charset="ascii").invoke, cli, ["report", "small", "--html", "-"])
    assert result.exit_code == 0, result.stderr_bytes
    assert "✗" in result.stdout_bytes.decode()


async def test_an_unknown_run_is_an_error(store: Store) -> None:
    """If JSON was requested on standard output, the error is JSON too."""
    for known_as in ("nothing", "12345", "9" * 25):
        result = await invoke("report", known_as)
        assert result.exit_code == 3
        assert "the store has no" in result.stderr
        asked = await invoke("report", known_as, "--json", "-")
        assert json.loads(asked.stdout)["error_code"] == "NOT_FOUND"


@pytest.mark.usefixtures("stand_ins")
async def test_the_report_of_a_run_without_the_store_has_what_its_result_has(
    holdfast: Start, plan: Callable[..., str], tmp_path: Path
) -> None:
    """The report mentions this, and the exit code stays that of the run."""
    name = plan("failed")
    terminal = await holdfast("run", f"{name}.yaml", "--junit", "junit.xml", "--json", "outcome.json")
    code = await terminal.end()
    assert "the store cannot be read here, so the report has only what is in the run's result" in terminal.text
    assert json.loads((tmp_path / "outcome.json").read_text())["exit_code"] == code
    found = _cases(tmp_path / "junit.xml")
    assert found == {"the run comes to a verdict": True, "everything is off again": False}


@pytest.mark.parametrize("option", ["--detach", "--dry-run"])
async def test_a_run_that_nobody_follows_cannot_have_a_report(
    here: Path, plan: Callable[..., str], option: str
) -> None:
    """Nothing is started."""
    result = await invoke("run", f"{plan()}.yaml", "--html", "report.html", option)
    assert (result.exit_code, "a report is written only when the run has ended" in result.output) == (2, True)


async def test_a_report_on_standard_output_is_refused_for_a_run(here: Path, plan: Callable[..., str]) -> None:
    """And the outcome, unless nothing else goes there."""
    name = f"{plan()}.yaml"
    for options, hint in (
        (["--markdown", "-"], "cannot go to standard output: give it a file"),
        (["--quiet", "--markdown", "-"], "cannot go to standard output: give it a file"),
        (["--json", "-"], "shows the progress of the run: give the outcome a file, or add --quiet"),
        (["--dry-run", "--quiet", "--json", "-"], "shows the preview: give the outcome a file"),
    ):
        result: Any = await invoke("run", name, *options)
        assert (result.exit_code, hint in result.output) == (2, True)
