"""`holdfast lab` in front of real services: what it prints about them, and the plan that it writes."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from cli.main import cli
from cli.plans import valid_document
from domain.plans.plan import Plan
from tests.support.cli.terminal import Terminal
from tests.support.lab.real_service import RealService
from tests.support.paths import ROOT

Start = Callable[..., Awaitable[Terminal]]


def service_names(document: object) -> list[str]:
    """Return the services of a plan that is valid."""
    plan = valid_document(document, "plan").definition
    assert isinstance(plan, Plan)
    return plan.service_names


def written(path: Path, real: str, dead: str) -> str:
    path.write_text(
        yaml.safe_dump(
            {
                "namespace": "mixed",
                "entry": "front",
                "entry_path": "/page?user=1",
                "services": [
                    {"name": "front", "upstream": real},
                    {"name": "gone", "upstream": dead, "upstream_health": "/ready"},
                    {"name": "back", "routes": [{"path": "/api/x"}]},
                ],
            }
        )
    )
    return str(path)


async def test_the_lab_prints_which_services_are_real_and_which_do_not_answer(holdfast: Start, tmp_path: Path) -> None:
    """It starts nevertheless: services may come later than the lab. The plan has the topology's request."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # Bound but not listening: nobody answers here, and nobody else can.
        dead = f"http://127.0.0.1:{taken.getsockname()[1]}"
        async with RealService() as real:
            topology = written(tmp_path / "topology.yaml", real.url, dead)
            plan = tmp_path / "plan.yaml"
            terminal = await holdfast("lab", "--topology", topology, "--free-ports", "--plan", str(plan))
            printed = await terminal.until("warning")
            terminal.signal(signal.SIGTERM)
            assert await terminal.end() == 0
    lines = {line.split()[0]: line for line in printed.splitlines() if line.startswith("  ")}
    assert lines["front"].endswith(f" -> {real.url}")
    assert lines["gone"].endswith(f" -> {dead}")
    assert lines["back"].endswith(" simulated")
    assert f"warning: gone is not ready: {dead}/ready gives no answer below 500" in terminal.text
    assert terminal.text.count("warning") == 1
    document = yaml.safe_load(plan.read_text())
    assert document["request"]["url"].endswith("/page?user=1")
    assert service_names(document) == ["back", "gone"]


async def test_the_json_of_the_lab_shows_which_services_are_real(holdfast: Start, tmp_path: Path) -> None:
    """They are in the same line of JSON as the addresses."""
    async with RealService() as real:
        terminal = await holdfast(
            "lab", "--json", "--free-ports", "--topology", written(tmp_path / "t.yaml", real.url, real.url)
        )
        addresses = json.loads(await terminal.until("}\n"))
        assert addresses["upstreams"] == {"front": real.url, "gone": real.url}
        assert addresses["entry_request"] == {"method": "GET", "path": "/page?user=1"}
        terminal.signal(signal.SIGTERM)
        assert await terminal.end() == 0


@pytest.mark.parametrize(
    ("service", "words"),
    [
        ({"upstream": "https://shop.example"}, "the lab speaks plain HTTP"),
        ({"upstream": "http://h", "routes": [{"path": "/api/x"}]}, "services.0: service 'a' is real, the upstream"),
    ],
)
def test_a_mistake_about_a_real_service_prints_one_sentence(
    tmp_path: Path, service: dict[str, object], words: str
) -> None:
    """It names the file, the place, and what is wrong there."""
    path = tmp_path / "topology.yaml"
    path.write_text(yaml.safe_dump({"namespace": "n", "entry": "a", "services": [{"name": "a", **service}]}))
    result = CliRunner().invoke(cli, ["lab", "--topology", str(path)])
    assert result.exit_code == 2
    assert words in result.output
    assert result.output.startswith(f"error: {path}: services.0")


def test_the_plan_of_the_example_is_valid_before_anything_runs(tmp_path: Path) -> None:
    """Every port of the example is fixed."""
    example = ROOT / "examples" / "upstream-topology.yaml"
    plan, copy = tmp_path / "plan.yaml", tmp_path / "topology.yaml"
    result = CliRunner().invoke(cli, ["lab", "--topology", str(example), "--write", str(copy), "--plan", str(plan)])
    assert result.exit_code == 0, result.output
    document = yaml.safe_load(plan.read_text())
    assert document["request"]["url"] == "http://127.0.0.1:18401/page"
    assert service_names(document) == ["books", "picks"]
    assert yaml.safe_load(copy.read_text()) == yaml.safe_load(example.read_text())
