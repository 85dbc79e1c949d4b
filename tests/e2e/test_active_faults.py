"""Several faults at once: only where the plan and the worker allow it, and never two on one call path.

The lab's own log says which faults were on when, and its topology who calls whom; our plan, ledger and status do not.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle

from lab import Action, Endpoint, Instruction, Kind, Lab, LogEntry, Misbehaviour, PortChoice, Topology
from reports.stored import stored_state
from tests.e2e.bench import Bench, until
from tests.e2e.conftest import QUICK
from tests.leaks import checker
from worker import running
from workflows.contracts.errors import ErrorCode
from workflows.contracts.execution import Recovery, RunStatus, RunSummary
from workflows.contracts.status import RunState
from workflows.contracts.windows import LedgerState, WindowKind
from workflows.names import ABORT_UPDATE, PAUSE_UPDATE, RESUME_UPDATE

MOST = 4
"""Faults that may be on at once."""

CALLED: dict[str, list[str]] = {
    "front": ["cart", "help", "mail", "search", "reviews"],
    "cart": ["stock"],
    "stock": ["archive"],
    "archive": [],
    "help": [],
    "mail": [],
    "search": ["gate"],
    # Not under test: whoever is behind it is on one path with whoever is before it all the same.
    "gate": ["index"],
    "index": [],
    "reviews": [],
}
"""Who calls whom, in truth."""

CALLS = {name: CALLED[name] for name in CALLED if name not in ("front", "gate")} | {"search": ["index"]}
"""The same as a plan says it."""

FIRST = ["archive", "help", "index", "mail"]
"""The first four that can be broken at once, in the plan's order: the cart must wait, and reviews would be one more."""


def _service(name: str) -> dict[str, Any]:
    calls = [
        {"service": one, "path": f"/api/{one}", "timeout": "5s", "fallback": {"source": "fallback"}}
        for one in CALLED[name]
    ]
    return {"name": name, "routes": [{"path": f"/api/{name}", "body": {"of": name}}], "calls": calls}


# Planted: each is optional, but not both.
WEAK = {**_service("front"), "needs_one_of": [["mail", "reviews"]]}
TOPOLOGY = Topology.model_validate(
    {"namespace": "town", "entry": "front", "services": [WEAK, *(_service(name) for name in CALLED if name != "front")]}
)

ONCE = checker.ONCE | {Kind.FAULT: 2}
"""How often something comes on in one service: its fault, and that of a pair whose failures are no answers."""

NOT_RUNNING = {"success": True, "data": {"phase": "Initialized", "status": {"phase": "Initialized", "expStatuses": []}}}


class Town(Bench):
    """A bench for it, whose worker allows as many faults."""

    def __init__(self, temporal: Client, lab: Lab, folder: Path) -> None:
        super().__init__(temporal, lab, folder)
        self.settings = self.settings.model_copy(update={"max_active_faults": MOST})

    def plan(self, **changes: Any) -> dict[str, Any]:
        """Everything but the entry and the gate fails, each in its way."""
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
            # One pair is enough to see that nothing is lost.
            "exclude": [f"{name}+*" for name in CALLS if name not in ("mail", "reviews")],
            "safety": {"max_active_faults": MOST},
            # Longer than any machine needs until a test has seen them on, and lets go.
            "timeouts": {"fault_running": "5m"},
        } | changes

    async def log(self) -> list[LogEntry]:
        """Everything that was ever on, by the lab."""
        return (await checker.look(self.lab.addresses.admin)).log

    async def broken(self) -> dict[str, bool]:
        """The services that were ever broken, and whether they still are."""
        return {one.service: one.off_at is None for one in await self.log() if one.kind is Kind.FAULT}

    async def until_on(self, *services: str) -> None:
        """Wait until so many faults are on; that they are in these, and nowhere else, the log says."""

        async def look() -> bool:
            return list(self.lab.state().faults.values()).count("Running") == len(services)

        await until(look, f"faults in {', '.join(services)}")
        assert await self.broken() == dict.fromkeys(services, True)

    def hold_faults(self) -> None:
        """None is told to be running, so that it stays on until somebody says otherwise."""
        hold = Instruction(endpoint=Endpoint.FAULT_STATUS, action=Action.REPLACE, body=NOT_RUNNING)
        self.lab.misbehave(Misbehaviour(instructions=[hold]))

    def let_go(self) -> None:
        """The peers behave again."""
        self.lab.misbehave(Misbehaviour())


@pytest.fixture
async def town(temporal: Client, tmp_path: Path) -> AsyncIterator[Town]:
    """Its lab, a store, and a worker in this process."""
    patient = QUICK.model_copy(update={"hang_limit": 300})
    async with Lab(TOPOLOGY, settings=patient, ports=PortChoice.FREE) as lab:
        bench = Town(temporal, lab, tmp_path)
        async with running(temporal, bench.settings), bench:
            yield bench


