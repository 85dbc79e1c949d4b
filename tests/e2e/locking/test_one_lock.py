"""Two runs never act on one system at once, however each of them spells or names it."""

from __future__ import annotations

from typing import Any

import pytest
from temporalio.client import WorkflowFailureError

from clients.peers.faults import FaultClient
from clients.peers.proxy import ProxyClient
from domain.errors import ErrorCode
from domain.executions.execution import Leftovers
from domain.executions.windows import LedgerState, LockInput, WindowKind
from domain.names import WorkflowType, lock_of
from lab import Misbehaviour
from lab.misbehaviour.names import Endpoint
from tests.support.runs.bench import Bench
from tests.support.runs.endings import failure
from tests.support.runs.faults import REPLAY_HANGS, fault_on
from workflows.windows.cancellation import cause_of

SWITCHING_ON = (Endpoint.EXECUTE, Endpoint.ANALYZE, Endpoint.UPSERT)
SPELLINGS = ["localhost", "LocalHost"]


def spelled(bench: Bench, host: str) -> dict[str, Any]:
    """Return the plan with this spelling of its peers' host."""
    plan = bench.small_plan("reviews")
    for peer in ("proxy", "faults"):
        plan["system"][peer] = plan["system"][peer].replace("127.0.0.1", host)
    plan["safety"] = {"allowed_hosts": ["127.0.0.1", host.lower()]}
    return plan


def switched_on(bench: Bench) -> dict[str, int]:
    return {endpoint: bench.lab.calls[endpoint] for endpoint in SWITCHING_ON if bench.lab.calls[endpoint]}


async def test_no_second_run_begins_while_a_fault_is_on(bench: Bench) -> None:
    """Not with a different spelling, the plan's own environment, a lock under a different id, or other names."""
    first = await fault_on(bench)
    # Restart the lab's count of calls.
    bench.lab.misbehave(REPLAY_HANGS)
    for host in SPELLINGS:
        found = await failure(bench, await bench.start(spelled(bench, host), workflow_id=f"{host}/{bench.name}"))
        assert (found.code, first.id in found.message) == (ErrorCode.EXECUTION_ALREADY_RUNNING, True), found
    chosen = bench.small_plan("reviews")
    chosen["system"]["environment"] = "mine"
    found = await failure(bench, await bench.start(chosen, workflow_id=f"chosen/{bench.name}"))
    assert (found.code, found.problems[0].path) == (ErrorCode.OUTSIDE_GUARDRAILS, "system.environment")
    assert "HOLDFAST_ENVIRONMENTS=mine=localhost:" in found.problems[0].hint
    await _assert_a_lock_under_a_foreign_id_is_refused(bench)
    async with bench.other_settings(own_store=False) as queue:
        order = {"workflow_id": f"other/{bench.name}", "queue": queue}
        found = await failure(bench, await bench.start(bench.small_plan("reviews"), **order))
        assert (found.code, first.id in found.message) == (ErrorCode.EXECUTION_ALREADY_RUNNING, True), found
        assert switched_on(bench) == {}
        waiting = await bench.start(bench.small_plan("reviews"), **order, if_busy="wait")
        await bench.until_state(waiting, lambda state: first.id in (state.waiting_for or ""), "a run that waits")
        assert switched_on(bench) == {}
        await first.cancel()
        bench.lab.misbehave(Misbehaviour())
        assert (await waiting.result()).cases.measured == 2
        report = await bench.lock_ended(waiting)
    assert report is not None
    assert bench.lab.state().clean


async def _assert_a_lock_under_a_foreign_id_is_refused(bench: Bench) -> None:
    """Start a lock by hand under its own id."""
    (lock,) = [row for row in await bench.store.ledger.unsettled() if row.kind is WindowKind.LOCK]
    execution = await bench.store.executions.get(lock.execution_id)
    assert lock.window_id == lock_of(execution)
    order = LockInput(
        execution=execution,
        parent_workflow_id=lock.parent_workflow_id,
        parent_run_id=lock.parent_run_id,
        timeouts=(await bench.store.executions.plan(lock.execution_id)).timeouts,
        hold_seconds=60,
        leftovers=Leftovers.CLEAN,
    )
    by_hand = await bench.temporal.start_workflow(
        WorkflowType.ENVIRONMENT_LOCK, order, id=f"mine/{bench.name}", task_queue=bench.settings.task_queue
    )
    with pytest.raises(WorkflowFailureError) as raised:
        await by_hand.result()
    cause = cause_of(raised.value.cause)
    assert cause is not None
    # It gets no ledger row, so it does not even reach the check that precedes taking a lock.
    assert (cause.type, f"mine/{bench.name}" in cause.message) == (ErrorCode.NO_PERMIT, True)


@pytest.mark.exhaustive
async def test_unverified_rows_of_a_dead_run_refuse_the_next_run(bench: Bench) -> None:
    """Nothing is on at the peers any more, but only the ledger knows that nobody has verified it.

    `--clean` settles the rows.
    """
    first = await fault_on(bench)
    rows = await bench.store.ledger.unsettled()
    for row in rows:
        await bench.temporal.get_workflow_handle(row.window_id, run_id=row.run_id).terminate("a test")
    await first.terminate("a test")
    async with FaultClient(bench.lab.addresses.faults) as by_hand:
        for name in bench.lab.state().faults:
            await by_hand.delete(name)
    async with ProxyClient(bench.lab.addresses.proxy) as by_hand:
        for session in await by_hand.active_sessions():
            await by_hand.stop_recording(session.session_id)
    await bench.until_clean()
    bench.lab.misbehave(Misbehaviour())
    found = await failure(bench, await bench.start(bench.small_plan("reviews"), workflow_id=f"next/{bench.name}"))
    assert found.code is ErrorCode.ENVIRONMENT_NOT_CLEAN
    assert all(row.window_id in found.message for row in rows)
    assert switched_on(bench) == {}
    cleaning = await bench.start(bench.small_plan("reviews"), workflow_id=f"next/{bench.name}", leftovers="clean")
    assert (await cleaning.result()).cases.measured == 2
    await bench.lock_ended(cleaning)
    states = {row.state for row in await bench.store.ledger.of(rows[0].execution_id)}
    assert states <= {LedgerState.CLOSED}
