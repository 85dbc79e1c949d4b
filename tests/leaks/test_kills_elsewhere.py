"""SIGKILL in the activities that an undisturbed run lacks: of runs that wait, are refused, or leave cases out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest
from temporalio.client import Client, WorkflowFailureError

from domain.errors import ErrorCode
from domain.executions.execution import RunStatus, Verdict
from domain.kinds import registered
from domain.names import WorkflowType
from domain.resilience.model import Phase
from lab import Action, Endpoint, Instruction, Misbehaviour
from operations.runs.follow import look
from tests.support.kinds.countdown import KIND
from tests.support.kinds.countdown_workflow import CountdownWorkflow
from tests.support.leaks.aftermath import duo, left_by, untrue
from tests.support.leaks.duo import BRISK, PAIR, PATIENCE, Duo
from tests.support.leaks.places import Moment
from tests.support.leaks.stages import BROKEN, LOCKING, RECORDING, Run, Stage, reached
from tests.support.runs.bench import until
from worker import WORKFLOWS, running

COMPLETED = (RunStatus.COMPLETED, None)
NOTHING = Stage("nothing", LOCKING.phase, LOCKING.workflow, "")


async def cases_left_out(bench: Duo) -> list[Run]:
    plan = bench.plan(exclude=[{"case": "left+right", "reason": "a test"}])
    return [await bench.start(plan)]


async def one_waits(bench: Duo) -> list[Run]:
    first = await bench.start()
    await reached(bench.temporal, first, RECORDING)
    plan = bench.plan(name="other")
    return [first, await bench.start(plan, workflow_id=f"other/{bench.name}", if_busy="wait")]


async def one_is_refused(bench: Duo) -> list[Run]:
    first = await bench.start()
    await reached(bench.temporal, first, RECORDING)
    return [first, await bench.start(bench.plan(name="other"), workflow_id=f"other/{bench.name}")]


async def pair_verified(bench: Duo) -> list[Run]:
    return [await bench.start(verify_pairs="100%")]


async def pair_unchecked(bench: Duo) -> list[Run]:
    error = {"success": True, "data": {"phase": "Error", "status": {"phase": "Error", "expStatuses": []}}}
    never_runs = Instruction(
        endpoint=Endpoint.FAULT_STATUS, action=Action.REPLACE, body=error, contains=f"-{PAIR}/status", nth=1
    )
    (run,) = await pair_verified(bench)

    async def discovered() -> bool:
        state = await look(run)
        return state is not None and state.step in (Phase.RULES_READY, Phase.LOAD_TEST_BASELINE)

    # Not before: discovery breaks this pair too, and notes nothing of a pair that it could not break.
    await until(discovered, "the end of discovery", PATIENCE)
    bench.lab.misbehave(Misbehaviour(instructions=[never_runs]))
    return [run]


VERIFYING = (pair_verified, pair_unchecked)

KILLS: list[tuple[str, Callable[[Duo], Awaitable[list[Run]]]]] = [
    ("exclude_cases", cases_left_out),
    ("describe_holder", one_waits),
    ("await_lock_free", one_waits),
    ("finish_execution", one_is_refused),
    ("choose_pairs", pair_verified),
    ("compare_pair", pair_verified),
    ("conclude_pairs", pair_verified),
    ("note_unchecked_pair", pair_unchecked),
]


@pytest.mark.exhaustive
@pytest.mark.timeout(400)
@pytest.mark.parametrize("moment", list(Moment))
@pytest.mark.parametrize(("activity", "begin"), KILLS, ids=[activity for activity, _ in KILLS])
async def test_a_worker_killed_in_any_other_activity_costs_nothing(
    temporal: Client, tmp_path: Path, activity: str, begin: Callable[[Duo], Awaitable[list[Run]]], moment: Moment
) -> None:
    """Every run ends as it would have without the kill, and nothing is on."""
    async with duo(temporal, tmp_path / "lab", NOTHING, BRISK) as bench:
        worker = await bench.dying_worker(activity, moment)
        runs = await begin(bench)
        await asyncio.wait_for(worker.wait(), PATIENCE)
        async with running(temporal, bench.settings):
            for run in runs:
                with suppress(WorkflowFailureError):
                    await run.result()
                await bench.lock_ended(run)
            refused = (RunStatus.FAILED, ErrorCode.EXECUTION_ALREADY_RUNNING)
            found = await left_by(bench, *runs, pairs=begin in VERIFYING)
            for run in runs:
                ending = refused if begin is one_is_refused and run is not runs[0] else COMPLETED
                found += await untrue(bench, run, ending, alone=len(runs) == 1)
    assert found == []


@pytest.mark.exhaustive
@pytest.mark.timeout(400)
@pytest.mark.parametrize("moment", list(Moment))
async def test_a_worker_killed_while_sweeping_is_replaced(temporal: Client, tmp_path: Path, moment: Moment) -> None:
    """The next worker sweeps to the end."""
    async with duo(temporal, tmp_path / "lab", BROKEN) as bench:
        worker = await bench.dying_worker("sweep", moment)
        run = await bench.start()
        window = await reached(temporal, run, BROKEN)
        await window.terminate("a test")
        await run.terminate("a test")
        bench.lab.misbehave(Misbehaviour())
        sweep = await temporal.start_workflow(
            WorkflowType.SWEEPER, id=f"sweep/{bench.name}", task_queue=bench.settings.task_queue
        )
        await asyncio.wait_for(worker.wait(), PATIENCE)
        async with running(temporal, bench.settings):
            await sweep.result()
            await bench.lock_ended(run)
            found = await left_by(bench, run, held=False)
            found += await untrue(bench, run, (RunStatus.FAILED, ErrorCode.TERMINATED))
    assert found == []


@pytest.mark.exhaustive
@pytest.mark.timeout(400)
@pytest.mark.parametrize("moment", [Moment.BEFORE, Moment.AFTER])
@pytest.mark.parametrize("activity", ["create_record", "change_step"])
async def test_a_worker_killed_while_it_keeps_a_plain_record_costs_nothing(
    temporal: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, activity: str, moment: Moment
) -> None:
    """Of an execution without a plan: it has one record, with its end."""
    monkeypatch.setattr("worker.WORKFLOWS", [*WORKFLOWS, CountdownWorkflow])
    async with duo(temporal, tmp_path / "lab", NOTHING, BRISK) as bench:
        worker = await bench.dying_worker(activity, moment)
        queue = bench.settings.task_queue
        document = {"countdown": "plain", "start": 2}
        run = await temporal.start_workflow(CountdownWorkflow.run, document, id=f"plain/{bench.name}", task_queue=queue)
        await asyncio.wait_for(worker.wait(), PATIENCE)
        with registered(KIND):
            async with running(temporal, bench.settings):
                assert (await run.result()).verdict is Verdict.PASSED
        rows = await bench.store.executions.newest(5)
    assert [(row.kind, row.plan, row.run_status) for row in rows] == [("countdown", "plain", RunStatus.COMPLETED)]