async def found_by(town: Town, summary: RunSummary) -> dict[str, Any]:
    """What a run is for: how each service fails, and what becomes of each case."""
    run = summary.execution_id
    captured = {(one.service, one.position): (one.status, one.substituted) for one in await town.store.captured(run)}
    cases = {one.case_id: (one.outcome, one.verdict) for one in await town.store.results(run)}
    return {"verdict": summary.verdict, "captured": captured, "cases": cases}


async def told_by(town: Town, handle: WorkflowHandle[Any, Any]) -> tuple[RunState, RunState]:
    """How the run's query and how the store tells of it."""
    state = await town.status(handle)
    row = await town.store.latest_execution_of(handle.id)
    assert state is not None
    assert row is not None
    return state, await stored_state(town.store, row)


def overlaps(log: list[LogEntry]) -> set[tuple[str, str]]:
    """Services whose faults were on at once, by the lab's log."""
    return {
        (min(one.service, other.service), max(one.service, other.service))
        for one, other in combinations([one for one in log if one.kind is Kind.FAULT], 2)
        if checker.most_faults_at_once([one, other]) > 1
    }


@pytest.mark.exhaustive
@pytest.mark.timeout(300)
async def test_independent_services_are_broken_at_once_and_fail_as_they_do_alone(town: Town) -> None:
    """Four at once, no two on one path, the same is found; and whoever reads of one is told what was on beside it."""
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
    told = {one.service: one.overlapped for one in state.injections}
    assert told == {one.service: one.overlapped for one in stored.injections}
    # The pair is really broken later on, because its failures are no answers.
    overlapped = {(one, other) for one in told for other in told[one] if one < other}
    assert overlapped >= overlaps(seen.log) - {("mail", "reviews")}
    assert not any(other in CALLS[one] for one in told for other in told[one])

    # A request would have got the failures of all four, so none was sent, and pairs are not taken for known.
    assert await town.store.real_cases(several.execution_id) == []
    (calls,) = await town.store.call_rounds(several.execution_id)
    assert (calls.complete, sorted(calls.unread)) == (False, sorted(CALLS))

    alone = await town.run(town.plan(safety={"max_active_faults": 1}))
    later = (await town.log())[len(seen.log) :]
    assert checker.at_once(later, faults=2, calls=CALLED) == []
    assert overlaps(later) == {("mail", "reviews")}
    assert await found_by(town, several) == await found_by(town, alone)
    assert [one.case_id for one in several.failed_cases] == ["mail+reviews"]
    assert several.recovery is Recovery.VERIFIED


@pytest.mark.parametrize("how", ["cancel", "abort", "terminate"])
async def test_an_end_in_the_middle_closes_all_of_them_and_begins_no_other(town: Town, how: str) -> None:
    """However it comes; what is then on is closed and verified."""
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
    row = await town.store.execution_row(report.execution_id)
    assert row.recovery is Recovery.VERIFIED
    status = RunStatus.CANCELLED if how == "cancel" else RunStatus.FAILED
    code = {"cancel": None, "abort": ErrorCode.ABORTED, "terminate": ErrorCode.TERMINATED}[how]
    assert (row.run_status, row.error_code) == (status, code)


async def test_after_a_fault_that_cannot_be_closed_no_other_begins(town: Town) -> None:
    """Those that are on are closed, though their replays would go on for long; its own stays told as what it is."""
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
    rows = await town.store.ledger_of(report.execution_id)
    assert {one.service: one.state for one in rows if one.kind is WindowKind.FAULT} == {
        name: LedgerState.UNVERIFIED if name == "archive" else LedgerState.CLOSED for name in FIRST
    }
    row = await town.store.execution_row(report.execution_id)
    assert (row.error_code, row.recovery) == (ErrorCode.RECOVERY_UNVERIFIED, Recovery.UNVERIFIED)
    assert "archive was not seen to recover" in row.error_message
    assert row.run_status is RunStatus.FAILED


async def test_nothing_begins_while_a_run_is_paused(town: Town) -> None:
    """What is on is captured and closed; the others begin when it is resumed."""
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


async def test_the_worker_bounds_what_a_plan_may_ask_for(town: Town) -> None:
    """One more than it allows, and nothing is touched."""
    handle = await town.start(town.plan(safety={"max_active_faults": MOST + 1}))
    with pytest.raises(WorkflowFailureError) as raised:
        await handle.result()
    assert "safety.max_active_faults" in str(raised.value.cause)
    assert await town.log() == []
