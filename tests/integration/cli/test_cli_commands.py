"""The commands that run nothing: validate, status, faults, lab, help, and how errors are reported."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from click.testing import CliRunner
from temporalio.client import Client
from temporalio.service import RPCError

from cli.console import clear_errors
from cli.main import cli, every_subcommand
from clients.store.store import Store
from clients.temporal.runs import RunEnd
from domain.errors import ErrorCode
from domain.executions.execution import Recovery, RunStatus
from domain.executions.state import WindowRow
from domain.executions.windows import WindowKind, WindowState
from domain.faults.model import InjectionState
from domain.resilience.model import Phase
from domain.resilience.state import AnalysisPanel, InjectionRow, ResilienceState, RulesPanel
from operations.runs.find_stored import possible_ids
from operations.runs.state import ended, switched_off
from tests.support.cli.stand_ins import WAITS
from tests.support.cli.stored import stored_run
from tests.support.cli.terminal import Terminal, plan_document
from tests.support.http import http_client
from tests.support.paths import ROOT
from workflows.execution.failures import refused_input

Start = Callable[..., Awaitable[Terminal]]
REFUSED = refused_input([], Phase.GENERATING_CASES)


@pytest.mark.parametrize("example", ["shop.yaml", "minimal.yaml"])
def test_a_valid_plan_prints_one_line_and_the_next_step(example: str) -> None:
    """The line shows the number of cases and requests, so that nobody is surprised by their own plan."""
    result = CliRunner().invoke(cli, ["validate", str(ROOT / "examples" / example)])
    assert result.exit_code == 0
    assert result.output.startswith("ok: plan ")
    assert " cases, " in result.output
    # Anything that a worker of this terminal would refuse goes to standard error.
    (_, following) = result.stdout.splitlines()
    assert f"next: `holdfast preview {ROOT / 'examples' / example}`" in following


def test_every_problem_is_printed_with_its_path_and_a_hint(tmp_path: Path) -> None:
    """All at once, on standard error, with exit code 2."""
    document = plan_document("shop")
    document["services"][0]["fault"] = "remvoe"
    document["load"]["requsts"] = 1
    del document["slo"]
    path = tmp_path / "wrong.yaml"
    path.write_text(yaml.safe_dump(document))
    result = CliRunner().invoke(cli, ["validate", str(path)])
    assert result.exit_code == 2
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert lines[0] == f"{path}: 3 problems"
    assert [line.split(":")[0].strip() for line in lines[1:-1]] == ["services[0].fault", "load.requsts", "slo"]
    assert lines[-1] == f"next: fix them, then `holdfast validate {path}` again"
    assert "remove" in lines[1]
    assert "requests" in lines[2]


async def test_validate_works_as_a_process(holdfast: Start, tmp_path: Path) -> None:
    """With the installed entry point, its exit codes, and a plan from JSON."""
    (tmp_path / "plan.json").write_text(json.dumps(plan_document("shop")))
    right = await holdfast("validate", "plan.json")
    assert await right.end() == 0
    assert right.text.startswith("ok: plan shop")
    wrong = await holdfast("validate", "nowhere.yaml")
    assert await wrong.end() == 2
    assert wrong.text.startswith("error: nowhere.yaml: cannot be read")


def test_every_command_and_option_has_help() -> None:
    assert set(every_subcommand()) >= {
        "demo", "run", "validate", "status", "watch", "cancel", "faults", "server", "lab", "worker",
    }  # fmt: skip
    for name, command in every_subcommand().items():
        assert command.help, name
        for parameter in command.params:
            assert not isinstance(parameter, click.Option) or parameter.help, f"{name} {parameter.name}"
        assert CliRunner().invoke(cli, [*name.split(), "--help"]).exit_code == 0


def test_a_defect_prints_one_sentence_and_writes_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The traceback goes where it can be attached to a report, not into somebody's terminal."""
    monkeypatch.chdir(tmp_path)

    @click.command()
    @clear_errors
    def broken() -> None:
        raise ZeroDivisionError("secret detail")

    result = CliRunner().invoke(broken)
    assert result.exit_code == 3
    (file,) = (tmp_path / ".holdfast").iterdir()
    expected = (
        f"error: unexpected ZeroDivisionError. Details: .holdfast/{file.name}. This is a defect: please report it"
    )
    assert result.output.startswith(expected)
    assert len(result.output.splitlines()) == 1
    assert "secret detail" in file.read_text()


def test_an_interrupted_prompt_counts_as_cancelled() -> None:
    """Ctrl-C at the question is an answer: nothing was touched."""

    @click.command()
    @clear_errors
    def asking() -> None:
        raise click.Abort

    assert CliRunner().invoke(asking).exit_code == 130


def test_an_id_is_a_plans_name_or_a_workflow_id() -> None:
    """Runs that others started have ids of any shape."""
    assert possible_ids("shop") == ["resilience-test/shop", "shop"]
    assert possible_ids("resilience-test/shop") == ["resilience-test/shop"]


@pytest.mark.usefixtures("stand_ins")
async def test_status_asks_the_run_itself(holdfast: Start, client: Client, begin: Callable[[str], Any]) -> None:
    """It prints this source and the age of the state. A terminated run shows the server's record of its end."""
    run = await begin(WAITS)
    name = run.id.rpartition("/")[2]
    await _until_running(client, run.id)
    terminal = await holdfast("status", name)
    assert await terminal.end() == 0
    assert "status running, phase GENERATING_CASES" in terminal.text
    assert "(from the run itself; last change " in terminal.text
    await run.terminate()
    terminal = await holdfast("status", run.id)
    assert await terminal.end() == 0
    assert "status failed, phase FAILED" in terminal.text
    assert "TERMINATED: the run was terminated" in terminal.text
    assert "finished not yet" not in terminal.text


