"""SIGKILL of the worker in every activity of every workflow of a run, enumerated; a second worker goes on.

The run completes with the cases of an undisturbed run, nothing is injected or measured twice, and nothing stays on: by
the lab's own log (`checker.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import Client, WorkflowFailureError

import worker
from clients.settings import Settings
from domain.executions.execution import Recovery
from domain.names import WorkflowType
from lab import Action, Endpoint, Instruction, Lab, Misbehaviour, PortChoice
from tests.support.leaks import checker
from tests.support.leaks.aftermath import AT_ONCE
from tests.support.leaks.duo import FAULTS, LEFT, ONCE, PAIR, PATIENCE, PATIENT, REQUESTS, RIGHT, TOPOLOGY, Duo
from tests.support.leaks.fixtures import Undisturbed
from tests.support.leaks.places import KIND_OF, Moment, Place, windows_of

SLOW = [Endpoint.ANALYZE, Endpoint.RECORDING_START, Endpoint.EXECUTE, Endpoint.REPLAY, Endpoint.UPSERT]
SLOW += [Endpoint.RECORDING_STOP, Endpoint.FAULT_DELETE, Endpoint.FIXTURE_DELETE]
AMID_WORK = Misbehaviour(instructions=[Instruction(endpoint=one, action=Action.SLOW, seconds=0.8) for one in SLOW])
"""Peers that act only after the worker that called them has died."""

STEADY = 3
"""Requests of a steady-state check, which is no case."""

SENT_AGAIN = {
    ("measure_batch", Moment.AMID): REQUESTS,
    ("check_steady_state", Moment.AFTER): STEADY,
    ("verify_environment", Moment.AFTER): STEADY,
}
"""Places where a death causes requests to be sent again.

They are those of the case in flight, or of a steady-state check.
"""

STORE_ONLY = {"record_intent", "update_ledger", "change_phase"}
"""Activities that call no peer."""

WORKFLOWS = [name for name in WorkflowType if name is not WorkflowType.SWEEPER]
WINDOWS = [*KIND_OF, WorkflowType.LOAD_PAGE, WorkflowType.PAIRS_WINDOW]
FAULT_WINDOWS = [LEFT, RIGHT, f"{RIGHT}/2", f"{PAIR}/{LEFT}", f"{PAIR}/{RIGHT}", f"{RIGHT}/3"]
"""The fault windows of a run.

Each service alone, the service called when left fails, the pair, and the service called only when the pair fails.
"""
KILLED_WINDOWS = [LEFT, f"{RIGHT}/2", f"{PAIR}/{LEFT}"]
"""One fault window of each sort: a service's own fault, a later capture, a pair's fault.

