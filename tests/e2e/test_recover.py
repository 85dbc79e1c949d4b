"""An operator's hand: what is on is listed, and closed, whatever is left of Holdfast itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError, WorkflowHandle

from clients.faults import FaultClient
from lab import LabState, Misbehaviour
from lab.misbehave import Action, Instruction
from lab.names import Endpoint
from tests.e2e.bench import Bench, until
from tests.e2e.hand import Said, holdfast
from tests.e2e.test_endings import LONG_LOAD, seen_on
from workflows.contracts.execution import RunStatus
from workflows.contracts.faults import Experiment
from workflows.contracts.windows import LedgerState

NOBODY = {"TEMPORAL_ADDRESS": "127.0.0.1:1"}
REPLAY_HANGS = Misbehaviour(instructions=[Instruction(endpoint=Endpoint.REPLAY, action=Action.HANG)])
KINDS: dict[str, Callable[[LabState], object]] = {
    "recording": lambda state: state.recordings,
    "fault": lambda state: state.faults,
    "rules": lambda state: state.rules,
}
"""What a run can have on, and how the lab itself tells."""


async def fault_on(bench: Bench) -> WorkflowHandle[Any, Any]:
    """A run that has a fault on, and keeps it on."""
    bench.lab.misbehave(REPLAY_HANGS)
    handle = await bench.start(bench.small_plan("reviews"))
    await seen_on(bench, handle, "fault", "open")
    return handle


async def left_by_a_dead_worker(bench: Bench, kind: str) -> WorkflowHandle[Any, Any]:
    """A run whose only worker was killed while one thing of this kind was on."""
    stalled = Misbehaviour(analysis_stalls=kind == "recording")
    bench.lab.misbehave(REPLAY_HANGS if kind == "fault" else stalled)
    worker = await bench.worker()
    handle = await bench.start(bench.small_plan(load=LONG_LOAD))

    async def is_on() -> bool:
        return bool(KINDS[kind](bench.lab.state()))

    await until(is_on, f"{kind} on")
    worker.kill()
    await worker.wait()
    # A recording ends by itself when there is no more traffic.
    bench.lab.misbehave(stalled)
    return handle


def what_was_done(said: Said) -> dict[str, str]:
    assert all(row["state"] in ("closed", "never_opened") for row in said.facts["rows"]), said
    return {row["kind"]: row["done"] for row in said.facts["rows"]}


async def test_faults_tells_what_is_on_by_the_ledger_and_by_the_peers(bench: Bench) -> None:
    """A row of the ledger and the fault itself, each said to be the other's; afterwards, nothing."""
    handle = await fault_on(bench)
    said = await holdfast(bench, "faults", "--json")
    assert said.code == 5
    (row,) = [one for one in said.facts["ledger"] if one["kind"] == "fault"]
    # The calls that it causes are recorded meanwhile.
    (on,) = [one for look in said.facts["peers"] for one in look["on"] if one["kind"] == "fault"]
    assert (on["name"], on["in_ledger"]) == (row["peer_name"], True)
    assert on["execution_id"] == row["execution_id"]
    bench.lab.misbehave(Misbehaviour())
    await handle.cancel()
    await bench.lock_ended(handle)
    said = await holdfast(bench, "faults", "--json")
    assert said.code == 0, said
    assert [look["trouble"] for look in said.facts["peers"]] == ["", ""]


async def test_faults_finds_what_the_ledger_does_not_know_and_says_who_is_silent(bench: Bench) -> None:
    """The ledger is settled, so silence alone is no alarm; something that is on at a peer always is."""
    await bench.run(bench.small_plan("reviews"))
    experiment = Experiment(scope="container", target="container", action="remove", matchers={"names": ["reviews-0"]})
    async with FaultClient(bench.lab.addresses.faults) as client:
        await client.execute("hf-z-reviews-00000000-1", 60, experiment)
    said = await holdfast(bench, "faults")
    assert said.code == 5
    assert "hf-z-reviews-00000000-1  at" in said.out
    assert "not in the ledger" in said.out
    bench.lab.misbehave(
        Misbehaviour(instructions=[Instruction(endpoint=Endpoint.FAULT_LIST, action=Action.REFUSE_500)])
    )
    said = await holdfast(bench, "faults")
    assert said.code == 0, said
    assert f"no answer              fault service {bench.lab.addresses.faults}" in said.out


