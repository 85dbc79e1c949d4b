"""`holdfast run` against a real server: what it prints, what signals do, and its exit codes."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError
from temporalio.service import RPCError, RPCStatusCode

from domain.errors import ErrorCode
from domain.executions.execution import Recovery
from domain.resilience.kind import KIND
from operations.processes.interrupts import Interrupts
from operations.runs import follow as following
from operations.runs.follow import Detached, Follower, end_of, no_lines
from tests.support.cli.locking import until_locked
from tests.support.cli.stand_ins import LOCK_BREAKS, NOT_CLEAN, UNVERIFIED, WAITS, WAITS_AND_IS_SLOW
from tests.support.cli.terminal import Terminal

Start = Callable[..., Awaitable[Terminal]]
WritePlan = Callable[..., str]
Begin = Callable[[str], Awaitable[Any]]


@pytest.mark.usefixtures("stand_ins")
@pytest.mark.parametrize(
    ("act", "expected", "recovery"),
    [
        ("passed", 0, Recovery.VERIFIED),
        ("failed", 1, Recovery.VERIFIED),
        ("inconclusive", 6, Recovery.VERIFIED),
        (UNVERIFIED, 5, Recovery.UNVERIFIED),
        (NOT_CLEAN, 7, Recovery.NOT_NEEDED),
        (LOCK_BREAKS, 5, Recovery.UNVERIFIED),
        (ErrorCode.STOP_CONDITION, 4, Recovery.VERIFIED),
        (ErrorCode.PEER_ERROR, 3, Recovery.VERIFIED),
    ],
)
async def test_the_outcome_combines_the_end_of_the_run_and_of_its_lock(
    client: Client, begin: Begin, act: str, expected: int, recovery: Recovery
) -> None:
    """The run's result arrives before its windows have closed, hence the lock's report decides about recovery."""
    outcome = await end_of(client, await begin(act), _nothing)
    assert (outcome.exit_code, outcome.recovery) == (expected, recovery), outcome


@pytest.mark.usefixtures("stand_ins")
async def test_a_terminated_run_is_failed_and_its_recovery_is_awaited(client: Client, begin: Begin) -> None:
    """The run itself can report nothing any more; the server and the lock can."""
    run = await begin(WAITS)
    await until_locked(client, run)
    await run.terminate()
    outcome = await end_of(client, run, _nothing)
    assert (outcome.exit_code, outcome.recovery, outcome.message) == (3, Recovery.VERIFIED, "the run was terminated")


@pytest.mark.usefixtures("stand_ins")
async def test_a_run_prints_its_ids_first_and_its_outcome_last(
    holdfast: Start, plan: WritePlan, tmp_path: Path
) -> None:
    """Id, progress, failing cases if the store is not readable, verdict and recovery. The JSON agrees."""
    name = plan("failed")
    terminal = await holdfast("run", f"{name}.yaml", "--json", "out.json")
    assert await terminal.end() == 1
    lines = terminal.text.splitlines()
    assert lines[0].startswith(f"plan {name}: 5 services, 16 cases")
    assert lines[1].startswith(f"started {KIND.workflow_id(name)}, run ")
    assert lines[-3].startswith("verdict: FAILED")
    assert lines[-2] == "recovery: verified, nothing is left on"
    assert lines[-1].startswith(f"next: `holdfast status {name}`")
    assert "store cannot be read" in terminal.text
    assert not (tmp_path / ".holdfast").exists()
    assert "\x1b" not in terminal.text
    facts = json.loads((tmp_path / "out.json").read_text())
    assert (facts["exit_code"], facts["recovery"], facts["workflow_id"]) == (1, "verified", KIND.workflow_id(name))


@pytest.mark.usefixtures("stand_ins")
async def test_quiet_prints_only_the_outcome(holdfast: Start, plan: WritePlan, tmp_path: Path) -> None:
    """Neither progress nor cases. Requested files are written all the same."""
    terminal = await holdfast("run", f"{plan('failed')}.yaml", "--quiet", "--json", "out.json")
    assert await terminal.end() == 1
    first, *_, last = terminal.text.splitlines()
    assert first.startswith("verdict: FAILED")
    assert last == "recovery: verified, nothing is left on"
    assert json.loads((tmp_path / "out.json").read_text())["exit_code"] == 1


@pytest.mark.usefixtures("stand_ins")
async def test_quiet_leaves_standard_output_to_json(holdfast: Start, plan: WritePlan) -> None:
    """A pipe then has all of it, and nothing else."""
    terminal = await holdfast("run", f"{plan('failed')}.yaml", "-q", "--json", "-")
    assert await terminal.end() == 1
    assert json.loads(terminal.text)["exit_code"] == 1


async def test_a_run_that_cannot_begin_prints_its_error_as_json_once(holdfast: Start, plan: WritePlan) -> None:
    terminal = await holdfast("run", f"{plan()}.yaml", "-q", "--json", "-", TEMPORAL_ADDRESS="127.0.0.1:1")
    code = await terminal.end()
    sentence, document = terminal.text.split("\n", 1)
    assert sentence.startswith("error: ")
    facts = json.loads(document)
    assert (facts["exit_code"], facts["error_code"]) == (code, "PEER_UNREACHABLE")


@pytest.mark.usefixtures("stand_ins")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_the_first_signal_cancels_and_waits_for_recovery(
    holdfast: Start, client: Client, plan: WritePlan, number: int
) -> None:
    """Nothing is left active when the prompt is back."""
    name = plan(WAITS)
    terminal = await holdfast("run", f"{name}.yaml")
    await terminal.until("GENERATING_CASES")
    terminal.signal(number)
    await terminal.until("cancelling")
    assert await terminal.end() == 130
    assert "recovery: verified, nothing is left on" in terminal.text
    assert await _status(client, name) is WorkflowExecutionStatus.CANCELED


@pytest.mark.usefixtures("stand_ins")
async def test_the_second_signal_detaches_and_reports_that_recovery_goes_on(
    holdfast: Start, client: Client, plan: WritePlan
) -> None:
    """A slow recovery goes on in the worker."""
    name = plan(WAITS_AND_IS_SLOW)
    terminal = await holdfast("run", f"{name}.yaml", "--json", "out.json")
    await terminal.until("GENERATING_CASES")
    terminal.signal(signal.SIGINT)
    await terminal.until("cancelling")
    terminal.signal(signal.SIGINT)
    assert await terminal.end() == 130
    assert "recovery goes on in the worker" in terminal.text
    run = client.get_workflow_handle(KIND.workflow_id(name))
    with pytest.raises(WorkflowFailureError):
        await run.result()
    assert await _status(client, name) is WorkflowExecutionStatus.CANCELED


async def test_detaching_from_a_run_that_could_not_be_cancelled_reports_that(
    client: Client, plan: WritePlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a server that is away, «recovery goes on» would be a lie."""
    run = await client.start_workflow("ResilienceTest", {}, id=KIND.workflow_id(plan()), task_queue="nobody")

    async def away(_run: object) -> None:
        raise RPCError("away", RPCStatusCode.UNAVAILABLE, b"")

    monkeypatch.setattr(following, "ask_to_end", away)
    monkeypatch.setattr(following, "CANCEL_PATIENCE", 0.1)
    interrupts = Interrupts()
    interrupts.push()
    interrupts.push()
    with pytest.raises(Detached, match="goes on and was not cancelled"):
        await Follower(client, run, _nothing, no_lines).follow(interrupts)


