"""Leftovers at the peers: a run is refused, or removes them first when asked to, and nothing else with them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from clients.peers.faults import FaultClient
from clients.store.read_models import LogLevel
from domain.errors import ErrorCode
from domain.executions.execution import Recovery, Verdict
from domain.executions.windows import LedgerState, WindowKind
from domain.faults.chaosblade.experiment import Experiment
from domain.resilience.kind import KIND
from domain.resilience.model import ResilienceSummary
from lab import Misbehaviour
from lab.misbehaviour.misbehave import Action, Instruction
from lab.misbehaviour.names import Endpoint
from tests.support.http import http_client
from tests.support.runs.bench import Bench, until
from tests.support.runs.endings import failure
from tests.support.runs.faults import fault_on
from tests.support.runs.hand import holdfast
from tests.support.tiers import mostly_exhaustive

OURS = "hf-z-reviews-00000000-1"
"""A fault of an execution that the store does not know."""
OUR_RULES = "hfzx"
THEIR_RULES = "fi-of-somebody"
SWITCHING_ON = (Endpoint.EXECUTE, Endpoint.ANALYZE, Endpoint.UPSERT)


def removal(service: str, namespace: str = "shop") -> Experiment:
    matchers = {"namespace": [namespace], "names": [f"{service}-0"], "container-names": [service], "force": ["true"]}
    return Experiment(scope="container", target="container", action="remove", matchers=matchers)


HARMLESS = Experiment(scope="pod", target="nothing", action="none", matchers={"labels": ["app=reviews"]})
"""A fault that exists and does nothing."""


async def leave_fault(bench: Bench, name: str, experiment: Experiment) -> None:
    async with FaultClient(bench.lab.addresses.faults) as client:
        await client.execute(name, 300, experiment)


async def leave_recording(bench: Bench, service: str) -> str:
    """Record a service as somebody would by hand. Returns the recording's id."""
    rules = [{"path": "/api", "method": "GET"}]
    body = {"namespace": "shop", "serviceName": service, "rules": rules, "durationSec": 300}
    async with http_client(bench.lab.addresses.proxy) as client:
        answer = await client.post("/api/recordings/start", json=body)
    return str(answer.json()["data"]["recordingId"])


async def leave_rules(bench: Bench, record_id: str, service: str) -> None:
    item = {"serviceName": service, "method": "GET", "path": "/api/x", "baggageTokens": ["theirs=1"]}
    items = [item | {"respStatus": 503, "respBody": "{}"}]
    body = {"namespace": "shop", "recordId": record_id, "ttlSec": 300, "items": items}
    async with http_client(bench.lab.addresses.proxy) as client:
        answer = await client.post("/api/fixtures/upsert", json=body)
    assert answer.status_code == 200


def switched_on(bench: Bench) -> dict[str, int]:
    """Count the calls that switch something on, since the last misbehaviour was set."""
    return {endpoint: bench.lab.calls[endpoint] for endpoint in SWITCHING_ON if bench.lab.calls[endpoint]}


async def warnings(bench: Bench, execution_id: int) -> list[str]:
    return [entry.message for entry in await bench.store.logs.of(execution_id) if entry.level is LogLevel.WARN]


async def test_a_run_is_refused_while_a_foreign_fault_is_on(bench: Bench) -> None:
    """The fault is a different installation's. The run is refused before it touches anything."""
    first = await fault_on(bench)
    async with bench.other_settings(own_store=True) as queue:
        second = await bench.start(bench.small_plan(), workflow_id=f"other/{bench.name}", queue=queue)
        found = await failure(bench, second)
    assert found.code is ErrorCode.ENVIRONMENT_NOT_CLEAN
    assert found.recovery is Recovery.NOT_NEEDED
    assert "`holdfast run --clean`" in found.message
    bench.lab.misbehave(Misbehaviour())
    await bench.cancelled(first)


