"""Pairs with two real faults: when asked for, each pair once, closed as everything is, and no part of the verdict.

The lab's own log says what was on together; its topology what a rule cannot show: how long a slow service takes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError

from cli.exit_codes import ExitCode, code_for
from lab import Action, Endpoint, Instruction, Kind, Lab, LogEntry, Misbehaviour, PortChoice, Topology
from reports.stored import stored_state
from tests.e2e.bench import Bench, until
from tests.e2e.conftest import QUICK
from tests.leaks import checker
from worker import running
from workflows.contracts.errors import ErrorCode
from workflows.contracts.execution import Recovery, RunFailure, RunStatus, RunSummary, Verdict
from workflows.contracts.fidelity import PairOutcome
from workflows.contracts.windows import SETTLED, LedgerState, WindowKind
from workflows.names import ABORT_UPDATE, PAUSE_UPDATE, RESUME_UPDATE

pytestmark = pytest.mark.timeout(400)

PATIENCE = 150
"""Seconds for a whole run until its first pair: several benches share the machine's cores."""

LEFT_RIGHT = "4"
"""The index of the pair of these two, at the end of its faults' names: four cases are before it."""

NOT_RUNNING = {"success": True, "data": {"phase": "Initialized", "status": {"phase": "Initialized", "expStatuses": []}}}


def _behind(name: str, timeout: str) -> dict[str, Any]:
    return {"service": name, "path": f"/api/{name}", "timeout": timeout, "fallback": {"source": "fallback"}}


TOPOLOGY = Topology.model_validate(
    {
        "namespace": "trio",
        "entry": "front",
        "services": [
            {
                "name": "front",
                "routes": [{"path": "/api/page", "body": {"page": "front"}}],
                "calls": [_behind("left", "3s"), _behind("right", "3s"), _behind("slow", "2s")],
                # Planted: each is optional, but not both.
                "needs_one_of": [["left", "right"]],
            },
            *({"name": name, "routes": [{"path": f"/api/{name}"}]} for name in ("left", "right", "slow")),
        ],
    }
)


class Trio(Bench):
    """A bench for it, whose worker allows two faults at once."""

    def __init__(self, temporal: Client, lab: Lab, folder: Path) -> None:
        super().__init__(temporal, lab, folder)
        self.settings = self.settings.model_copy(update={"max_active_faults": 2})

    def plan(self, **changes: Any) -> dict[str, Any]:
        """With rules the slow service fails at once, in truth its caller waits two seconds for it."""
        addresses = self.lab.addresses
        plan: dict[str, Any] = {
            "name": self.name,
            "system": {
                "namespace": "trio",
                "proxy": addresses.proxy,
                "faults": addresses.faults,
                "services": addresses.services,
            },
            "request": {"url": f"{addresses.entry}/api/page", "timeout": "20s"},
            "services": [
                {"name": "left", "fault": "remove"},
                {"name": "right", "fault": "error"},
                {"name": "slow", "fault": {"delay": "5s"}, "substitute_status": 504},
            ],
            "load": {"requests": 2, "concurrency": 2},
            "slo": {"error_rate": "1%", "p95": "1s"},
            "timeouts": {"fault_running": "5m"},
        }
        return plan | changes

    async def verify(self, share: str = "100%", **changes: Any) -> WorkflowHandle[Any, Any]:
        """Start a run that verifies pairs, as any program would."""
        return await self.start(self.plan(**changes), verify_pairs=share)

    async def log(self) -> list[LogEntry]:
        """Everything that was ever on, by the lab."""
        return (await checker.look(self.lab.addresses.admin)).log

    async def pairs_on(self) -> list[LogEntry]:
        """Faults that were injected for a pair: by then the rules have been."""
        log = await self.log()
        rules = [one.on_at.monotonic for one in log if one.kind is Kind.RULES]
        return [one for one in log if one.kind is Kind.FAULT and rules and one.on_at.monotonic > max(rules)]

    def hold_pair(self) -> None:
        """The faults of one pair are never told to be running, so they stay on until somebody says otherwise."""
        hold = Instruction(
            endpoint=Endpoint.FAULT_STATUS, action=Action.REPLACE, body=NOT_RUNNING, contains=f"-{LEFT_RIGHT}/status"
        )
        self.lab.misbehave(Misbehaviour(instructions=[hold]))

    async def until_held(self) -> None:
        """Both of its faults are on."""

        async def look() -> bool:
            return sum(one.off_at is None for one in await self.pairs_on()) == 2

        await until(look, "two faults of a pair", PATIENCE)

    async def closed_by(self, handle: WorkflowHandle[Any, Any]) -> None:
        """Everything that was on went off because somebody switched it off, and the ledger knows it."""
        report = await self.lock_ended(handle)
        assert report is not None
        assert report.recovery_verified
        seen = await checker.look(self.lab.addresses.admin)
        assert [*checker.still_on(seen), *checker.by_itself(seen.log)] == []
        assert {row.state for row in await self.store.ledger_of(report.execution_id)} <= set(SETTLED)


