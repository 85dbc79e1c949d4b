"""What an undisturbed run on the two-service lab does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.client import Client

from domain.resilience.model import ResilienceSummary
from lab import Lab, PortChoice
from operations.processes.worker_process import private_bytecode_cache
from tests.support.leaks import checker
from tests.support.leaks.duo import FAULTS, MOST_PATIENT, ONCE, TOPOLOGY, Duo
from tests.support.leaks.places import Part, Place, parts_of
from worker import running


@pytest.fixture(scope="session", autouse=True)
def _bytecode() -> Iterator[None]:
    """Keep bytecode as a worker's process does.

    Workers run in this process, and every run imports the workflows anew.
    """
    with private_bytecode_cache():
        yield


@dataclass(frozen=True)
class Undisturbed:
    """What a run does without any trouble."""

    parts: list[Part]
    summary: ResilienceSummary
    entry_baggage: dict[str, int]
    """Requests at the entry, by baggage header.

    That of the analysis is left out, because it names its run.
    """

    @property
    def places(self) -> list[Place]:
        """Every activity of every workflow, in the order in which they were scheduled."""
        scheduled = {place: at for part in self.parts for place, at in part.places.items()}
        return sorted(scheduled, key=scheduled.__getitem__)

    def begins(self, activity: str) -> timedelta:
        """Return when the first activity of this name is scheduled.

        It is counted from the run's beginning.
        """
        times = [at for part in self.parts for place, at in part.places.items() if place.activity == activity]
        return min(times) - self.parts[0].begun


@pytest.fixture(scope="session")
async def undisturbed(temporal: Client, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """One run from beginning to end."""
    folder: Path = tmp_path_factory.mktemp("undisturbed")
    async with Lab(TOPOLOGY, settings=MOST_PATIENT, ports=PortChoice.FREE) as lab:
        bench = Duo(temporal, lab, folder)
        async with running(temporal, bench.settings), bench:
            handle = await bench.start()
            summary = await handle.result()
            await bench.lock_ended(handle)
            parts = [part async for part in parts_of(temporal, handle)]
            seen = await checker.look(lab.addresses.admin)
    windows = [part.window for part in parts if part.window is not None]
    assert [*checker.still_on(seen), *checker.at_once(seen.log, faults=FAULTS)] == []
    assert checker.done_twice(seen, once=ONCE) == []
    assert [*checker.unheld(seen.log, windows), *checker.by_itself(seen.log)] == []
    return Undisturbed(parts, summary, checker.cases_in(seen.counters))