async def test_a_missing_worker_is_reported_within_five_seconds(holdfast: Start, plan: WritePlan) -> None:
    """The command does not hang, and shows how to start a worker."""
    terminal = await holdfast("run", f"{plan()}.yaml")
    await terminal.until("started ")
    began = time.monotonic()
    await terminal.until("no worker polls")
    assert time.monotonic() - began < 5
    assert "holdfast worker" in terminal.text


async def test_a_detached_run_goes_on_by_itself(holdfast: Start, client: Client, plan: WritePlan) -> None:
    """The exit code is 0 as soon as the server has accepted the run. A missing worker is reported, but is no error."""
    name = plan()
    terminal = await holdfast("run", f"{name}.yaml", "--detach")
    assert await terminal.end() == 0
    assert "no worker polls" in terminal.text
    assert await _status(client, name) is WorkflowExecutionStatus.RUNNING


@pytest.mark.usefixtures("stand_ins")
async def test_a_second_run_of_a_plan_is_refused_or_replaces_the_first(
    holdfast: Start, client: Client, begin: Begin
) -> None:
    """Exit code 7 with nothing touched, and both ways out named.

    With --force the first run is cancelled and awaited.
    """
    run = await begin(WAITS)
    await until_locked(client, run)
    name = run.id.rpartition("/")[2]
    refused = await holdfast("run", f"{name}.yaml", "--json", "refused.json")
    assert await refused.end() == 7
    assert f"EXECUTION_ALREADY_RUNNING: {run.id} is running" in refused.text
    assert "--wait" in refused.text
    assert "--force" in refused.text
    replacing = await holdfast("run", f"{name}.yaml", "--force", "--detach")
    assert await replacing.end() == 0
    first = client.get_workflow_handle(run.id, run_id=run.first_execution_run_id)
    assert (await first.describe()).status is WorkflowExecutionStatus.CANCELED
    assert await _status(client, name) is WorkflowExecutionStatus.RUNNING


