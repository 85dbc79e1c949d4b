"""SIGKILL of the worker in every activity of every workflow of a run, enumerated; another worker goes on.

The run completes with the cases of an undisturbed run, nothing is injected or measured twice, and nothing stays on: by
the lab's own log (`checker.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
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
from tests.support.leaks.duo import FAULTS, LEFT, MOST_PATIENT, ONCE, PAIR, PATIENCE, REQUESTS, RIGHT, TOPOLOGY, Duo
from tests.support.leaks.fixtures import Undisturbed
from tests.support.leaks.places import KIND_OF, Moment, Place, windows_of
from tests.support.leaks.stages import Run

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


DEATHS_OF_A_RUN = 4
"""Most workers that die in one run, each at the next place of one workflow. Each further run would cost more."""


async def killed(
    temporal: Client, folder: Path, undisturbed: Undisturbed, places: Sequence[Place], moment: Moment
) -> tuple[int, list[str]]:
    """Try a run whose workers die at these places, one after the other, and are replaced.

    Returns how many of them died, and what is wrong in the end. A place may never come: what runs beside the earlier
    one may have passed it. The first always comes.
    """
    folder.mkdir(parents=True)
    async with (
        Lab(TOPOLOGY, settings=MOST_PATIENT, ports=PortChoice.FREE) as lab,
        Duo(temporal, lab, folder) as bench,
    ):
        if moment is Moment.AMID:
            lab.misbehave(AMID_WORK)
        handle = await bench.start()
        deaths = 0
        for place in places:
            if not await died(bench, await bench.dying_worker(str(place), moment), handle):
                break
            deaths += 1
        if not deaths:
            return 1, [f"the worker never came there: {bench.said[-2000:]}"]
        async with worker.running(temporal, bench.settings):
            try:
                summary = await handle.result()
            except WorkflowFailureError as error:
                return deaths, [f"the run did not complete: {error.cause}"]
            finally:
                await bench.lock_ended(handle)
        seen = await checker.look(lab.addresses.admin)
        windows = await windows_of(temporal, handle)
    found = [*checker.still_on(seen), *checker.at_once(seen.log, faults=FAULTS)]
    found += [*checker.unheld(seen.log, windows), *checker.by_itself(seen.log)]
    found += repeated(seen, undisturbed, places[:deaths], moment)
    if (summary.cases, summary.verdict) != (undisturbed.summary.cases, undisturbed.summary.verdict):
        found.append(f"other cases than an undisturbed run: {summary.cases}, {summary.verdict}")
    if summary.recovery is not Recovery.VERIFIED:
        found.append(f"recovery {summary.recovery} is not what the lab says")
    return deaths, found


async def died(bench: Duo, dying: asyncio.subprocess.Process, run: Run) -> bool:
    """Wait for a worker's death. False if it outlives the run and its lock."""

    async def everything_ends() -> None:
        with suppress(WorkflowFailureError):
            await run.result()
        await bench.lock_ended(run)

    death = asyncio.ensure_future(dying.wait())
    end = asyncio.ensure_future(everything_ends())
    await asyncio.wait([death, end], timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
    end.cancel()
    await asyncio.gather(end, return_exceptions=True)
    if death.done():
        return True
    dying.terminate()
    await death
    return False


def repeated(seen: checker.Seen, undisturbed: Undisturbed, places: Sequence[Place], moment: Moment) -> list[str]:
    """Find what these deaths caused to come on, or to be sent, more often than they may."""
    # Nobody knows whether a dead worker's call took place, so whatever exists of it is removed before it is repeated.
    begun = [] if moment is Moment.BEFORE else [place.activity for place in places]
    found = checker.done_twice(
        seen,
        spare_rules=begun.count("upsert_rules"),
        # The next worker is a process: if it starts too late, the proxy has forgotten the first analysis. That one is
        # then stopped before another begins, never beside it (`at_once`).
        spare_recordings=begun.count("start_recordings") + begun.count("start_analysis"),
        once=ONCE,
    )
    spare = sum(SENT_AGAIN.get((place.activity, moment), 0) for place in places)
    return found + checker.measured_otherwise(seen.counters, undisturbed.entry_baggage, spare=spare, question=STEADY)


async def all_killed(
    temporal: Client, folder: Path, undisturbed: Undisturbed, places: Sequence[Place], moment: Moment
) -> dict[str, list[str]]:
    """Kill a worker at each of these places, several in a run and some runs at a time.

    Returns what is wrong, by places.
    """
    slots = asyncio.Semaphore(AT_ONCE)
    wrong: dict[str, list[str]] = {}

    async def kill(name: str, places: Sequence[Place]) -> None:
        while places:
            async with slots:
                deaths, found = await killed(temporal, folder / f"{name}-{len(places)}", undisturbed, places, moment)
            if found:
                wrong[f"{', '.join(map(str, places[:deaths]))} {moment}"] = found
            places = places[deaths:]

    runs = [places[first : first + DEATHS_OF_A_RUN] for first in range(0, len(places), DEATHS_OF_A_RUN)]
    await asyncio.gather(*(kill(f"{number}-{moment}", run) for number, run in enumerate(runs)))
    return wrong


async def test_a_worker_killed_while_something_is_switched_on_costs_nothing(
    temporal: Client, tmp_path: Path, undisturbed: Undisturbed
) -> None:
    """A sample of the tests below, small enough for every day."""
    chosen = {(LEFT, "inject_fault"), ("", "upsert_rules")}
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