@pytest.fixture
async def trio(temporal: Client, tmp_path: Path) -> AsyncIterator[Trio]:
    """Its lab, a store, and a worker in this process."""
    async with Lab(TOPOLOGY, settings=QUICK, ports=PortChoice.FREE) as lab:
        bench = Trio(temporal, lab, tmp_path)
        async with running(temporal, bench.settings), bench:
            yield bench


@pytest.fixture
async def idle_trio(temporal: Client, tmp_path: Path) -> AsyncIterator[Trio]:
    """The same without a worker."""
    async with Lab(TOPOLOGY, settings=QUICK, ports=PortChoice.FREE) as lab, Trio(temporal, lab, tmp_path) as bench:
        yield bench


def together(log: list[LogEntry]) -> list[tuple[str, str]]:
    """The faults that were on at the same time, by service."""
    return sorted(
        (min(one.service, other.service), max(one.service, other.service))
        for one, other in combinations(log, 2)
        if checker.most_faults_at_once([one, other]) == 2
    )


PAIRS = [("left", "right"), ("left", "slow"), ("right", "slow")]


async def test_every_pair_is_broken_for_real_and_what_differs_is_told(trio: Trio) -> None:
    """Two faults at a time and nothing else beside them; a rule answers at once where a slow service is waited for."""
    handle = await trio.verify()
    summary: RunSummary = await handle.result()
    await trio.closed_by(handle)
    assert summary.verdict is Verdict.FAILED
    assert [one.case_id for one in summary.failed_cases] == ["left+right"]
    found = summary.pairs
    assert found is not None
    assert (found.chosen, found.agreed, found.disagreed, found.unchecked) == (3, 1, 2, 0)
    assert (found.status_agreed, found.body_agreed, found.verdict_agreed) == (3, 3, 1)
    assert {one.case_id for one in found.findings} == {"left+slow", "right+slow"}
    assert all("verdict passed with rules, failed (p95" in one.differs[0] for one in found.findings)

    log = await trio.log()
    faults = [one for one in log if one.kind is Kind.FAULT]
    assert together(faults) == PAIRS
    assert len(faults) == 3 + 2 * len(PAIRS)
    assert len({one.name for one in faults}) == len(faults)
    rules = [one for one in log if one.kind is Kind.RULES]
    assert all(one.off_at and one.off_at.monotonic < fault.on_at.monotonic for one in rules for fault in faults[3:])

    state, row = await trio.status(handle), await trio.store.latest_execution_of(handle.id)
    assert state is not None
    assert row is not None
    assert (await stored_state(trio.store, row)).pairs == state.pairs == found
    lines = [one.message for one in await trio.store.log_entries(summary.execution_id)]
    assert any(line.startswith("left+slow with two real faults: disagreed: verdict") for line in lines)
    assert any("1 of 3 agree with the rules (status 3, body 3, verdict 1)" in line for line in lines)


async def test_only_pairs_in_doubt_run_unasked(trio: Trio) -> None:
    """Left is removed, and a substitute status stands for it: one pair of it shows whether that is true."""
    summary = await trio.run(trio.plan(exclude=["*+slow"]))
    assert summary.pairs is not None
    assert (summary.pairs.asked_for, summary.pairs.chosen, summary.pairs.agreed) == (False, 1, 1)
    assert together([one for one in await trio.log() if one.kind is Kind.FAULT]) == [("left", "right")]


async def test_the_worker_must_allow_two_faults_at_once(idle_trio: Trio) -> None:
    """Refused before anything is asked or stored, with the setting that would allow it."""
    await idle_trio.worker()
    handle = await idle_trio.verify()
    with pytest.raises(WorkflowFailureError) as raised:
        await handle.result()
    assert isinstance(raised.value.cause, ApplicationError)
    failure = RunFailure.model_validate(raised.value.cause.details[0])
    assert (failure.code, failure.recovery) == (ErrorCode.OUTSIDE_GUARDRAILS, Recovery.NOT_NEEDED)
    assert code_for(failure.code) is ExitCode.INVALID
    assert [one.path for one in failure.problems] == ["verify_pairs"]
    assert "HOLDFAST_MAX_ACTIVE_FAULTS" in failure.problems[0].hint
    assert await idle_trio.store.latest_executions(1) == []
    assert await idle_trio.log() == []