The others run the same activities of the same workflow, in the same order. Each place costs a whole run.
"""


def each_window(workflows: Iterable[WorkflowType]) -> list[tuple[WorkflowType, str]]:
    """List workflows, with each sort of window where a run has several of one kind."""
    return [
        (workflow, window)
        for workflow in workflows
        for window in (KILLED_WINDOWS if workflow is WorkflowType.FAULT_WINDOW else [""])
    ]


async def killed(temporal: Client, folder: Path, undisturbed: Undisturbed, place: Place, moment: Moment) -> list[str]:
    """Try a run whose worker dies at a place and is replaced.

    Returns what is wrong in the end.
    """
    folder.mkdir()
    async with (
        Lab(TOPOLOGY, settings=PATIENT, ports=PortChoice.FREE) as lab,
        Duo(temporal, lab, folder) as bench,
    ):
        if moment is Moment.AMID:
            lab.misbehave(AMID_WORK)
        dying = await bench.dying_worker(str(place), moment)
        handle = await bench.start()
        try:
            await asyncio.wait_for(dying.wait(), PATIENCE)
        except TimeoutError:
            return [f"the worker never came there: {bench.said[-2000:]}"]
        async with worker.running(temporal, bench.settings):
            try:
                summary = await handle.result()
            except WorkflowFailureError as error:
                return [f"the run did not complete: {error.cause}"]
            finally:
                await bench.lock_ended(handle)
        seen = await checker.look(lab.addresses.admin)
        windows = await windows_of(temporal, handle)
    # Nobody knows whether a dead worker's call took place, so whatever exists of it is removed before it is repeated.
    begun = moment is not Moment.BEFORE
    spare_rules, spare_recordings = [
        int(begun and place.activity == name) for name in ("upsert_rules", "start_recordings")
    ]
    found = [*checker.still_on(seen), *checker.at_once(seen.log, faults=FAULTS)]
    found += checker.done_twice(seen, spare_rules=spare_rules, spare_recordings=spare_recordings, once=ONCE)
    found += [*checker.unheld(seen.log, windows), *checker.by_itself(seen.log)]
    spare = SENT_AGAIN.get((place.activity, moment), 0)
    found += checker.measured_otherwise(seen.counters, undisturbed.entry_baggage, spare=spare, question=STEADY)
    if (summary.cases, summary.verdict) != (undisturbed.summary.cases, undisturbed.summary.verdict):
        found.append(f"other cases than an undisturbed run: {summary.cases}, {summary.verdict}")
    if summary.recovery is not Recovery.VERIFIED:
        found.append(f"recovery {summary.recovery} is not what the lab says")
    return found


async def all_killed(
    temporal: Client, folder: Path, undisturbed: Undisturbed, places: list[Place], moment: Moment
) -> dict[str, list[str]]:
    """Kill a worker at each of these places, some runs at a time.

    Returns what is wrong, by place.
    """
    slots = asyncio.Semaphore(AT_ONCE)

    async def kill(number: int, place: Place) -> list[str]:
        async with slots:
            return await killed(temporal, folder / f"{number}-{moment}", undisturbed, place, moment)

    found = await asyncio.gather(*(kill(number, place) for number, place in enumerate(places)))
    return {f"{place} {moment}": wrong for place, wrong in zip(places, found, strict=True) if wrong}


async def test_a_worker_killed_while_something_is_switched_on_costs_nothing(
    temporal: Client, tmp_path: Path, undisturbed: Undisturbed
) -> None:
    """A sample of the tests below, small enough for every day."""
    chosen = {(LEFT, "inject_fault"), ("", "start_recordings"), (f"{RIGHT}/2", "capture_calls"), ("", "upsert_rules")}
    places = [place for place in undisturbed.places if (place.window, place.activity) in chosen]
    assert len(places) == len(chosen)
    assert await all_killed(temporal, tmp_path, undisturbed, places, Moment.AMID) == {}


ELSEWHERE = {"describe_holder", "await_lock_free", "finish_execution", "exclude_cases", "sweep"}
ELSEWHERE |= {"compare_pair", "note_unchecked_pair", "conclude_pairs", "create_record", "change_step"}
"""Not part of an undisturbed run: see `test_kills_elsewhere.py`."""

LOOKING = {"describe_others", "await_others_gone"}
"""Only with workers of different settings. They read ledger and server, so a repetition costs nothing."""


async def test_every_activity_is_covered_by_a_kill(
    temporal: Client, tmp_path: Path, undisturbed: Undisturbed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Including activities added later: the composition root lists them."""
    known: set[str | None] = set()
    build = worker.build_activities

    def noted(*arguments: Any, **more: Any) -> worker.Activities:
        built = build(*arguments, **more)
        known.update(
            activity._Definition.must_from_callable(function).name for function in [*built.control, *built.load]
        )
        return built

    monkeypatch.setattr(worker, "build_activities", noted)
    database = f"sqlite+aiosqlite:///{tmp_path}/holdfast.db"
    async with worker.running(temporal, Settings(database_url=database, task_queue=tmp_path.name, sweeper=False)):
        assert {place.window for place in undisturbed.places} == {"", *FAULT_WINDOWS}
        assert known == {place.activity for place in undisturbed.places} | ELSEWHERE | LOOKING


@pytest.mark.exhaustive
@pytest.mark.timeout(600)
@pytest.mark.parametrize("moment", [Moment.BEFORE, Moment.AFTER])
@pytest.mark.parametrize(("workflow", "window"), each_window(WORKFLOWS))
async def test_a_worker_killed_in_any_activity_costs_nothing(
    temporal: Client, tmp_path: Path, undisturbed: Undisturbed, workflow: WorkflowType, window: str, moment: Moment
) -> None:
    places = [place for place in undisturbed.places if (place.workflow, place.window) == (workflow, window)]
    assert places, workflow
    assert await all_killed(temporal, tmp_path, undisturbed, places, moment) == {}


@pytest.mark.exhaustive
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("workflow", "window"), each_window(WINDOWS))
async def test_a_worker_killed_while_its_peers_work_costs_nothing(
    temporal: Client, tmp_path: Path, undisturbed: Undisturbed, workflow: WorkflowType, window: str
) -> None:
    """What it asked for comes on, or goes off, after its death."""
    at_peers = [place for place in undisturbed.places if place.activity not in STORE_ONLY]
    places = [place for place in at_peers if (place.workflow, place.window) == (workflow, window)]
    assert places, workflow
    assert await all_killed(temporal, tmp_path, undisturbed, places, Moment.AMID) == {}
