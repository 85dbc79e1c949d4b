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
from reports.forms.registry import HTML
from tests.support.cli.stored import invoke
from tests.support.cli.terminal import Terminal
from tests.support.reports.stored_runs import StoredRun, aborted_run, finished_run, small_plan, taken

Start = Callable[..., Awaitable[Terminal]]


def _cases(path: Path) -> dict[str, bool]:
    """Each testcase, and whether it is a failure."""
    root = Xml.parse(path).getroot()  # noqa: S314 - it is ours
    return {one.get("name", ""): one.find("failure") is not None for one in root.iter("testcase")}


async def test_without_a_file_it_is_a_short_text(store: Store) -> None:
    """Verdict, recovery, coverage, the pairs that matter, and what to do next."""
    execution_id = await finished_run(store)
    said = await invoke("report", "small")
    assert said.exit_code == 0
    lines = said.output.splitlines()
    assert lines[0].endswith(f"execution {execution_id}")
    assert lines[1] == "Failed: 2 of 7 cases miss the SLO: alpha+beta, alpha+gamma."
    assert "  alpha+beta                       fails only together, 100 points more errors than expected" in lines
    assert lines[-1] == "next: `holdfast report small --html report.html` shows all of it"


@pytest.mark.parametrize("known_as", ["small", "resilience-test/small", "number"])
async def test_every_name_of_a_run_will_do(store: Store, known_as: str) -> None:
    """As in `status`, and the number that `list` shows."""
    execution_id = await finished_run(store)
    said = await invoke("report", str(execution_id) if known_as == "number" else known_as, "--json", "-")
    assert json.loads(said.stdout)["run"]["execution_id"] == execution_id


async def test_all_forms_are_written_at_once(store: Store, tmp_path: Path) -> None:
    """One of them may be standard output, which then has nothing else."""
    await aborted_run(store)
    files = {form: tmp_path / f"report.{form}" for form in ("html", "junit", "json")}
    options = [word for form, path in files.items() for word in (f"--{form}", str(path))]
    said = await invoke("report", "small", *options, "--markdown", "-")
    assert said.exit_code == 0, said.output
    assert said.stdout.startswith("## Holdfast: small, ")
    assert "written: " not in said.stdout
    assert sorted(said.stderr.splitlines()) == sorted(f"written: {path}" for path in files.values())
    assert files["html"].read_text().lower().startswith("<!doctype html>")
    assert _cases(files["junit"])["the run comes to a verdict"]
    assert json.loads(files["json"].read_text())["version"] == 1


async def test_inconclusive_can_be_skipped(store: Store, tmp_path: Path) -> None:
    """In JUnit XML, for pipelines that would rather not stop."""
    run = await StoredRun.begin(store)
    await run.generate()
    await run.measure(1, taken(1), Verdict.INCONCLUSIVE, "too few")
    await run.end(verdict=Verdict.INCONCLUSIVE)
    path = tmp_path / "junit.xml"
    await invoke("report", "small", "--junit", str(path))
    assert _cases(path)["alpha"]
    await invoke("report", "small", "--junit", str(path), "--junit-inconclusive", "skipped")
    assert not any(_cases(path).values())


async def test_what_cannot_be_written_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    """Exit code 2, with the option."""
    nowhere = await invoke("report", "x", "--html", str(tmp_path / "no" / "report.html"))
    assert (nowhere.exit_code, "--html: there is no folder" in nowhere.output) == (2, True)
    twice = await invoke("report", "x", "--html", "-", "--json", "-")
    assert (twice.exit_code, "the same place" in twice.output) == (2, True)


async def test_a_file_that_cannot_be_written_is_told_before_the_run(
    here: Path, plan: Callable[..., str], tmp_path: Path
) -> None:
    """And not an hour later. What is there stays as it is, and nothing is left behind."""
    (tmp_path / "old.html").write_text("old")
    name = f"{plan()}.yaml"
    long = "x" * 300
    for option in ("--html", "--markdown", "--junit", "--json"):
        said = await invoke("run", name, "--markdown", "old.html", "--junit", "new.xml", option, long)
        assert (said.exit_code, f"{option}: {long} cannot be written" in said.output) == (2, True)
    assert (await invoke("report", "x", "--json", long)).exit_code == 2
    assert (tmp_path / "old.html").read_text() == "old"
    assert not (tmp_path / "new.xml").exists()


