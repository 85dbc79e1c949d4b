"""Several faults at once: only where plan and worker allow it, and never two on one call path.

The lab's own log shows which faults were active when, and its topology shows who calls whom. Holdfast's own plan,
ledger and status are not consulted.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle

from domain.errors import ErrorCode
from domain.executions.execution import Recovery, RunStatus
from domain.executions.windows import LedgerState, WindowKind
from domain.names import ABORT_UPDATE, PAUSE_UPDATE, RESUME_UPDATE
from domain.resilience.model import ResilienceSummary
from domain.resilience.state import ResilienceState
from lab import Action, Endpoint, Instruction, Kind, Lab, LogEntry, Misbehaviour, PortChoice, Topology
from reports.build.stored_state import stored_state
from tests.support.leaks import checker
from tests.support.runs.bench import Bench, until
from tests.support.runs.fixtures import QUICK
from tests.support.tiers import mostly_exhaustive
from worker import running

MOST = 4
"""Faults that may be active at once."""

CALLED: dict[str, list[str]] = {
    "front": ["cart", "help", "mail", "search", "reviews"],
    "cart": ["stock"],
    "stock": ["archive"],
    "archive": [],
    "help": [],
    "mail": [],
    "search": ["gate"],
    # Not under test. Services before and behind it are on one call path all the same.
    "gate": ["index"],
    "index": [],
    "reviews": [],
}
"""The services that each service really calls."""

CALLS = {name: CALLED[name] for name in CALLED if name not in ("front", "gate")} | {"search": ["index"]}
"""The same calls as a plan declares them."""

FIRST = ["archive", "help", "index", "mail"]
"""The first four services that can be broken at once.

By the plan's order the cart must wait, and reviews would be a fifth.
"""


def _service(name: str) -> dict[str, Any]:
    calls = [
        {"service": called, "path": f"/api/{called}", "timeout": "5s", "fallback": {"source": "fallback"}}
        for called in CALLED[name]
    ]
    return {"name": name, "routes": [{"path": f"/api/{name}", "body": {"of": name}}], "calls": calls}


# Planted weakness: the page can do without either service, but not without both.
WEAK = {**_service("front"), "needs_one_of": [["mail", "reviews"]]}
TOPOLOGY = Topology.model_validate(
    {"namespace": "town", "entry": "front", "services": [WEAK, *(_service(name) for name in CALLED if name != "front")]}
)

ONCE = checker.ONCE | {Kind.FAULT: 2}
"""How often something comes on in one service.

