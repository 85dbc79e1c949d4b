"""An operator's recovery: everything that is on is listed and closed, whatever is left of Holdfast itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError, WorkflowHandle

from clients.peers.faults import FaultClient
from domain.executions.execution import RunStatus
from domain.executions.windows import LedgerState
from domain.faults.chaosblade.experiment import Experiment
from lab import LabState, Misbehaviour
from lab.misbehaviour.misbehave import Action, Instruction
from lab.misbehaviour.names import Endpoint
from tests.support.runs.bench import Bench, until
from tests.support.runs.endings import LONG_LOAD
from tests.support.runs.faults import REPLAY_HANGS, fault_on
from tests.support.runs.hand import Said, holdfast
from tests.support.tiers import mostly_exhaustive

NOBODY = {"TEMPORAL_ADDRESS": "127.0.0.1:1"}
KINDS: dict[str, Callable[[LabState], object]] = {
    "recording": lambda state: state.recordings,
    "fault": lambda state: state.faults,
    "rules": lambda state: state.rules,
}
"""Everything a run can have on, and how the lab itself shows it."""


async def left_by_a_dead_worker(bench: Bench, kind: str) -> WorkflowHandle[Any, Any]:
    """Kill a run's only worker while something of this kind is on."""
    stalled = Misbehaviour(analysis_stalls=kind == "recording")
    bench.lab.misbehave(REPLAY_HANGS if kind == "fault" else stalled)
    worker = await bench.worker()
    handle = await bench.start(bench.small_plan(load=LONG_LOAD))

    async def is_on() -> bool:
        return bool(KINDS[kind](bench.lab.state()))

    await until(is_on, f"{kind} on")
    worker.kill()
    await worker.wait()
    # Without the stall a recording would end by itself once there is no more traffic.
    bench.lab.misbehave(stalled)
    return handle


def what_was_done(result: Said) -> dict[str, str]:
    assert all(row["state"] in ("closed", "never_opened") for row in result.facts["rows"]), result
    return {row["kind"]: row["done"] for row in result.facts["rows"]}


async def test_faults_lists_active_faults_from_the_ledger_and_the_peers(bench: Bench) -> None:
    """The ledger's row and the fault at the peer are shown to be the same. Afterwards nothing is listed."""
    handle = await fault_on(bench)
    result = await holdfast(bench, "faults", "--json")
    assert result.code == 5
    (row,) = [entry for entry in result.facts["ledger"] if entry["kind"] == "fault"]
    # A recording is on as well, for the calls that the fault causes.
    (on,) = [item for look in result.facts["peers"] for item in look["on"] if item["kind"] == "fault"]
    assert (on["name"], on["in_ledger"]) == (row["peer_name"], True)
    assert on["execution_id"] == row["execution_id"]
    bench.lab.misbehave(Misbehaviour())
    await handle.cancel()
    await bench.lock_ended(handle)
    result = await holdfast(bench, "faults", "--json")
    assert result.code == 0, result
    assert [look["trouble"] for look in result.facts["peers"]] == ["", ""]


@pytest.mark.exhaustive
async def test_faults_finds_faults_unknown_to_the_ledger_and_names_silent_peers(bench: Bench) -> None:
    """The ledger is settled, so silence alone is no alarm. Anything that is on at a peer always is."""
    await bench.run(bench.small_plan("reviews"))
    experiment = Experiment(scope="container", target="container", action="remove", matchers={"names": ["reviews-0"]})
    async with FaultClient(bench.lab.addresses.faults) as client:
        await client.execute("hf-z-reviews-00000000-1", 60, experiment)
    result = await holdfast(bench, "faults")
    assert result.code == 5
    assert "hf-z-reviews-00000000-1  at" in result.out
    assert "not in the ledger" in result.out
    bench.lab.misbehave(
        Misbehaviour(instructions=[Instruction(endpoint=Endpoint.FAULT_LIST, action=Action.REFUSE_500)])
    )
    result = await holdfast(bench, "faults")
    assert result.code == 0, result
    assert f"no answer              fault service {bench.lab.addresses.faults}" in result.out


