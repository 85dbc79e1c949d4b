"""The README and the documents describe the command line as it is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from cli.main import cli, every_command, every_subcommand
from tests.support.paths import ROOT

README = (ROOT / "README.md").read_text()
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
WITH_COMMANDS = [path for path in DOCUMENTS if "holdfast " in path.read_text()]
WITH_OPTIONS = [path for path in WITH_COMMANDS if re.search(r"(?<![\w-])--[a-z]", path.read_text())]
OTHER_PROGRAMS = "temporal (workflow|schedule|operator)|pip install|datasette|python examples"


@pytest.mark.parametrize("document", WITH_COMMANDS, ids=lambda path: path.name)
def test_every_command_that_a_document_names_exists(document: Path) -> None:
    """In blocks of commands and in prose."""
    named = re.findall(r"(?:^    |`)(?:[A-Z_]+=\S+ )?holdfast ([a-z-]+)", document.read_text(), re.MULTILINE)
    assert {name for name in named if name not in every_command()} == set()


@pytest.mark.parametrize("document", WITH_OPTIONS, ids=lambda path: path.name)
def test_every_option_that_a_document_names_exists(document: Path) -> None:
    """In a command, it is one of that command. Options of other programs stand on lines of their own."""
    options = {
        name: {
            "--help",
            *(option for parameter in command.params for option in parameter.opts + parameter.secondary_opts),
        }
        for name, command in every_subcommand().items()
    }
    lines = [line for line in document.read_text().splitlines() if not re.search(OTHER_PROGRAMS, line)]
    named = r"holdfast ((?:schedule )?[a-z-]+)"
    commands = [found for line in lines for found in re.findall(rf"`{named}([^`]*)`", line)]
    commands += [found for line in lines for found in re.findall(rf"^    {named}([^#]*)", line)]
    for command, rest in commands:
        assert set(_options_in(rest)) <= options[command], command
    assert set(_options_in("\n".join(lines))) <= set().union(*options.values())


def _options_in(text: str) -> list[str]:
    return re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)


def test_the_init_command_of_the_readme_writes_a_plan() -> None:
    """The line is used as it is. The rest of the plan is placeholders."""
    (line,) = re.findall(r"^ +holdfast (init .*)$", README, re.MULTILINE)
    written = CliRunner().invoke(cli, line.removesuffix(" --output plan.yaml").split())
    assert written.exit_code == 0
    assert yaml.safe_load(written.stdout)["request"]["url"] == "http://frontend.example.internal/api/checkout"


def test_the_shortest_plan_of_the_readme_is_the_example() -> None:
    """Line by line, without the comments at the top of the example."""
    (shown,) = re.findall(r"```yaml\n(name: checkout.*?)```", README, re.DOTALL)
    example = (ROOT / "examples" / "minimal.yaml").read_text()
    assert shown == example[example.index("name: ") :]