@pytest.mark.parametrize("same", ["one", "./one", "sub/../one", "link"])
async def test_one_file_is_not_written_twice(here: Path, plan: Callable[..., str], tmp_path: Path, same: str) -> None:
    """Under whatever name, and by whichever option."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "one")
    said = await invoke("run", f"{plan()}.yaml", "--json", "one", "--html", same)
    assert (said.exit_code, "the same place" in said.output) == (2, True)


async def test_a_report_that_fails_does_not_hide_what_came_of_the_run(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever goes wrong with it: that something may still be on is the exit code."""

    async def broken(*_: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr("cli.run_report.report_on", broken)
    outcome = RunOutcome(workflow_id="w", run_id="r", status=RunStatus.FAILED, lock_trouble="gone")
    files = ReportFiles({HTML: tmp_path / "report.html"})
    assert await write_report(files, small_plan(), outcome) == ExitCode.RECOVERY_UNVERIFIED
    assert "the report could not be written: " in capsys.readouterr().err
    fine = outcome.model_copy(update={"lock_trouble": "", "summary": None, "status": RunStatus.CANCELLED})
    assert await write_report(files, small_plan(), fine) == ExitCode.CANCELLED


async def test_a_report_on_standard_output_is_what_it_says_it_is(store: Store) -> None:
    """The page says that it is UTF-8, also where the terminal has another encoding."""
    await finished_run(store)
    said = await asyncio.to_thread(CliRunner(charset="ascii").invoke, cli, ["report", "small", "--html", "-"])
    assert said.exit_code == 0, said.stderr_bytes
    assert "✗" in said.stdout_bytes.decode()


async def test_an_unknown_run_is_an_error(store: Store) -> None:
    """Where JSON was asked for on standard output, as JSON."""
    for known_as in ("nothing", "12345", "9" * 25):
        said = await invoke("report", known_as)
        assert said.exit_code == 3
        assert "the store has no" in said.stderr
        asked = await invoke("report", known_as, "--json", "-")
        assert json.loads(asked.stdout)["error_code"] == "NOT_FOUND"


@pytest.mark.usefixtures("stand_ins")
async def test_a_run_without_the_store_reports_what_its_result_tells(
    holdfast: Start, plan: Callable[..., str], tmp_path: Path
) -> None:
    """And says so; the exit code stays that of the run."""
    name = plan("failed")
    terminal = await holdfast("run", f"{name}.yaml", "--junit", "junit.xml", "--json", "outcome.json")
    code = await terminal.end()
    assert "the store cannot be read here, so the report has what the run's result tells" in terminal.text
    assert json.loads((tmp_path / "outcome.json").read_text())["exit_code"] == code
    found = _cases(tmp_path / "junit.xml")
    assert found == {"the run comes to a verdict": True, "everything is off again": False}


@pytest.mark.parametrize("option", ["--detach", "--dry-run"])
async def test_a_run_that_nobody_follows_has_no_report(here: Path, plan: Callable[..., str], option: str) -> None:
    """Nothing is started."""
    said = await invoke("run", f"{plan()}.yaml", "--html", "report.html", option)
    assert (said.exit_code, "a report is written when the run has ended" in said.output) == (2, True)


async def test_a_run_shows_its_progress_on_standard_output(here: Path, plan: Callable[..., str]) -> None:
    """So no report goes there."""
    said: Any = await invoke("run", f"{plan()}.yaml", "--markdown", "-")
    assert (said.exit_code, "give the report a file" in said.output) == (2, True)
    said = await invoke("run", f"{plan()}.yaml", "--json", "-")
    assert (said.exit_code, "give the outcome a file" in said.output) == (2, True)
