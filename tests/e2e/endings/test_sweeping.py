"""The sweeper closes what no workflow holds any more, and watches it until it cannot come on again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode

from domain.executions.windows import LedgerEntry, LedgerState, WindowKind
from domain.names import SWEEPER_SCHEDULE_ID, WorkflowType
from lab import Lab, Misbehaviour, PortChoice
from lab.misbehaviour.misbehave import Action, Instruction
from lab.misbehaviour.names import Endpoint
from tests.support.leaks import checker
from tests.support.runs.bench import Bench, brisk_shop, until
from tests.support.runs.fixtures import QUICK
from worker import running


@pytest.mark.exhaustive
async def test_a_terminated_window_is_swept(bench: Bench) -> None:
    """The sweeper closes what no workflow holds any more, and logs it."""
    bench.lab.misbehave(Misbehaviour(instructions=[Instruction(endpoint=Endpoint.REPLAY, action=Action.HANG)]))
    handle = await bench.start(bench.small_plan("reviews"))

    async def fault_on() -> str:
        state = await bench.status(handle)
        rows = [row for row in state.windows if row.kind == "fault" and row.state == "open"] if state else []
        return rows[0].window_id if rows else ""

    window_id = await until(fault_on, "an open fault window")
    await bench.temporal.get_workflow_handle(window_id).terminate("a test")
    await handle.terminate("a test")
    assert bench.lab.state().faults
    report = await bench.temporal.execute_workflow(
        WorkflowType.SWEEPER, id=f"sweep/{bench.name}", task_queue=bench.settings.task_queue
    )
    assert window_id in report["closed"]
    await bench.until_clean()
    lock = await bench.lock_ended(handle)
    assert lock is not None
    entries = await bench.store.logs.of(lock.execution_id)
    assert any("sweeper" in entry.message for entry in entries)


async def test_the_schedule_sweeps_by_itself(temporal: Client, tmp_path: Path) -> None:
    """The worker creates the schedule, and orphaned windows are closed without anybody asking."""
    async with Lab(brisk_shop(), settings=QUICK, ports=PortChoice.FREE) as lab:
        bench = Bench(temporal, lab, tmp_path)
        async with running(temporal, bench.settings.model_copy(update={"sweeper": True})), bench:
            lab.misbehave(Misbehaviour(instructions=[Instruction(endpoint=Endpoint.REPLAY, action=Action.HANG)]))
            handle = await bench.start(bench.small_plan("reviews"))
            await bench.until_state(
                handle,
                lambda state: any(row.kind == "fault" and row.state == "open" for row in state.windows),
                "a fault",
            )
            state = await bench.status(handle)
            assert state is not None
            window_id = next(row.window_id for row in state.windows if row.kind == "fault")
            await temporal.get_workflow_handle(window_id).terminate("a test")
            await terminate(handle)
            assert lab.state().faults
            await bench.until_clean()
            await bench.lock_ended(handle)
            assert await bench.store.ledger.unsettled() == []
            await temporal.get_schedule_handle(SWEEPER_SCHEDULE_ID).delete()


async def terminate(run: WorkflowHandle[Any, Any]) -> None:
    """Terminate a run, unless it has ended already.

    It has if it noticed first that its window is gone.
    """
    try:
        await run.terminate("a test")
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise


KINDS = {Endpoint.EXECUTE: WindowKind.FAULT, Endpoint.UPSERT: WindowKind.RULES, Endpoint.ANALYZE: WindowKind.RECORDING}


async def sweep(bench: Bench) -> Any:
    """Run the sweeper as its schedule would, and return its report."""
    return await bench.temporal.execute_workflow(
        WorkflowType.SWEEPER, id=f"sweep/{bench.name}", task_queue=bench.settings.task_queue
    )


async def window_lost(bench: Bench, handle: WorkflowHandle[Any, Any], endpoint: Endpoint) -> LedgerEntry:
    """Terminate run and window while the peer has not yet started what it was asked for."""

    async def asked() -> bool:
        return bench.lab.calls[endpoint] > 0

    await until(asked, f"a call of {endpoint}")
    (row,) = [entry for entry in await bench.store.ledger.unsettled() if entry.kind is KINDS[endpoint]]
    assert row.state is LedgerState.INTENT
    await bench.temporal.get_workflow_handle(row.window_id, run_id=row.run_id).terminate("a test")
    await terminate(handle)
    return row


async def acted(bench: Bench, kind: WindowKind) -> bool:
    """Whether the slow peer has acted.

    By the lab's own log and counters, because the effect may be off again by now.
    """
    seen = await checker.look(bench.lab.addresses.admin)
    counted = {WindowKind.FAULT: bool(seen.counters.executes), WindowKind.RULES: seen.counters.upserts > 0}
    return counted.get(kind, any(entry.kind == kind for entry in seen.log))


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    "endpoint",
    [Endpoint.EXECUTE, Endpoint.UPSERT, Endpoint.ANALYZE],
)
async def test_the_sweeper_closes_what_comes_on_after_its_window_was_swept(bench: Bench, endpoint: Endpoint) -> None:
    """The peer acts long after everybody has looked and found nothing. The row is kept until it cannot act any more."""
    bench.lab.misbehave(Misbehaviour(instructions=[Instruction(endpoint=endpoint, action=Action.SLOW, seconds=5)]))
    handle = await bench.start(bench.small_plan("reviews"))
    row = await window_lost(bench, handle, endpoint)

    async def settled() -> bool:
        await sweep(bench)
        return not [entry for entry in await bench.store.ledger.unsettled() if entry.window_id == row.window_id]

    await until(settled, "a settled row")

    await until(lambda: acted(bench, row.kind), "the peer, at last")
    report = await bench.lock_ended(handle)
    assert report is not None
    assert report.recovery_verified
    assert bench.lab.state().clean
