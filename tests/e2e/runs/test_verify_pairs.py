"""Pairs broken by two real faults: each pair once, closed like everything else, and no part of the verdict.

The lab's own log shows which faults were on together. Its topology has what a rule cannot show: how long a slow service
takes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError

from domain.errors import ErrorCode
from domain.executions.execution import Recovery, RunFailure, RunStatus, Verdict
from domain.executions.outcome import ExitCode, code_for
from domain.executions.windows import SETTLED, LedgerState, WindowKind
from domain.names import ABORT_UPDATE, PAUSE_UPDATE, RESUME_UPDATE
from domain.pairs.fidelity import PairOutcome
from domain.resilience.model import ResilienceSummary
from lab import Action, Endpoint, Instruction, Kind, Lab, LogEntry, Misbehaviour, PortChoice, Topology
from reports.build.stored_state import stored_state
from tests.support.leaks import checker
from tests.support.runs.bench import Bench, until
from tests.support.runs.fixtures import QUICK
from worker import running

pytestmark = pytest.mark.timeout(400)

PATIENCE = 150
"""Seconds for a whole run until its first pair. Several benches share the machine's cores."""

LEFT_RIGHT = "4"
"""The case index of this pair, which ends its faults' names. Four cases are before it."""

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
                # Planted weakness: the page can do without either service, but not without both.
                "needs_one_of": [["left", "right"]],
            },
            *({"name": name, "routes": [{"path": f"/api/{name}"}]} for name in ("left", "right", "slow")),
        ],
    }
)


class Trio(Bench):
    """Bench for this system, whose worker allows two faults at once."""

    def __init__(self, temporal: Client, lab: Lab, folder: Path) -> None:
        super().__init__(temporal, lab, folder)
        self.settings = self.settings.model_copy(update={"max_active_faults": 2})

    def plan(self, **changes: Any) -> dict[str, Any]:
        """Return a plan with a service whose slowness only real faults show.

        With rules it fails at once. In truth its caller waits two seconds for it.
        """
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
        """Return everything that was ever active, according to the lab."""
        return (await checker.look(self.lab.addresses.admin)).log

    async def pairs_on(self) -> list[LogEntry]:
        """Return the faults that were injected for a pair. By then the rules have been."""
        log = await self.log()
        rules = [entry.on_at.monotonic for entry in log if entry.kind is Kind.RULES]
        return [entry for entry in log if entry.kind is Kind.FAULT and rules and entry.on_at.monotonic > max(rules)]

    def hold_pair(self) -> None:
        """Report one pair's faults as not yet running. They stay active until the test releases them."""
        hold = Instruction(
            endpoint=Endpoint.FAULT_STATUS, action=Action.REPLACE, body=NOT_RUNNING, contains=f"-{LEFT_RIGHT}/status"
        )
        self.lab.misbehave(Misbehaviour(instructions=[hold]))

    async def until_held(self) -> None:
        """Wait until both of its faults are active."""

        async def look() -> bool:
            return sum(entry.off_at is None for entry in await self.pairs_on()) == 2

        await until(look, "two faults of a pair", PATIENCE)

    async def closed_by(self, handle: WorkflowHandle[Any, Any]) -> None:
        """Check that everything was switched off.

        Nothing may have gone off by itself, and the ledger must show it.
        """
        report = await self.lock_ended(handle)
        assert report is not None
        assert report.recovery_verified
        seen = await checker.look(self.lab.addresses.admin)
        assert [*checker.still_on(seen), *checker.by_itself(seen.log)] == []
        assert {row.state for row in await self.store.ledger.of(report.execution_id)} <= set(SETTLED)


@pytest.fixture
async def trio(temporal: Client, tmp_path: Path) -> AsyncIterator[Trio]:
    """Lab of this system, a store, and a worker in this process."""
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
    """Return the services whose faults were active at the same time."""
    return sorted(
        (min(first.service, second.service), max(first.service, second.service))
        for first, second in combinations(log, 2)
        if checker.most_faults_at_once([first, second]) == 2
    )


PAIRS = [("left", "right"), ("left", "slow"), ("right", "slow")]