@pytest.mark.usefixtures("stand_ins")
async def test_a_second_run_of_a_plan_waits_for_the_first(holdfast: Start, client: Client, begin: Begin) -> None:
    """With --wait it starts when the first has ended by itself, and not before."""
    run = await begin(WAITS)
    await until_locked(client, run)
    name = run.id.rpartition("/")[2]
    waiting = await holdfast("run", f"{name}.yaml", "--wait", "--detach")
    await waiting.until(f"{run.id} is running: waiting for its end")
    assert "started" not in waiting.text
    first = client.get_workflow_handle(run.id, run_id=run.first_execution_run_id)
    assert (await first.describe()).status is WorkflowExecutionStatus.RUNNING
    await first.terminate()
    assert await waiting.end() == 0
    assert f"started {run.id}" in waiting.text


async def test_wait_and_force_exclude_each_other(holdfast: Start, plan: WritePlan) -> None:
    """Nobody can have meant both."""
    terminal = await holdfast("run", f"{plan()}.yaml", "--wait", "--force")
    assert await terminal.end() == 2
    assert "--wait and --force exclude each other" in terminal.text


async def test_an_unreachable_server_prints_one_sentence(holdfast: Start, plan: WritePlan) -> None:
    """It names the address, and how to start a server. There is no traceback and no log line of a library."""
    name = plan()
    commands = (["run", f"{name}.yaml"], ["watch", name], ["cancel", name])
    for terminal in await asyncio.gather(*(holdfast(*command, TEMPORAL_ADDRESS="127.0.0.1:1") for command in commands)):
        assert await terminal.end() == 3
        assert len(terminal.text.splitlines()) == 1
        assert terminal.text.startswith("error: no Temporal server answers at 127.0.0.1:1. ")
        assert "`holdfast server`" in terminal.text


async def test_an_unknown_namespace_prints_the_variable_to_look_at(holdfast: Start, plan: WritePlan) -> None:
    """The name of the namespace is printed too, and no traceback."""
    terminal = await holdfast("run", f"{plan()}.yaml", TEMPORAL_NAMESPACE="nope")
    assert await terminal.end() == 2
    assert "nope" in terminal.text
    assert "TEMPORAL_NAMESPACE" in terminal.text
    assert "Traceback" not in terminal.text


async def test_a_system_elsewhere_is_not_touched_without_a_yes(holdfast: Start, plan: WritePlan) -> None:
    """Without a terminal there is nobody to ask: exit code 2, and the option that answers."""
    request = {"url": "http://shop.example/api/home"}
    safety = {"allowed_hosts": ["127.0.0.1", "shop.example"]}
    terminal = await holdfast("run", f"{plan(request=request, safety=safety)}.yaml")
    assert await terminal.end() == 2
    assert "--yes" in terminal.text
    assert "started" not in terminal.text


async def test_this_machine_is_not_touched_without_a_yes_unless_it_is_our_lab(holdfast: Start, plan: WritePlan) -> None:
    """A port of this machine may lead to a cluster: `kubectl port-forward`. With --yes nobody is asked."""
    name = plan(request={"url": "http://127.0.0.1:28080/api/home"})
    terminal = await holdfast("run", f"{name}.yaml")
    assert await terminal.end() == 2
    assert "--yes" in terminal.text
    assert "started" not in terminal.text
    agreed = await holdfast("run", f"{name}.yaml", "--yes", "--detach")
    assert await agreed.end() == 0
    assert "started" in agreed.text


async def test_an_unwritable_result_file_is_refused_at_once(holdfast: Start, plan: WritePlan) -> None:
    """Not only after the run."""
    terminal = await holdfast("run", f"{plan()}.yaml", "--json", "missing/out.json")
    assert await terminal.end() == 2
    assert "no folder missing" in terminal.text


def _nothing(_line: str) -> None:
    """Print nothing."""


async def _status(client: Client, name: str) -> WorkflowExecutionStatus | None:
    return (await client.get_workflow_handle(KIND.workflow_id(name)).describe()).status