async def test_clean_removes_leftovers_of_anyone_and_nothing_else(bench: Bench) -> None:
    """A fault of ours, a recording, rules of ours and of others.

    Each is named in the log, and the run is like any other.
    """
    await leave_fault(bench, OURS, removal("reviews"))
    await leave_fault(bench, "blade-1", HARMLESS)
    recording = await leave_recording(bench, "shipping")
    elsewhere = await leave_recording(bench, "inventory")
    await leave_rules(bench, OUR_RULES, "recommendations")
    await leave_rules(bench, THEIR_RULES, "bestsellers")
    services = ("reviews", "shipping", "recommendations", "bestsellers")
    plan = bench.small_plan(*services, slo={"error_rate": "1%"})
    handle = await bench.start(plan, leftovers="clean")
    summary = await handle.result()
    assert isinstance(summary, ResilienceSummary)
    assert (summary.verdict, summary.recovery) == (Verdict.FAILED, Recovery.VERIFIED)
    assert [case.case_id for case in summary.failed_cases] == ["bestsellers+recommendations", "bestsellers+reviews"]
    assert summary.cases.measured == 11
    report = await bench.lock_ended(handle)
    assert report is not None
    removed = {OURS, recording, f"{OUR_RULES}-recommendations", f"{THEIR_RULES}-bestsellers"}
    assert len(report.cleaned) == len(removed)
    for name in removed:
        assert [line for line in report.cleaned if name in line]
        lines = [line for line in await warnings(bench, summary.execution_id) if name in line]
        assert (len(lines), lines[-1].endswith("seen to be off")) == (2, True), lines
    state = bench.lab.state()
    assert (list(state.faults), state.recordings, state.rules) == (["blade-1"], [elsewhere], [])


@pytest.mark.parametrize(
    ("name", "experiment", "why"),
    mostly_exhaustive(
        [
            ("hf-by-hand", removal("reviews"), "it is not in a service of this plan"),
            ("hf-z-elsewhere-00000000-1", removal("reviews"), "it is not in a service of this plan"),
            (OURS, removal("reviews", "books"), "it is in namespace books"),
        ]
    ),
)
async def test_clean_touches_nothing_when_a_leftover_may_not_be_removed(
    bench: Bench, name: str, experiment: Experiment, why: str
) -> None:
    """Removing the other leftovers would be of no use, because the run would be refused all the same."""
    await leave_fault(bench, name, experiment)
    recording = await leave_recording(bench, "shipping")
    bench.lab.misbehave(Misbehaviour())
    found = await failure(bench, await bench.start(bench.small_plan(), leftovers="clean"))
    assert (found.code, found.recovery) == (ErrorCode.ENVIRONMENT_NOT_CLEAN, Recovery.NOT_NEEDED)
    assert why in found.message
    assert "nothing was touched" in found.message
    assert switched_on(bench) == {}
    state = bench.lab.state()
    assert (list(state.faults), state.recordings) == ([name], [recording])


@pytest.mark.exhaustive
async def test_clean_does_not_remove_the_fault_of_a_living_window(bench: Bench) -> None:
    """The second run has the same namespace under a different lock.

    The lock does not show the holder, but the ledger does.
    """
    first = await fault_on(bench)
    async with bench.other_settings(own_store=False) as queue:
        order = {"workflow_id": f"other/{bench.name}", "queue": queue, "leftovers": "clean"}
        found = await failure(bench, await bench.start(bench.small_plan("reviews"), **order))
    assert found.code is ErrorCode.EXECUTION_ALREADY_RUNNING
    assert first.id in found.message
    assert bench.lab.state().faults
    bench.lab.misbehave(Misbehaviour())
    await first.cancel()
    report = await bench.lock_ended(first)
    assert report is not None
    assert report.recovery_verified


