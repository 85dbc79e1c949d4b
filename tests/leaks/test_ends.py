"""Every kind of end, at every stage, with the worker up or down: nothing stays on, and the record is true."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.client import Client, WorkflowFailureError

from domain.errors import ErrorCode
from domain.executions.execution import RunStatus
from tests.support.leaks.aftermath import Ending, duo, held_at, left_by, untrue, working
from tests.support.leaks.duo import PATIENT, Duo
from tests.support.leaks.fixtures import Undisturbed
from tests.support.leaks.stages import INJECTING, MEASURING, STAGES, STARTING_CALLS, UPSERTING, Run, Stage
from tests.support.leaks.troubles import both, cancelled, cancelled_twice, terminated
from tests.support.tiers import mostly_exhaustive
from worker import running


class CompletedFirstError(Exception):
    """The run was over before its time limit."""


async def timed_out(run: Run) -> None:
    """Wait for the server to end the run by its time limit.

    Raises:
        CompletedFirstError: it completed.
    """
    with suppress(WorkflowFailureError):
        await run.result()
        raise CompletedFirstError


@dataclass(frozen=True)
class End:
    """A way to end a run, and the ending that the record must show."""

    how: Callable[[Run], Awaitable[None]]
    ending: Ending

    def __str__(self) -> str:
        return self.how.__name__


ENDS = [
    End(cancelled, (RunStatus.CANCELLED, None)),
    End(cancelled_twice, (RunStatus.CANCELLED, None)),
    End(terminated, (RunStatus.FAILED, ErrorCode.TERMINATED)),
    End(both, (RunStatus.FAILED, ErrorCode.TERMINATED)),
    End(timed_out, (RunStatus.TIMED_OUT, ErrorCode.DEADLINE_EXCEEDED)),
]


async def held_or_over(bench: Duo, run: Run, stage: Stage) -> bool:
    """Wait until a run is held at a stage, or is over. Returns whether it is held.

    On a machine that is slow today a time limit may be over at an earlier stage.
    """
    tasks = [asyncio.ensure_future(awaitable) for awaitable in (held_at(bench, run, stage), run.result())]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    for task in done:
        if task is tasks[0] or not isinstance(task.exception(), WorkflowFailureError):
            await task
    return tasks[0] in done


async def ended(temporal: Client, folder: Path, stage: Stage, end: End, *, down: bool, limit: timedelta) -> list[str]:
    """End a run in this way at a stage. Returns what is wrong afterwards."""
    async with duo(temporal, folder, stage, PATIENT) as bench, AsyncExitStack() as stack:
        worker = await stack.enter_async_context(working(bench, down=down))
        by_itself = end.how is timed_out
        run = await bench.start_limited(bench.plan(**stage.changes()), limit if by_itself else None)
        held = await held_or_over(bench, run, stage)
        if worker is not None:
            worker.kill()
            await worker.wait()
        await end.how(run)
        if worker is not None:
            await stack.enter_async_context(running(temporal, bench.settings))
        with pytest.raises(WorkflowFailureError):
            await run.result()
        report = await bench.lock_ended(run)
        # The end may reach the second attempt only after it has removed what the dead worker began, and begun anew. A
        # time limit that is over early finds the worker anywhere, so perhaps there.
        spare = int(down and (not held or stage is STARTING_CALLS))
        found = [*await left_by(bench, run, spare_recordings=spare), *await untrue(bench, run, end.ending)]
    if report is None and by_itself:
        # A worker short of CPU time may not have reached the lock when the run's time is over.
        return found
    if report is None or not report.recovery_verified:
        found.append(f"the lock reports {report}")
    return found


@pytest.mark.exhaustive
@pytest.mark.timeout(300)
@pytest.mark.parametrize("down", [False, True], ids=["worker up", "worker down"])
@pytest.mark.parametrize("end", ENDS, ids=str)
@pytest.mark.parametrize("stage", STAGES, ids=str)
async def test_nothing_stays_on_however_a_run_ends(
    temporal: Client, tmp_path: Path, undisturbed: Undisturbed, stage: Stage, end: End, down: bool
) -> None:
    limit = limit_of(stage, undisturbed)
    while True:
        try:
            found = await ended(temporal, tmp_path / f"{limit.total_seconds():g}", stage, end, down=down, limit=limit)
        except CompletedFirstError:
            # The machine was busier when the undisturbed run was measured.
            limit *= 0.75
        else:
            break
    assert found == []


@pytest.mark.parametrize("stage", mostly_exhaustive([INJECTING, UPSERTING, MEASURING]), ids=str)
async def test_a_run_terminated_while_its_peers_work_leaves_nothing_on(
    temporal: Client, tmp_path: Path, undisturbed: Undisturbed, stage: Stage
) -> None:
    """A sample of the test above, small enough for every day."""
    limit = limit_of(stage, undisturbed)
    assert await ended(temporal, tmp_path / "lab", stage, ENDS[2], down=False, limit=limit) == []


def limit_of(stage: Stage, undisturbed: Undisturbed) -> timedelta:
    """Return the execution timeout by which the server ends a run at this stage."""
    return undisturbed.begins(stage.activity) + timedelta(seconds=2)