@pytest.mark.parametrize(
    "how",
    [
        pytest.param("cancel", marks=pytest.mark.exhaustive),
        pytest.param("abort", marks=pytest.mark.exhaustive),
        "terminate",
    ],
)
async def test_both_faults_are_closed_however_the_run_ends(trio: Trio, how: str) -> None:
    """In the middle of a pair, with both on."""
    trio.hold_pair()
    handle = await trio.verify(exclude=["*+slow"])
    await trio.until_held()
    if how == "cancel":
        await handle.cancel()
    elif how == "abort":
        await handle.execute_update(ABORT_UPDATE, "enough")
    else:
        await handle.terminate()
    trio.lab.misbehave(Misbehaviour())
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    await trio.closed_by(handle)
    assert len(await trio.pairs_on()) == 2
    row = await trio.store.latest_execution_of(handle.id)
    assert row is not None
    assert row.recovery is Recovery.VERIFIED
    assert row.run_status is (RunStatus.CANCELLED if how == "cancel" else RunStatus.FAILED)


@pytest.mark.exhaustive
async def test_a_killed_worker_costs_no_pair(idle_trio: Trio) -> None:
    """Another one goes on: nothing is injected twice, and the pair is compared."""
    first = await idle_trio.worker(HOLDFAST_MAX_ACTIVE_FAULTS="2")
    idle_trio.hold_pair()
    handle = await idle_trio.verify(exclude=["*+slow"])
    await idle_trio.until_held()
    first.kill()
    await first.wait()
    idle_trio.lab.misbehave(Misbehaviour())
    await idle_trio.worker(HOLDFAST_MAX_ACTIVE_FAULTS="2")
    summary = await handle.result()
    await idle_trio.closed_by(handle)
    assert summary.pairs is not None
    assert (summary.pairs.chosen, summary.pairs.agreed) == (1, 1)
    assert [one.service for one in sorted(await idle_trio.pairs_on(), key=lambda one: one.service)] == ["left", "right"]


async def test_a_fault_that_is_refused_leaves_its_pair_unchecked(trio: Trio) -> None:
    """With the reason; the other fault is closed, the other pairs go on, and the verdict is what it was."""
    refuse = Instruction(endpoint=Endpoint.FAULT_STATUS, action=Action.REPLACE, contains=f"-{LEFT_RIGHT}/status")
    broken = {"phase": "Error", "status": {"phase": "Error", "expStatuses": []}}
    gone = refuse.model_copy(update={"body": {"success": True, "data": broken}, "nth": 1})
    trio.lab.misbehave(Misbehaviour(instructions=[gone]))
    handle = await trio.verify(exclude=["left+slow"])
    summary = await handle.result()
    await trio.closed_by(handle)
    assert summary.pairs is not None
    assert (summary.pairs.chosen, summary.pairs.disagreed, summary.pairs.unchecked) == (2, 1, 1)
    unchecked = summary.pairs.findings[-1]
    assert (unchecked.case_id, unchecked.outcome) == ("left+right", PairOutcome.UNCHECKED)
    assert "it failed" in unchecked.reason
    assert summary.verdict is Verdict.FAILED


@pytest.mark.exhaustive
async def test_after_a_fault_that_cannot_be_closed_no_pair_begins(trio: Trio) -> None:
    """The run ends, and says so."""
    lie = Instruction(endpoint=Endpoint.FAULT_DELETE, action=Action.LIE, contains=f"-{LEFT_RIGHT}")
    trio.lab.misbehave(Misbehaviour(instructions=[lie]))
    handle = await trio.verify(timeouts={"recovery": "8s", "stability": "10s"})
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    report = await trio.lock_ended(handle)
    assert report is not None
    assert not report.recovery_verified
    rows = await trio.store.ledger_of(report.execution_id)
    halves = {row.service: row.state for row in rows if row.kind is WindowKind.PAIR_FAULT}
    assert halves == dict.fromkeys(("left", "right"), LedgerState.UNVERIFIED)
    state = await trio.status(handle)
    assert state is not None
    assert (state.error_code, state.recovery) == (ErrorCode.RECOVERY_UNVERIFIED, Recovery.UNVERIFIED)


async def test_no_pair_begins_while_a_run_is_paused(trio: Trio) -> None:
    """The one that is on is finished; the others follow when it is resumed."""
    trio.hold_pair()
    handle = await trio.verify()
    await trio.until_held()
    await handle.execute_update(PAUSE_UPDATE)
    trio.lab.misbehave(Misbehaviour())
    await trio.until_state(handle, lambda state: state.pairs is not None and state.pairs.compared == 1, "one pair")
    assert len(await trio.pairs_on()) == 2
    await handle.execute_update(RESUME_UPDATE)
    summary = await handle.result()
    await trio.closed_by(handle)
    assert summary.pairs is not None
    assert summary.pairs.compared == 3
    assert together(await trio.pairs_on()) == PAIRS
