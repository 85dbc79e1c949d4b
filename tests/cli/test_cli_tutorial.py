"""`docs/tutorial.md` can be followed: its commands exist, with these options, and its files are the example's."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from cli.main import cli
from tests.cli.terminal import ROOT

TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
COMMANDS = [line.strip().removesuffix(" &") for line in TUTORIAL.splitlines() if line.startswith("    ")]
OURS = [line for line in COMMANDS if line.startswith("holdfast ")]
EXAMPLES = [line for line in COMMANDS if line.startswith("python examples/")]


def block(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TUTORIAL, re.DOTALL)


@pytest.mark.parametrize("line", OURS)
def test_its_commands_are_commands(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With these options and arguments, in the order in which they are typed."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my-plan.yaml").touch()
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    _, name, *arguments = shlex.split(line)
    command = cli.get_command(click.Context(cli), name)
    assert command is not None, f"there is no holdfast {name}"
    command.make_context(name, arguments)


def test_its_first_run_needs_every_step() -> None:
    """None of them got lost on the way."""
    names = [line.split()[1] for line in OURS]
    first, later, second = names[:7], names[7:10], names[10:]
    assert first == ["lab", "server", "worker", "init", "validate", "preview", "run"]
    assert later == ["report", "logs", "list"]
    assert second == ["lab", "run", "report", "run", "run"]
    started = [line.split()[2] for line in EXAMPLES]
    assert started == ["make-books", "picks", "page", "picks", "prices", "catalog", "page", "page"]


@pytest.mark.parametrize("line", [line for line in EXAMPLES if "--port" in line])
def test_its_services_take_these_options(line: str) -> None:
    """As their own help names them."""
    _, script, command, *arguments = shlex.split(line)
    told = subprocess.run(  # noqa: S603 - what the tutorial says
        [sys.executable, ROOT / script, command, "--help"], check=True, capture_output=True, text=True
    )
    assert {part for part in arguments if part.startswith("--")} <= set(re.findall(r"--[a-z-]+", told.stdout))


def test_its_topology_is_the_example() -> None:
    """And its ports are those that the commands name."""
    (shown,) = block("yaml")
    document = yaml.safe_load(shown)
    assert document == yaml.safe_load((ROOT / "examples" / "upstream-topology.yaml").read_text())
    assert typed_ports("84") == ports_of(document) | {str(document["ports"]["admin"])}


def test_the_second_half_names_the_ports_of_its_topology_and_plan() -> None:
    document = yaml.safe_load((ROOT / "examples" / "pricelist-topology.yaml").read_text())
    plan = yaml.safe_load((ROOT / "examples" / "pricelist.yaml").read_text())
    assert typed_ports("85") == ports_of(document)
    addresses = {service["name"]: f"http://127.0.0.1:{service['port']}" for service in document["services"]}
    assert plan["system"]["services"] == addresses
    for peer in ("proxy", "faults"):
        assert plan["system"][peer].endswith(f":{document['ports'][peer]}")
    assert plan["request"]["url"] == addresses[document["entry"]] + document["entry_path"]


def typed_ports(hundreds: str) -> set[str]:
    """The ports of an example that the commands name: those of its services, and of the lab before them."""
    typed = set(re.findall(r"(?:127\.0\.0\.1:|--port )(\d+)", "\n".join(COMMANDS)))
    return {port for port in typed if port.removeprefix("1").startswith(hundreds)}


def ports_of(topology: Any) -> set[str]:
    upstreams = {service["upstream"].rpartition(":")[2] for service in topology["services"]}
    return upstreams | {str(service["port"]) for service in topology["services"]}
