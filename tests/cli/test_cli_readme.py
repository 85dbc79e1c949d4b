"""What the README says of the command line."""

from __future__ import annotations

import re

import click
import yaml
from click.testing import CliRunner

from cli.exit_codes import ExitCode, code_for
from cli.main import cli
from domain.errors import ErrorCode
from tests.cli.terminal import ROOT

README = (ROOT / "README.md").read_text()


def test_its_table_has_every_command() -> None:
    """With the arguments that each needs, and no command that is not there."""
    rows = re.findall(r"^\| `holdfast ([a-z]+)((?: [A-Z]+)*)` \|", README, re.MULTILINE)
    needed = {
        name: "".join(f" {one.metavar or (one.name or '').upper()}" for one in command.params if _is_argument(one))
        for name, command in cli.commands.items()
    }
    assert dict(rows) == needed
    assert len(rows) == len(needed)


def _is_argument(parameter: click.Parameter) -> bool:
    return isinstance(parameter, click.Argument)


def test_every_option_that_it_names_is_there() -> None:
    """Of Holdfast: those of other programs stand on lines of theirs."""
    known = {name for command in cli.commands.values() for one in command.params for name in one.opts}
    text = "\n".join(line for line in README.splitlines() if "temporal workflow" not in line)
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)) <= known | {"--help"}


def test_its_exit_codes_are_those_of_the_program() -> None:
    """Each number, once."""
    cells = re.findall(r"\| (\d+) (?=\|)", README)
    assert sorted(map(int, cells)) == sorted(ExitCode)
    assert "steady state not met" in README
    assert code_for(ErrorCode.STEADY_STATE_NOT_MET) is ExitCode.STOPPED


def test_the_plan_that_it_begins_with_can_be_written() -> None:
    """By the very line; the rest is placeholders."""
    (line,) = re.findall(r"^ +holdfast (init .*)$", README, re.MULTILINE)
    written = CliRunner().invoke(cli, line.removesuffix(" --output plan.yaml").split())
    assert written.exit_code == 0
    assert yaml.safe_load(written.stdout)["request"]["url"] == "http://frontend.example.internal/api/checkout"


def test_the_shortest_plan_is_the_example() -> None:
    """Line by line, without the example's own comments at its top."""
    (shown,) = re.findall(r"```yaml\n(name: checkout.*?)```", README, re.DOTALL)
    example = (ROOT / "examples" / "minimal.yaml").read_text()
    assert shown == example[example.index("name: ") :]