async def test_a_silent_peer_with_something_unsettled_is_told_and_counts_as_on(bench: Bench) -> None:
    """The ledger says that something is on there, and nobody can say that it is not."""
    handle = await fault_on(bench)
    silent = Instruction(endpoint=Endpoint.FAULT_LIST, action=Action.HANG)
    bench.lab.misbehave(Misbehaviour(instructions=[silent, *REPLAY_HANGS.instructions]))
    said = await holdfast(bench, "faults", "--json")
    assert said.code == 5
    (look,) = [one for one in said.facts["peers"] if one["peer"] == "fault service"]
    assert look["trouble"]
    assert look["may_be_on"] is True
    bench.lab.misbehave(Misbehaviour())
    await handle.cancel()
    await bench.lock_ended(handle)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", list(KINDS))
async def test_what_a_dead_worker_left_on_is_closed_without_one(idle_bench: Bench, kind: str) -> None:
    """From here, verified; a second time there is nothing to do; and the worker that comes back finds all in order."""
    bench = idle_bench
    handle = await left_by_a_dead_worker(bench, kind)
    said = await holdfast(bench, "recover", "--all", "--json")
    assert said.code == 0, said
    assert "no worker carries it out" in what_was_done(said)[kind]
    assert bench.lab.state().clean
    assert await bench.store.ledger_unsettled() == []
    again = await holdfast(bench, "recover", "--all", "--json")
    assert (again.code, again.facts["rows"]) == (0, [])
    assert (await holdfast(bench, "faults")).code == 0
    await bench.worker()
    report = await bench.lock_ended(handle, patience=400)
    assert report is not None
    assert report.recovery_verified
    assert (await handle.describe()).status is WorkflowExecutionStatus.CANCELED
    assert bench.lab.state().clean


async def test_a_window_that_still_works_is_not_closed_behind_its_back(bench: Bench) -> None:
    """Without more a run that is under way is left alone; told to, it is cancelled and its own windows close."""
    handle = await fault_on(bench)
    left = await holdfast(bench, "recover", "--json")
    assert (left.code, left.facts["rows"]) == (5, [])
    assert {row["kind"] for row in left.facts["under_way"]} == {"lock", "calls", "fault"}
    assert bench.lab.state().faults
    execution_id = left.facts["under_way"][0]["execution_id"]
    bench.lab.misbehave(Misbehaviour())
    said = await holdfast(bench, "recover", "--execution", str(execution_id), "--json")
    assert said.code == 0, said
    assert what_was_done(said) == {
        "fault": "its window has closed it",
        "calls": "its window has closed it",
        "lock": "it has let go of the namespace",
    }
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    assert (await bench.store.execution_row(execution_id)).run_status is RunStatus.CANCELLED
    assert not [one for one in await bench.store.log_entries(execution_id) if one.message.startswith("recover")]
    assert bench.lab.state().clean


async def test_what_terminated_workflows_left_on_is_closed(bench: Bench) -> None:
    """Run, window and lock are gone from one moment to the next: the ledger's row is enough, and is settled."""
    handle = await fault_on(bench)
    (fault,) = [row for row in await bench.store.ledger_unsettled() if row.kind == "fault"]
    (lock,) = [row for row in await bench.store.ledger_unsettled() if row.kind == "lock"]
    for window in (fault, lock):
        await bench.temporal.get_workflow_handle(window.window_id, run_id=window.run_id).terminate("a test")
    await handle.terminate("a test")
    bench.lab.misbehave(Misbehaviour())
    said = await holdfast(bench, "recover", "--json")
    assert said.code == 0, said
    assert "its window is gone" in what_was_done(said)["fault"]
    assert bench.lab.state().clean
    (row,) = [one for one in await bench.store.ledger_of(fault.execution_id) if one.kind == "fault"]
    assert (row.state, row.detail) == (LedgerState.CLOSED, "recover")
    assert (await bench.store.execution_row(fault.execution_id)).finished_at