@pytest.mark.exhaustive
async def test_a_silent_peer_with_an_unsettled_row_counts_as_on(bench: Bench) -> None:
    """According to the ledger something is on there, and nobody can rule it out."""
    handle = await fault_on(bench)
    silent = Instruction(endpoint=Endpoint.FAULT_LIST, action=Action.HANG)
    bench.lab.misbehave(Misbehaviour(instructions=[silent, *REPLAY_HANGS.instructions]))
    result = await holdfast(bench, "faults", "--json")
    assert result.code == 5
    (look,) = [peer for peer in result.facts["peers"] if peer["peer"] == "fault service"]
    assert look["trouble"]
    assert look["may_be_on"] is True
    bench.lab.misbehave(Misbehaviour())
    await handle.cancel()
    await bench.lock_ended(handle)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", mostly_exhaustive(["fault", "recording", "rules"]))
async def test_recover_closes_leftovers_of_a_dead_worker_without_a_worker(idle_bench: Bench, kind: str) -> None:
    """The command closes and verifies them itself.

    A repetition finds nothing to do, and a worker that comes back finds all in order.
    """
    bench = idle_bench
    handle = await left_by_a_dead_worker(bench, kind)
    result = await holdfast(bench, "recover", "--all", "--json")
    assert result.code == 0, result
    assert "no worker runs it" in what_was_done(result)[kind]
    assert bench.lab.state().clean
    assert await bench.store.ledger.unsettled() == []
    again = await holdfast(bench, "recover", "--all", "--json")
    assert (again.code, again.facts["rows"]) == (0, [])
    assert (await holdfast(bench, "faults")).code == 0
    await bench.worker()
    report = await bench.lock_ended(handle, patience=400)
    assert report is not None
    assert report.recovery_verified
    assert (await handle.describe()).status is WorkflowExecutionStatus.CANCELED
    assert bench.lab.state().clean


@pytest.mark.exhaustive
async def test_recover_leaves_a_run_in_progress_alone_unless_it_is_named(bench: Bench) -> None:
    """A run that is named is cancelled, and its own windows close."""
    handle = await fault_on(bench)
    left = await holdfast(bench, "recover", "--json")
    assert (left.code, left.facts["rows"]) == (5, [])
    assert {row["kind"] for row in left.facts["under_way"]} == {"lock", "calls", "fault"}
    assert bench.lab.state().faults
    execution_id = left.facts["under_way"][0]["execution_id"]
    bench.lab.misbehave(Misbehaviour())
    result = await holdfast(bench, "recover", "--execution", str(execution_id), "--json")
    assert result.code == 0, result
    assert what_was_done(result) == {
        "fault": "its window has closed it",
        "calls": "its window has closed it",
        "lock": "it has released the namespace",
    }
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    assert (await bench.store.executions.row(execution_id)).run_status is RunStatus.CANCELLED
    assert not [entry for entry in await bench.store.logs.of(execution_id) if entry.message.startswith("recover")]
    assert bench.lab.state().clean


@pytest.mark.exhaustive
async def test_recover_closes_leftovers_of_terminated_workflows(bench: Bench) -> None:
    """Run, window and lock vanish at once. The ledger's row is enough, and is settled."""
    handle = await fault_on(bench)
    (fault,) = [row for row in await bench.store.ledger.unsettled() if row.kind == "fault"]
    (lock,) = [row for row in await bench.store.ledger.unsettled() if row.kind == "lock"]
    for window in (fault, lock):
        await bench.temporal.get_workflow_handle(window.window_id, run_id=window.run_id).terminate("a test")
    await handle.terminate("a test")
    bench.lab.misbehave(Misbehaviour())
    result = await holdfast(bench, "recover", "--json")
    assert result.code == 0, result
    assert "its window is gone" in what_was_done(result)["fault"]
    assert bench.lab.state().clean
    (row,) = [entry for entry in await bench.store.ledger.of(fault.execution_id) if entry.kind == "fault"]
    assert (row.state, row.detail) == (LedgerState.CLOSED, "recover")
    assert (await bench.store.executions.row(fault.execution_id)).finished_at