Faults: its own, and that of the pair in which a removed service gives no answer.
"""

NOT_RUNNING = {"success": True, "data": {"phase": "Initialized", "status": {"phase": "Initialized", "expStatuses": []}}}


class Town(Bench):
    """Bench for this system, whose worker allows that many faults."""

    def __init__(self, temporal: Client, lab: Lab, folder: Path) -> None:
        super().__init__(temporal, lab, folder)
        self.settings = self.settings.model_copy(update={"max_active_faults": MOST})

    def plan(self, **changes: Any) -> dict[str, Any]:
        """Return a plan that breaks every service but entry and gate.

        They fail by removal and by errors in turn.
        """
        addresses, ways = self.lab.addresses, ("remove", "error")
        return {
            "name": self.name,
            "system": {
                "namespace": "town",
                "proxy": addresses.proxy,
                "faults": addresses.faults,
                "services": addresses.services,
            },
            "request": {"url": f"{addresses.entry}/api/front", "timeout": "20s"},
            "services": [
                {"name": name, "fault": ways[number % 2], "calls": calls}
                for number, (name, calls) in enumerate(CALLS.items())
            ],
            "slo": {"error_rate": "1%"},
            # One pair is enough to show that nothing is lost.
            "exclude": [f"{name}+*" for name in CALLS if name not in ("mail", "reviews")],
            "safety": {"max_active_faults": MOST},
            # Longer than any machine needs until the test has seen the faults active and releases them.
            "timeouts": {"fault_running": "5m"},
        } | changes

    async def log(self) -> list[LogEntry]:
        """Return everything that was ever active, according to the lab."""
        return (await checker.look(self.lab.addresses.admin)).log

    async def broken(self) -> dict[str, bool]:
        """Return the services that were ever broken, and whether they still are."""
        return {entry.service: entry.off_at is None for entry in await self.log() if entry.kind is Kind.FAULT}

    async def until_on(self, *services: str) -> None:
        """Wait until this many faults run.

        The log must show them in these services, and nowhere else.
        """

        async def look() -> bool:
            return list(self.lab.state().faults.values()).count("Running") == len(services)

        await until(look, f"faults in {', '.join(services)}")
        assert await self.broken() == dict.fromkeys(services, True)

    def hold_faults(self) -> None:
        """Report every fault as not yet running. It stays active until the test releases it."""
        hold = Instruction(endpoint=Endpoint.FAULT_STATUS, action=Action.REPLACE, body=NOT_RUNNING)
        self.lab.misbehave(Misbehaviour(instructions=[hold]))

    def let_go(self) -> None:
        """Make the peers behave again."""
        self.lab.misbehave(Misbehaviour())


@pytest.fixture
async def town(temporal: Client, tmp_path: Path) -> AsyncIterator[Town]:
    """Lab of this system, a store, and a worker in this process."""
    patient = QUICK.model_copy(update={"hang_limit": 300})
    async with Lab(TOPOLOGY, settings=patient, ports=PortChoice.FREE) as lab:
        bench = Town(temporal, lab, tmp_path)
        async with running(temporal, bench.settings), bench:
            yield bench


async def found_by(town: Town, summary: ResilienceSummary) -> dict[str, Any]:
    """Return how each service fails, and the outcome of each case."""
    run = summary.execution_id
    captured = {
        (answer.service, answer.position): (answer.status, answer.substituted)
        for answer in await town.store.traffic.captured(run)
    }
    cases = {result.case_id: (result.outcome, result.verdict) for result in await town.store.results.all(run)}
    return {"verdict": summary.verdict, "captured": captured, "cases": cases}


async def told_by(town: Town, handle: WorkflowHandle[Any, Any]) -> tuple[ResilienceState, ResilienceState]:
    """Return the run's state from its query and from the store."""
    state = await town.status(handle)
    row = await town.store.executions.latest_of(handle.id)
    assert state is not None
    assert row is not None
    return state, await stored_state(town.store, row)


def overlaps(log: list[LogEntry]) -> set[tuple[str, str]]:
    """Return services whose faults overlapped, by the lab's log."""
    return {
        (min(first.service, second.service), max(first.service, second.service))
        for first, second in combinations([entry for entry in log if entry.kind is Kind.FAULT], 2)
        if checker.most_faults_at_once([first, second]) > 1
    }


@pytest.mark.exhaustive
@pytest.mark.timeout(300)
async def test_independent_services_are_broken_at_once_and_fail_as_they_do_alone(town: Town) -> None:
    """Four faults at once, no two on one path, give the same findings.

    Each service's row lists the faults beside its own.
    """
    town.hold_faults()
    handle = await town.start()
    await town.until_on(*FIRST)
    town.let_go()
    several = await handle.result()
    await town.lock_ended(handle)
    seen = await checker.look(town.lab.addresses.admin)
    assert checker.at_once(seen.log, faults=MOST, calls=CALLED) == []
    assert checker.most_faults_at_once(seen.log) == MOST
    assert [*checker.still_on(seen), *checker.by_itself(seen.log), *checker.done_twice(seen, once=ONCE)] == []
    state, stored = await told_by(town, handle)
    reported = {row.service: row.overlapped for row in state.injections}
    assert reported == {row.service: row.overlapped for row in stored.injections}
    # The pair is broken for real later, because a removed service gives no answer that a rule could repeat.
    overlapped = {(service, beside) for service in reported for beside in reported[service] if service < beside}
    assert overlapped >= overlaps(seen.log) - {("mail", "reviews")}
    assert not any(beside in CALLS[service] for service in reported for beside in reported[service])

    # A request would have met all four failures. None was sent, so the calls that each failure causes stay unknown.
    assert await town.store.calls.real_cases(several.execution_id) == []
    (calls,) = await town.store.calls.rounds(several.execution_id)
    assert (calls.complete, sorted(calls.unread)) == (False, sorted(CALLS))

    alone = await town.run(town.plan(safety={"max_active_faults": 1}))
    later = (await town.log())[len(seen.log) :]
    assert checker.at_once(later, faults=2, calls=CALLED) == []
    assert overlaps(later) == {("mail", "reviews")}
    assert await found_by(town, several) == await found_by(town, alone)
    assert [case.case_id for case in several.failed_cases] == ["mail+reviews"]
    assert several.recovery is Recovery.VERIFIED