async def test_what_cannot_be_verified_is_never_called_closed(bench: Bench) -> None:
    """The fault service says yes and does nothing: exit code 5, with the command for the hand; later it can be done."""
    handle = await fault_on(bench)
    (fault,) = [row for row in await bench.store.ledger_unsettled() if row.kind == "fault"]
    lies = Instruction(endpoint=Endpoint.FAULT_DELETE, action=Action.LIE)
    bench.lab.misbehave(Misbehaviour(instructions=[lies, *REPLAY_HANGS.instructions]))
    await bench.temporal.get_workflow_handle(fault.window_id, run_id=fault.run_id).terminate("a test")
    await handle.terminate("a test")
    said = await holdfast(bench, "recover", "--within", "1s", "--json")
    assert said.code == 5, said
    (row,) = [one for one in said.facts["rows"] if one["kind"] == "fault"]
    assert row["state"] == "unverified"
    assert "by hand: curl -X DELETE" in row["done"]
    bench.lab.misbehave(Misbehaviour())
    assert (await holdfast(bench, "recover")).code == 0
    assert bench.lab.state().clean


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=() if kind == "rules" else pytest.mark.exhaustive) for kind in KINDS]
)
async def test_without_temporal_and_store_the_names_at_the_peers_are_enough(idle_bench: Bench, kind: str) -> None:
    """Nothing but the peers is asked. Twice does no harm."""
    bench = idle_bench
    await left_by_a_dead_worker(bench, kind)
    for file in bench.folder.glob("holdfast.db*"):
        file.unlink()
    path = str(bench.write_input(bench.small_plan()))
    said = await holdfast(bench, "recover", "--direct", path, "--json", **NOBODY)
    assert said.code == 0, said
    # While a service is broken, calls are recorded.
    assert {row["kind"] for row in said.facts["rows"]} == {kind, *(["recording"] if kind == "fault" else [])}
    assert "whether a run is under way cannot be told" in said.err
    await bench.until_clean()
    assert not list(bench.folder.glob("holdfast.db*"))
    again = await holdfast(bench, "recover", "--direct", path, "--json", **NOBODY)
    assert (again.code, again.facts["rows"]) == (0, [])


async def test_directly_only_the_plans_services_are_touched_unless_all_is_meant(idle_bench: Bench) -> None:
    """What belongs to others is named and left, and that is no success; a name that is not ours is never touched."""
    bench = idle_bench
    path = str(bench.write_input(bench.small_plan()))
    experiment = Experiment(scope="container", target="container", action="remove", matchers={"names": ["reviews-0"]})
    async with FaultClient(bench.lab.addresses.faults) as client:
        for name in ("hf-z-elsewhere-00000000-1", "hf-z-reviews-00000000-1", "blade-1"):
            await client.execute(name, 60, experiment)
    said = await holdfast(bench, "recover", "--direct", path, "--json", **NOBODY)
    assert said.code == 5, said
    assert {row["name"]: row["verified"] for row in said.facts["rows"]} == {
        "hf-z-elsewhere-00000000-1": False,
        "hf-z-reviews-00000000-1": True,
    }
    said = await holdfast(bench, "recover", "--direct", path, "--all", **NOBODY)
    assert said.code == 0, said
    assert list(bench.lab.state().faults) == ["blade-1"]


async def test_directly_a_silent_peer_is_not_taken_for_a_clean_one(idle_bench: Bench) -> None:
    """It is named, and the exit code says that something may be on."""
    bench = idle_bench
    path = str(bench.write_input(bench.small_plan()))
    refuses = Instruction(endpoint=Endpoint.RECORDINGS_ACTIVE, action=Action.REFUSE_500)
    bench.lab.misbehave(Misbehaviour(instructions=[refuses]))
    said = await holdfast(bench, "recover", "--direct", path, "--json", **NOBODY)
    assert said.code == 5
    assert [(row["kind"], row["address"]) for row in said.facts["rows"]] == [("no answer", bench.lab.addresses.proxy)]
