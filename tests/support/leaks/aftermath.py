"""Checks after a run has ended, however it did: the lab's log first, then whether the record agrees with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from pathlib import Path

from temporalio.client import Client
from temporalio.service import RPCError

from domain.errors import ErrorCode
from domain.executions.execution import Recovery, RunStatus
from domain.names import WorkflowType
from domain.resilience.model import Phase
from lab import Lab, LabSettings, PortChoice
from tests.support.leaks import checker
from tests.support.leaks.duo import BRISK, FAULTS, ONCE, PATIENCE, REQUESTS, TOPOLOGY, Duo
from tests.support.leaks.fixtures import Undisturbed
from tests.support.leaks.places import Moment, windows_of
from tests.support.leaks.stages import Run, Stage, reached
from tests.support.runs.bench import until
from worker import running

AT_ONCE = 2
"""Runs at the same time in one test.

Each has its own lab, and they mostly wait.
"""

Ending = tuple[RunStatus, ErrorCode | None]
"""How a run ended, by its record."""


@asynccontextmanager
async def duo(
    temporal: Client, folder: Path, stage: Stage, settings: LabSettings = BRISK, database_url: str = ""
) -> AsyncIterator[Duo]:
    """Open a bench of its own, whose peers hold its runs at a stage."""
    folder.mkdir()
    async with (
        Lab(TOPOLOGY, settings=settings, ports=PortChoice.FREE) as lab,
        Duo(temporal, lab, folder, database_url) as bench,
    ):
        lab.misbehave(stage.holding)
        yield bench


async def held_at(bench: Duo, run: Run, stage: Stage) -> Run:
    """Wait until a run is held at a stage with its peers at work.

    Returns the stage's workflow.
    """
    found = await reached(bench.temporal, run, stage)

    async def at_work() -> bool:
        return stage.asked is None or bench.lab.calls[stage.asked] > 0

    await until(at_work, f"{stage.asked} asked for", PATIENCE)
    return found


@asynccontextmanager
async def working(bench: Duo, *, down: bool) -> AsyncIterator[asyncio.subprocess.Process | None]:
    """Run a worker.

    It runs in this process, or in its own process if it is to be killed.
    """
    if down:
        worker = await bench.dying_worker("when the test says so", Moment.BEFORE)
        await bench.until_polled()
        yield worker
        return
    async with running(bench.temporal, bench.settings):
        await bench.until_polled()
        yield None


@asynccontextmanager
async def sweeping(bench: Duo) -> AsyncIterator[None]:
    """Run the sweeper again and again, as its schedule would."""

    async def sweep() -> None:
        while True:
            # The test may shut the worker down between two sweeps.
            with suppress(RPCError):
                await bench.temporal.execute_workflow(
                    WorkflowType.SWEEPER, id=f"sweep/{bench.name}", task_queue=bench.settings.task_queue
                )
            await asyncio.sleep(0.5)

    task = asyncio.create_task(sweep())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def left_by(
    bench: Duo, *runs: Run, held: bool = True, spare_rules: int = 0, spare_recordings: int = 0, pairs: bool = False
) -> list[str]:
    """Return what the lab's log shows against these runs, which are over.

    `held`: nobody took a window away from them. `pairs`: they verified their pair with two real faults, once.
    """
    seen = await checker.look(bench.lab.addresses.admin)
    found = [
        *checker.still_on(seen),
        *checker.at_once(seen.log, faults=FAULTS),
        *checker.done_twice(
            seen,
            runs=len(runs),
            spare_rules=spare_rules,
            spare_recordings=spare_recordings,
            spare_faults=int(pairs),
            once=ONCE,
        ),
    ]
    found += checker.by_itself(seen.log)
    if held:
        found += checker.unheld(seen.log, await windows_of(bench.temporal, *runs))
    return found


STEADY = 3
"""Requests of a steady-state check."""


async def otherwise(bench: Duo, run: Run, undisturbed: Undisturbed, *, same_load: bool = True) -> list[str]:
    """Return what is wrong with a run that went on after an outage, compared with an undisturbed one.

    A step whose result was lost is repeated: a case, or a steady-state check; an upsert after what existed of it has
    been removed. `same_load`: its plan sends as many requests as that of the undisturbed run.
    """
    summary = await run.result()
    await bench.lock_ended(run)
    found = [*await left_by(bench, run, spare_rules=1), *await untrue(bench, run, (RunStatus.COMPLETED, None))]
    if not same_load:
        return found
    seen = await checker.look(bench.lab.addresses.admin)
    found += checker.measured_otherwise(seen.counters, undisturbed.entry_baggage, spare=max(REQUESTS, STEADY))
    if (summary.cases, summary.verdict) != (undisturbed.summary.cases, undisturbed.summary.verdict):
        found.append(f"other cases than an undisturbed run: {summary.cases}, {summary.verdict}")
    return found


async def untrue(bench: Duo, run: Run, ending: Ending, *, alone: bool = True, held: bool = True) -> list[str]:
    """Return the claims of a run's record that are not true.

    `alone`: everything in the lab's log is this run's. `held`: nobody took a window away from it. Otherwise it ends
    without that window, and only its recovery shows when all was off.
    """
    seen = await checker.look(bench.lab.addresses.admin)
    record = await bench.store.executions.latest_of(run.id)
    closed = (await run.describe()).close_time
    own = seen.log if alone else []
    if record is None:
        # Its time was over before its first activity, so it has done nothing.
        return ["no record, and something was on"] if own or ending[0] is not RunStatus.TIMED_OUT else []
    assert isinstance(closed, datetime)
    found = []
    if held and record.run_status in (RunStatus.CANCELLED, RunStatus.COMPLETED):
        found += checker.on_after(own, closed, f"the run had ended as {record.run_status}")
    if record.finished_at is not None and record.recovery is Recovery.VERIFIED:
        found += checker.on_after(own, record.finished_at, "recovery had been verified")
    if (record.run_status, record.error_code) != ending:
        found.append(f"recorded as {record.run_status}, {record.error_code}: {record.error_message}")
    last = {RunStatus.CANCELLED: Phase.CANCELLED, RunStatus.COMPLETED: Phase.DONE}
    if record.status is not last.get(record.run_status, Phase.FAILED):
        found.append(f"{record.run_status}, and the last phase is {record.status}")
    touched = bool(own)
    if touched and not checker.still_on(seen) and record.recovery is not Recovery.VERIFIED:
        found.append(f"recovery {record.recovery}, yet the lab says that all is off")
    if not touched and record.recovery is Recovery.UNVERIFIED:
        found.append("recovery unverified, and nothing was ever on")
    return found