@pytest.mark.parametrize("how", mostly_exhaustive(["terminate", "cancel", "abort"]))
async def test_ending_a_run_midway_closes_every_fault_and_injects_no_more(town: Town, how: str) -> None:
    ends: dict[str, Callable[[WorkflowHandle[Any, Any]], Awaitable[Any]]] = {
        "cancel": lambda handle: handle.cancel(),
        "abort": lambda handle: handle.execute_update(ABORT_UPDATE, "enough"),
        "terminate": lambda handle: handle.terminate(),
    }
    town.hold_faults()
    handle = await town.start()
    await town.until_on(*FIRST)
    await ends[how](handle)
    town.let_go()
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    if how != "terminate":
        assert not any((await town.broken()).values())
    report = await town.lock_ended(handle)
    assert report is not None
    assert report.recovery_verified
    seen = await checker.look(town.lab.addresses.admin)
    assert [*checker.still_on(seen), *checker.by_itself(seen.log)] == []
    assert await town.broken() == dict.fromkeys(FIRST, False)
    row = await town.store.executions.row(report.execution_id)
    assert row.recovery is Recovery.VERIFIED
    status = RunStatus.CANCELLED if how == "cancel" else RunStatus.FAILED
    code = {"cancel": None, "abort": ErrorCode.ABORTED, "terminate": ErrorCode.TERMINATED}[how]
    assert (row.run_status, row.error_code) == (status, code)


@pytest.mark.exhaustive
async def test_a_fault_that_cannot_be_closed_stops_further_injections(town: Town) -> None:
    """The other active faults are closed, though their replays would go on for long.

    The stuck fault is left unverified.
    """
    hanging = [
        Instruction(endpoint=Endpoint.REPLAY, action=Action.HANG, contains=f'"{name}"')
        for name in FIRST
        if name != "archive"
    ]
    lie = Instruction(endpoint=Endpoint.FAULT_DELETE, action=Action.LIE, contains="-archive-")
    town.lab.misbehave(Misbehaviour(instructions=[*hanging, lie]))
    handle = await town.start(town.plan(timeouts={"recovery": "1s", "stability": "5s"}))
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    assert await town.broken() == {name: name == "archive" for name in FIRST}
    report = await town.lock_ended(handle)
    assert report is not None
    assert not report.recovery_verified
    rows = await town.store.ledger.of(report.execution_id)
    assert {window.service: window.state for window in rows if window.kind is WindowKind.FAULT} == {
        name: LedgerState.UNVERIFIED if name == "archive" else LedgerState.CLOSED for name in FIRST
    }
    row = await town.store.executions.row(report.execution_id)
    assert (row.error_code, row.recovery) == (ErrorCode.RECOVERY_UNVERIFIED, Recovery.UNVERIFIED)
    assert "archive was not seen to recover" in row.error_message
    assert row.run_status is RunStatus.FAILED


@pytest.mark.exhaustive
async def test_a_paused_run_injects_no_new_fault(town: Town) -> None:
    """Active faults are captured and closed. The other services follow when the run is resumed."""
    town.hold_faults()
    handle = await town.start()
    await town.until_on(*FIRST)
    await handle.execute_update(PAUSE_UPDATE)
    town.let_go()
    await town.until_state(handle, lambda state: state.injections_completed == len(FIRST), "four reports")
    assert await town.broken() == dict.fromkeys(FIRST, False)
    await handle.execute_update(RESUME_UPDATE)
    summary = await handle.result()
    await town.lock_ended(handle)
    assert summary.recovery is Recovery.VERIFIED
    assert await town.broken() == dict.fromkeys(CALLS, False)
    assert checker.at_once(await town.log(), faults=MOST, calls=CALLED) == []


async def test_the_worker_limits_how_many_faults_a_plan_may_ask_for(town: Town) -> None:
    """A plan that asks for more is refused before anything is touched."""
    handle = await town.start(town.plan(safety={"max_active_faults": MOST + 1}))
    with pytest.raises(WorkflowFailureError) as raised:
        await handle.result()
    assert "safety.max_active_faults" in str(raised.value.cause)
    assert await town.log() == []
