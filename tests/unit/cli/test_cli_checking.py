"""`validate --json` and `schema`: output for programs and editors."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from cli.main import cli
from domain.plans.schema import plan_schema
from tests.support.cli.terminal import plan_document
from tests.support.paths import ROOT


def facts_of(path: Path) -> tuple[int, dict[str, Any]]:
    result = CliRunner().invoke(cli, ["validate", "--json", str(path)])
    assert result.stderr == ""
    facts: dict[str, Any] = json.loads(result.stdout)
    return result.exit_code, facts


def test_a_valid_plan_is_described_as_json() -> None:
    """With its numbers and an empty list of problems."""
    code, facts = facts_of(ROOT / "examples" / "shop.yaml")
    assert (code, facts["valid"], facts["problems"]) == (0, True, [])
    assert (facts["plan"], facts["services"], facts["cases"], facts["requests"]) == ("shop", 5, 16, 192)


def test_the_number_of_requests_is_an_upper_bound(tmp_path: Path) -> None:
    """Cases may end earlier; for people it reads `up to`."""
    path = tmp_path / "plan.yaml"
    slo = {"regression": {}}
    path.write_text(yaml.safe_dump(plan_document("shop") | {"load": {"max_requests": 500}, "slo": slo}))
    assert facts_of(path)[1]["requests"] == 16 * 500
    assert "16 cases, up to 8000 requests" in CliRunner().invoke(cli, ["validate", str(path)]).output


def test_every_problem_is_listed_as_json(tmp_path: Path) -> None:
    """With the file, the path in it, the message and the hint. The exit code is the same as without --json."""
    document = plan_document("shop")
    document["services"][0]["fault"] = "remvoe"
    del document["slo"]
    path = tmp_path / "wrong.yaml"
    path.write_text(yaml.safe_dump(document))
    code, facts = facts_of(path)
    assert (code, facts["valid"]) == (2, False)
    assert [problem["path"] for problem in facts["problems"]] == ["services[0].fault", "slo"]
    assert all(problem["file"] == str(path) and problem["message"] for problem in facts["problems"])
    assert "remove" in facts["problems"][0]["hint"]


@pytest.mark.parametrize(("text", "line"), [("a: [\n", 2), ("a: 1\na: 2\n", 2), ("", None)])
def test_a_file_that_is_no_plan_is_a_problem_as_json(tmp_path: Path, text: str, line: int | None) -> None:
    """Like any other problem, with its line if there is one."""
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    code, facts = facts_of(path)
    (problem,) = facts["problems"]
    assert (code, problem["line"], problem["path"]) == (2, line, "")


def test_the_schema_is_printed_or_written(tmp_path: Path) -> None:
    """The text is the same either way, and standard output holds nothing else."""
    printed = CliRunner().invoke(cli, ["schema"])
    assert json.loads(printed.stdout) == plan_schema()
    path = tmp_path / "plan.schema.json"
    written = CliRunner().invoke(cli, ["schema", "--output", str(path)])
    assert written.exit_code == 0
    assert written.output.startswith(f"written: {path}\nnext: ")
    assert path.read_text() == printed.stdout


def test_a_schema_that_cannot_be_written_is_reported_in_a_sentence(tmp_path: Path) -> None:
    """With exit code 2: wrong use."""
    result = CliRunner().invoke(cli, ["schema", "--output", str(tmp_path / "missing" / "x.json")])
    assert result.exit_code == 2
    assert len(result.output.splitlines()) == 1
    assert "cannot be written" in result.output


def test_commands_import_only_what_they_need() -> None:
    """Starting is most of what a short one takes. Checking a plan needs no store, and reading the store no Temporal."""
    script = (
        "import sys; from cli.main import cli; cli(['validate', 'examples/shop.yaml'], standalone_mode=False);"
        "print({'temporalio', 'sqlalchemy', 'alembic', 'lab', 'aiohttp'} & set(sys.modules));"
        "import cli.commands.report, cli.commands.compare, cli.commands.list_runs, cli.commands.faults;"
        "print({'temporalio', 'alembic', 'lab', 'aiohttp'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603 - our own code
    assert done.stdout.splitlines()[-2:] == ["set()", "set()"]