def test_a_run_that_ended_early_is_shown_as_switched_off() -> None:
    """Its lock saw everything go off. The terminated run itself believes for ever that its fault is active."""
    row = InjectionRow(service="reviews", state=InjectionState.RUNNING)
    pending = InjectionRow(service="shipping")
    window = WindowRow(window_id="rules/42", kind=WindowKind.RULES, state=WindowState.OPEN)
    rules = RulesPanel(rules=10, ready=True)
    state = ResilienceState(recovery=None, injections=[row, pending], rules=rules, windows=[window])
    off = switched_off(state)
    assert isinstance(off, ResilienceState)
    assert [injection.state for injection in off.injections] == [InjectionState.RECOVERED, InjectionState.PENDING]
    assert (off.recovery, off.rules.ready, off.rules.rules) == (Recovery.VERIFIED, False, 10)
    assert (off.injections_completed, off.injections_running) == (1, 0)
    assert [closed.state for closed in off.windows] == [WindowState.CLOSED]


@pytest.mark.parametrize(
    ("end", "code"),
    [
        (RunEnd(status=RunStatus.FAILED, terminated=True, message="gone"), ErrorCode.TERMINATED),
        (RunEnd(status=RunStatus.TIMED_OUT, message="late"), ErrorCode.DEADLINE_EXCEEDED),
        (RunEnd(status=RunStatus.FAILED, failure=REFUSED, message="wrong"), ErrorCode.VALIDATION_ERROR),
    ],
)
@pytest.mark.parametrize("status", [RunStatus.PENDING, RunStatus.RUNNING])
def test_a_closed_run_is_shown_as_ended(status: RunStatus, end: RunEnd, code: ErrorCode) -> None:
    """The run may believe that it waits, records, or is almost done. The server knows better, and since when."""
    panel = AnalysisPanel(state="recording")
    closed = end.model_copy(update={"finished_at": datetime(2026, 1, 1, tzinfo=UTC)})
    found = ended(ResilienceState(status=status, analysis=panel, eta_seconds=3), closed)
    assert isinstance(found, ResilienceState)
    assert (found.status, found.phase, found.error_code) == (end.status, Phase.FAILED, code)
    assert (found.error_message, found.finished_at) == (end.message, closed.finished_at)
    assert (found.analysis.state, found.analysis.error, found.eta_seconds) == ("failed", end.message, None)


async def test_status_without_a_server_comes_from_the_store(holdfast: Start, store: Store, tmp_path: Path) -> None:
    """The age of the state is printed. An unknown run is one sentence."""
    await stored_run(store)
    away = {"TEMPORAL_ADDRESS": "127.0.0.1:1", "HOLDFAST_DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path}/holdfast.db"}
    terminal = await holdfast("status", "shop", **away)
    assert await terminal.end() == 0
    assert "plan shop, namespace shop" in terminal.text
    assert "(from the store; last change " in terminal.text
    terminal = await holdfast("status", "other", **away)
    assert await terminal.end() == 3
    assert terminal.text.startswith("error: nothing is known about other: no Temporal server answers")


async def test_the_lab_prints_its_addresses_and_ends_when_asked(holdfast: Start) -> None:
    """One line of JSON, on free ports. SIGTERM closes everything with exit code 0."""
    terminal = await holdfast("lab", "--json", "--free-ports")
    addresses = json.loads(await terminal.until("}"))
    async with http_client() as http:
        answer = await http.get(f"{addresses['admin']}/lab/state")
    assert answer.json()["clean"] is True
    terminal.signal(signal.SIGTERM)
    assert await terminal.end() == 0


async def test_the_exit_code_survives_the_end_of_the_process(holdfast: Start) -> None:
    """The SDK's threads abort every fifth interpreter that is torn down after a call: 134 instead of our code.

    Half of them have keys that cannot be used, which a command that only ends something does not need.
    """
    keys = [{}, {"HOLDFAST_PAYLOAD_KEYS": "unusable"}] * 3
    terminals = await asyncio.gather(*(holdfast("cancel", "--no-wait", "nobody", **more) for more in keys))
    assert [await terminal.end() for terminal in terminals] == [3] * 6
    hint = "`holdfast list` shows the runs that the store knows"
    assert {terminal.text for terminal in terminals} == {
        f"error: the Temporal server has no run resilience-test/nobody or nobody. {hint}\n"
    }


def test_an_invalid_topology_prints_one_sentence(tmp_path: Path) -> None:
    """Whether it is not YAML or not a topology."""
    path = tmp_path / "topology.yaml"
    for text, words in (
        ("a: [", "topology.yaml:1:"),
        ("a: 1\na: 2", "twice"),
        ("#" * 2_000_000, "larger"),
        ("namespace: shop", "entry"),
        ("[]", "topology"),
    ):
        path.write_text(text)
        result = CliRunner().invoke(cli, ["lab", "--topology", str(path)])
        assert result.exit_code == 2, result.output
        assert words in result.output
        assert len(result.output.splitlines()) == 1


async def _until_running(client: Client, workflow_id: str) -> None:
    run = client.get_workflow_handle(workflow_id)
    for _ in range(100):
        try:
            state = await run.query("status")
            if state["phases"]:
                return
        except RPCError:
            pass
        await asyncio.sleep(0.1)
    raise AssertionError("never running")