async def test_every_pair_is_broken_for_real_and_differences_are_reported(trio: Trio) -> None:
    """Two faults at a time and nothing beside them.

    A rule answers at once where a caller really waits for a slow service.
    """
    handle = await trio.verify()
    summary: ResilienceSummary = await handle.result()
    await trio.closed_by(handle)
    assert summary.verdict is Verdict.FAILED
    assert [case.case_id for case in summary.failed_cases] == ["left+right"]
    found = summary.pairs
    assert found is not None
    assert (found.chosen, found.agreed, found.disagreed, found.unchecked) == (3, 1, 2, 0)
    assert (found.status_agreed, found.body_agreed, found.verdict_agreed) == (3, 3, 1)
    assert {finding.case_id for finding in found.findings} == {"left+slow", "right+slow"}
    assert all("verdict passed with rules, failed (p95" in finding.differs[0] for finding in found.findings)

    log = await trio.log()
    faults = [entry for entry in log if entry.kind is Kind.FAULT]
    assert together(faults) == PAIRS
    assert len(faults) == 3 + 2 * len(PAIRS)
    assert len({entry.name for entry in faults}) == len(faults)
    rules = [entry for entry in log if entry.kind is Kind.RULES]
    assert all(rule.off_at and rule.off_at.monotonic < fault.on_at.monotonic for rule in rules for fault in faults[3:])

    state, row = await trio.status(handle), await trio.store.executions.latest_of(handle.id)
    assert state is not None
    assert row is not None
    assert (await stored_state(trio.store, row)).pairs == state.pairs == found
    lines = [entry.message for entry in await trio.store.logs.of(summary.execution_id)]
    assert any(line.startswith("left+slow with two real faults: disagreed: verdict") for line in lines)
    assert any("1 of 3 agree with the rules (status 3, body 3, verdict 1)" in line for line in lines)


@pytest.mark.exhaustive
async def test_only_pairs_in_doubt_are_broken_for_real_by_default(trio: Trio) -> None:
    """Left is removed, and a substitute status stands for it. One pair of it shows whether the substitute is right."""
    summary = await trio.run(trio.plan(exclude=["*+slow"]))
    assert summary.pairs is not None
    assert (summary.pairs.asked_for, summary.pairs.chosen, summary.pairs.agreed) == (False, 1, 1)
    assert together([entry for entry in await trio.log() if entry.kind is Kind.FAULT]) == [("left", "right")]


async def test_the_worker_must_allow_two_faults_at_once(idle_trio: Trio) -> None:
    """Otherwise the run is refused before anything is asked or stored, with the setting that would allow it."""
    await idle_trio.worker()
    handle = await idle_trio.verify()
    with pytest.raises(WorkflowFailureError) as raised:
        await handle.result()
    assert isinstance(raised.value.cause, ApplicationError)
    failure = RunFailure.model_validate(raised.value.cause.details[0])
    assert (failure.code, failure.recovery) == (ErrorCode.OUTSIDE_GUARDRAILS, Recovery.NOT_NEEDED)
    assert code_for(failure.code) is ExitCode.INVALID
    assert [problem.path for problem in failure.problems] == ["verify_pairs"]
    assert "HOLDFAST_MAX_ACTIVE_FAULTS" in failure.problems[0].hint
    assert await idle_trio.store.executions.newest(1) == []
    assert await idle_trio.log() == []


@pytest.mark.exhaustive
@pytest.mark.parametrize("how", ["cancel", "abort", "terminate"])
async def test_both_faults_are_closed_however_the_run_ends(trio: Trio, how: str) -> None:
    """Here in the middle of a pair, with both faults active."""
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
    row = await trio.store.executions.latest_of(handle.id)
    assert row is not None
    assert row.recovery is Recovery.VERIFIED
    assert row.run_status is (RunStatus.CANCELLED if how == "cancel" else RunStatus.FAILED)


@pytest.mark.exhaustive
async def test_a_killed_worker_costs_no_pair(idle_trio: Trio) -> None:
    """A second worker goes on: nothing is injected twice, and the pair is compared."""
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
    assert [fault.service for fault in sorted(await idle_trio.pairs_on(), key=lambda fault: fault.service)] == [
        "left",
        "right",
    ]


@pytest.mark.exhaustive
async def test_a_refused_fault_leaves_its_pair_unchecked(trio: Trio) -> None:
    """The reason is kept, the other fault is closed, the other pairs go on, and the verdict is unchanged."""
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
async def test_no_pair_begins_after_a_fault_that_cannot_be_closed(trio: Trio) -> None:
    """The run ends with its recovery unverified."""
    # To the end of the path: the digits before a name's last part are random, and may begin with this one.
    lie = Instruction(endpoint=Endpoint.FAULT_DELETE, action=Action.LIE, contains=f"-{LEFT_RIGHT}\n")
    trio.lab.misbehave(Misbehaviour(instructions=[lie]))
    handle = await trio.verify(timeouts={"recovery": "8s", "stability": "10s"})
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    report = await trio.lock_ended(handle)
    assert report is not None
    assert not report.recovery_verified
    rows = await trio.store.ledger.of(report.execution_id)
    halves = {row.service: row.state for row in rows if row.kind is WindowKind.PAIR_FAULT}
    assert halves == dict.fromkeys(("left", "right"), LedgerState.UNVERIFIED)
    state = await trio.status(handle)
    assert state is not None
    assert (state.error_code, state.recovery) == (ErrorCode.RECOVERY_UNVERIFIED, Recovery.UNVERIFIED)


@pytest.mark.exhaustive
async def test_no_pair_begins_while_a_run_is_paused(trio: Trio) -> None:
    """The active pair is finished. The others follow when the run is resumed."""
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