async def test_recover_never_reports_an_unverified_fault_as_closed(bench: Bench) -> None:
    """The fault service reports success and does nothing: exit code 5, with the command to run by hand.

    Later it works.
    """
    # For so long, the lock waits for the fault to be gone, and the command waits for the lock.
    handle = await fault_on(bench, timeouts={"stability": "10s"})
    (fault,) = [row for row in await bench.store.ledger.unsettled() if row.kind == "fault"]
    lies = Instruction(endpoint=Endpoint.FAULT_DELETE, action=Action.LIE)
    bench.lab.misbehave(Misbehaviour(instructions=[lies, *REPLAY_HANGS.instructions]))
    await bench.temporal.get_workflow_handle(fault.window_id, run_id=fault.run_id).terminate("a test")
    await handle.terminate("a test")
    result = await holdfast(bench, "recover", "--within", "1s", "--json")
    assert result.code == 5, result
    (row,) = [entry for entry in result.facts["rows"] if entry["kind"] == "fault"]
    assert row["state"] == "unverified"
    assert "by hand: curl -X DELETE" in row["done"]
    bench.lab.misbehave(Misbehaviour())
    assert (await holdfast(bench, "recover")).code == 0
    assert bench.lab.state().clean


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=() if kind == "rules" else pytest.mark.exhaustive) for kind in KINDS]
)
async def test_direct_recovery_needs_only_the_names_at_the_peers(idle_bench: Bench, kind: str) -> None:
    """Temporal and the store are gone, and only the peers are asked. A repetition does no harm."""
    bench = idle_bench
    await left_by_a_dead_worker(bench, kind)
    for file in bench.folder.glob("holdfast.db*"):
        file.unlink()
    path = str(bench.write_input(bench.small_plan()))
    result = await holdfast(bench, "recover", "--direct", path, "--json", **NOBODY)
    assert result.code == 0, result
    # While a service is broken, calls are recorded.
    assert {row["kind"] for row in result.facts["rows"]} == {kind, *(["recording"] if kind == "fault" else [])}
    assert "a run under way cannot be detected" in result.err
    await bench.until_clean()
    assert not list(bench.folder.glob("holdfast.db*"))
    again = await holdfast(bench, "recover", "--direct", path, "--json", **NOBODY)
    assert (again.code, again.facts["rows"]) == (0, [])


async def test_direct_recovery_touches_only_the_plans_services_unless_all_is_given(idle_bench: Bench) -> None:
    """What belongs to others is named and left, which is no success. A name that is not ours is never touched."""
    bench = idle_bench
    path = str(bench.write_input(bench.small_plan()))
    experiment = Experiment(scope="container", target="container", action="remove", matchers={"names": ["reviews-0"]})
    async with FaultClient(bench.lab.addresses.faults) as client:
        for name in ("hf-z-elsewhere-00000000-1", "hf-z-reviews-00000000-1", "blade-1"):
            await client.execute(name, 60, experiment)
    result = await holdfast(bench, "recover", "--direct", path, "--json", **NOBODY)
    assert result.code == 5, result
    assert {row["name"]: row["verified"] for row in result.facts["rows"]} == {
        "hf-z-elsewhere-00000000-1": False,
        "hf-z-reviews-00000000-1": True,
    }
    result = await holdfast(bench, "recover", "--direct", path, "--all", **NOBODY)
    assert result.code == 0, result
    assert list(bench.lab.state().faults) == ["blade-1"]


async def test_direct_recovery_does_not_take_a_silent_peer_for_a_clean_peer(idle_bench: Bench) -> None:
    """The peer is named, and the exit code shows that something may be on."""
    bench = idle_bench
    path = str(bench.write_input(bench.small_plan()))
    refuses = Instruction(endpoint=Endpoint.RECORDINGS_ACTIVE, action=Action.REFUSE_500)
    bench.lab.misbehave(Misbehaviour(instructions=[refuses]))
    result = await holdfast(bench, "recover", "--direct", path, "--json", **NOBODY)
    assert result.code == 5
    assert [(row["kind"], row["address"]) for row in result.facts["rows"]] == [("no answer", bench.lab.addresses.proxy)]
