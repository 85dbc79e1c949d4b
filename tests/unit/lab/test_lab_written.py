"""Topologies and plans as files: they read back unchanged, and a run accepts the plan."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from cli.main import cli
from cli.plans import valid_document
from domain.plans.plan import Plan
from lab import LabAddresses, Topology, load_topology
from lab.generated.generate import generate_topology
from lab.generated.graphs import Shape
from lab.generated.plan_for import plan_for, plan_text, preferred_addresses
from lab.generated.planting import Weakness
from lab.generated.written import topology_text
from tests.support.lab.forecast import Forecast
from tests.support.paths import EXAMPLES

TOPOLOGIES = [
    load_topology(EXAMPLES / "shop-topology.yaml"),
    load_topology(EXAMPLES / "train-ticket-topology.yaml"),
    *(generate_topology(shape, 30, seed=3).topology for shape in Shape),
]


def lab_command(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["lab", *map(str, arguments)])


@pytest.mark.parametrize("topology", TOPOLOGIES, ids=lambda topology: topology.namespace)
def test_a_written_topology_reads_back_the_same(topology: Topology, tmp_path: Path) -> None:
    """Units, comments and omitted defaults make no difference."""
    path = tmp_path / "topology.yaml"
    path.write_text(topology_text(topology, ["why:", "", "because"]), encoding="utf-8")
    assert load_topology(path) == topology
    assert path.read_text(encoding="utf-8").startswith("# why:\n#\n# because\nnamespace:")


@pytest.mark.parametrize("topology", TOPOLOGIES, ids=lambda topology: topology.namespace)
def test_the_plan_of_a_topology_is_valid_and_breaks_all_but_the_entry(topology: Topology) -> None:
    """A run would start with this plan, whatever the system."""
    text = plan_text(topology, preferred_addresses(topology), ["why"])
    assert "&" not in text  # No YAML anchors: a person would write it out.
    plan = valid_document(yaml.safe_load(text), "written").definition
    assert isinstance(plan, Plan)
    assert {*plan.service_names, topology.entry} == {service.name for service in topology.services}
    assert plan.system.namespace == topology.namespace


@pytest.mark.parametrize("topology", TOPOLOGIES, ids=lambda topology: topology.namespace)
def test_the_slo_lies_between_one_pause_and_two(topology: Topology) -> None:
    """With a good margin on either side, so that a busy machine does not change a verdict."""
    addresses = preferred_addresses(topology)
    p95 = float(plan_for(topology, addresses)["slo"]["p95"].removesuffix("s"))
    behind = [service.name for service in topology.services if service.name != topology.entry]
    forecast = Forecast(topology)
    waiting = {forecast.outcome(pair).waiting for pair in zip(behind, behind, strict=True)} - {0.0}
    assert all(pause * 1.5 < p95 < pause * 1.7 for pause in waiting)


def test_a_plan_needs_addresses() -> None:
    """Before the lab runs they are known only if the topology gives every port."""
    topology = TOPOLOGIES[0].model_copy(update={"ports": TOPOLOGIES[0].ports.model_copy(update={"proxy": None})})
    with pytest.raises(ValueError, match="only once the lab runs"):
        preferred_addresses(topology)


def test_a_plan_needs_a_service_to_break() -> None:
    """A lone entry leaves nothing to test."""
    lone = {"namespace": "n", "entry": "a", "services": [{"name": "a", "port": 1, "routes": [{"path": "/api/x"}]}]}
    topology = Topology.model_validate({**lone, "ports": {"proxy": 2, "faults": 3, "admin": 4}})
    with pytest.raises(ValueError, match="nothing behind it"):
        plan_for(topology, preferred_addresses(topology))


def test_a_generated_system_is_written_with_its_plan(tmp_path: Path) -> None:
    """`--write` starts nothing. The files state how they were made and what was planted."""
    topology, plan = tmp_path / "topology.yaml", tmp_path / "plan.yaml"
    result = lab_command("--generate", "tree:12", "--seed", 7, "--write", topology, "--plan", plan)
    assert (result.exit_code, result.output) == (0, f"written: {topology}\nwritten: {plan}\n")
    generated = generate_topology(Shape.TREE, 12, 7)
    assert load_topology(topology) == generated.topology
    for path in (topology, plan):
        head = path.read_text(encoding="utf-8").splitlines()
        assert head[0] == "# generated: tree:12 --seed 7 --weaknesses 3"
        assert head[1 : 1 + len(generated.planted)] == [f"# planted: {planted}" for planted in generated.planted]
    assert json.loads(json.dumps(yaml.safe_load(plan.read_text())))["name"] == "tree-12"


def test_a_generated_system_has_the_requested_kinds_of_weaknesses(tmp_path: Path) -> None:
    """The head of the file is the command that makes it again."""
    topology = tmp_path / "topology.yaml"
    result = lab_command("--generate", "star:9", "--kinds", "fallback_path,exception", "--write", topology)
    assert result.exit_code == 0
    kinds = {Weakness.FALLBACK_PATH, Weakness.EXCEPTION}
    generated = generate_topology(Shape.STAR, 9, 1, kinds=kinds)
    assert load_topology(topology) == generated.topology
    head = topology.read_text(encoding="utf-8").splitlines()
    assert head[0] == "# generated: star:9 --seed 1 --weaknesses 3 --kinds fallback_path,exception"
    assert head[1 : 1 + len(generated.planted)] == [f"# planted: {planted}" for planted in generated.planted]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--generate", "ring:7"], "the shapes are chain, tree, star, layered"),
        (["--generate", "star:4"], "has 5 to 200"),
        (["--generate", "star:5", "--topology", "t.yaml"], "exclude each other"),
        (["--generate", "star:5", "--kinds", "some"], "--kinds: 'some' is not a valid Weakness: write all, or some of"),
        (["--write", "/nowhere/t.yaml"], "/nowhere/t.yaml cannot be written"),
    ],
)
def test_impossible_options_are_refused(arguments: list[str], problem: str) -> None:
    """Before anything is started, with exit code 2."""
    result = lab_command(*arguments)
    assert result.exit_code == 2
    assert problem in result.output


async def test_a_running_lab_writes_the_plan_with_its_real_addresses(tmp_path: Path) -> None:
    """The plan has the ports that the lab got, and it exists before the lab announces that it is up."""
    plan = tmp_path / "plan.yaml"
    arguments = ["lab", "--generate", "tree:8", "--free-ports", "--json", "--plan", str(plan)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(EXAMPLES.parent / "starter.py"), *arguments, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        addresses = LabAddresses.model_validate_json(await process.stdout.readline())
        written = valid_document(yaml.safe_load(plan.read_text(encoding="utf-8")), "written").definition
        assert isinstance(written, Plan)
    finally:
        process.terminate()
        await process.wait()
    assert written.system.services == addresses.services
    assert (written.system.proxy, written.system.faults) == (addresses.proxy, addresses.faults)
    assert written.request.url == f"{addresses.entry}/api/entry"