@pytest.mark.parametrize(
    "endpoint", mostly_exhaustive([Endpoint.FAULT_DELETE, Endpoint.RECORDING_STOP, Endpoint.FIXTURE_DELETE])
)
async def test_a_leftover_that_cannot_be_removed_refuses_the_run(bench: Bench, endpoint: Endpoint) -> None:
    """The peer reports success and does nothing. The failure names that leftover and lists what was removed."""
    await leave_fault(bench, OURS, removal("reviews"))
    recording = await leave_recording(bench, "shipping")
    await leave_rules(bench, THEIR_RULES, "bestsellers")
    names = {
        Endpoint.FAULT_DELETE: OURS,
        Endpoint.RECORDING_STOP: recording,
        Endpoint.FIXTURE_DELETE: f"{THEIR_RULES}-bestsellers",
    }
    bench.lab.misbehave(Misbehaviour(instructions=[Instruction(endpoint=endpoint, action=Action.LIE)]))
    plan = bench.small_plan("reviews", "shipping", "bestsellers", timeouts={"recovery": "2s"})
    found = await failure(bench, await bench.start(plan, leftovers="clean"))
    assert (found.code, found.recovery) == (ErrorCode.ENVIRONMENT_NOT_CLEAN, Recovery.NOT_NEEDED)
    still, _, went = found.message.partition("Removed: ")
    assert {name: (name in still, name in went) for name in names.values()} == {
        name: (name == names[endpoint], name != names[endpoint]) for name in names.values()
    }
    assert switched_on(bench) == {}
    state = bench.lab.state()
    assert [*state.faults, *state.recordings, *state.rules] == [names[endpoint]]
    lines = await warnings(bench, found.execution_id or 0)
    assert len([line for line in lines if "NOT seen to be off" in line]) == 1


@pytest.mark.exhaustive
async def test_clean_removes_the_fault_of_a_dead_run_and_settles_its_row(bench: Bench) -> None:
    """Run, window and lock were terminated, and no sweeper runs. The ledger shows what became of the fault."""
    first = await fault_on(bench)
    rows = {row.kind: row for row in await bench.store.ledger.unsettled()}
    for window in rows.values():
        await bench.temporal.get_workflow_handle(window.window_id, run_id=window.run_id).terminate("a test")
    await first.terminate("a test")
    bench.lab.misbehave(Misbehaviour())
    second = await bench.start(bench.small_plan("reviews"), workflow_id=f"other/{bench.name}", leftovers="clean")
    assert (await second.result()).cases.measured == 2
    report = await bench.lock_ended(second)
    assert report is not None
    fault = rows[WindowKind.FAULT]
    assert [line for line in report.cleaned if fault.peer_name in line and str(fault.execution_id) in line]
    (row,) = [entry for entry in await bench.store.ledger.of(fault.execution_id) if entry.kind is WindowKind.FAULT]
    assert (row.state, row.detail) == (LedgerState.CLOSED, "clean")
    entries = await bench.store.logs.of(fault.execution_id)
    assert [
        entry for entry in entries if entry.message.startswith(f"clean: {fault.window_id} was left open, now closed")
    ]
    assert bench.lab.state().clean


@pytest.mark.exhaustive
async def test_the_command_lists_the_leftovers_it_removed(bench: Bench) -> None:
    """Without `--clean` it is refused and names the option.

    With it, each removal is printed, and is in the JSON and the status.
    """
    await leave_fault(bench, OURS, removal("reviews"))
    path = str(bench.write_input(bench.small_plan("reviews")))
    refused = await holdfast(bench, "run", path, "--yes")
    assert refused.code == 7, refused
    assert "`holdfast run --clean`" in refused.out
    result = await holdfast(bench, "run", path, "--yes", "--clean", "--json", "out.json")
    assert result.code == 0, result
    line = f"fault {OURS} in reviews of execution 35"
    assert f"removed first: {line}" in result.out
    assert json.loads((bench.folder / "out.json").read_text())["lock"]["cleaned"] == [line]
    assert bench.lab.state().clean
    handle = bench.temporal.get_workflow_handle(KIND.workflow_id(bench.name))
    state: Any = await until(lambda: bench.status(handle), "an answer")
    assert [row.detail for row in state.windows if row.kind is WindowKind.LOCK] == [f"removed first: {line}"]
