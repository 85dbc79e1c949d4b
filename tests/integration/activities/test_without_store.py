"""Closing is done while the store is read-only, locked, gone or silent, and its log lines wait."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from activities.recovery import bookkeeping
from activities.recovery.bookkeeping import Memory, Notes, in_time
from activities.stages.rules import RulesActivities
from clients.store.read_models import LogLevel
from domain.errors import ErrorCode, HoldfastError
from domain.executions.windows import Closing
from domain.faults.driving import FaultIntent
from domain.faults.model import FaultOrder
from domain.measuring.load import RulesOrder
from domain.traffic.summary import RecordingsOrder
from tests.support.activities.permits import own_fault_name
from tests.support.activities.stage import Stage

DOWN = HoldfastError(ErrorCode.STORE_UNAVAILABLE, "the database did not answer")

TTL = timedelta(minutes=10)


class AwayRepository:
    """A repository whose every method raises, or never returns."""

    def __init__(self, *, silent: bool) -> None:
        self._silent = silent

    def __getattr__(self, _: str) -> Any:
        async def asked(*_: object) -> None:
            if self._silent:
                await asyncio.Event().wait()
            raise DOWN

        return asked


class Away:
    """A store of which no repository answers."""

    def __init__(self, *, silent: bool) -> None:
        self._silent = silent

    def __getattr__(self, _: str) -> AwayRepository:
        return AwayRepository(silent=self._silent)

    async def close(self) -> None:
        """Do nothing: a store can be closed."""


@asynccontextmanager
async def away(stage: Stage, *, silent: bool) -> AsyncIterator[None]:
    """Replace the store, once the run is known, with one that does not answer."""
    await stage.tools.subject(stage.execution.execution_id)
    real = stage.tools.store
    stage.tools.store = Away(silent=silent)  # type: ignore[assignment]
    stage.tools.notes._store = stage.tools.store
    try:
        yield
    finally:
        stage.tools.store = real
        stage.tools.notes._store = real


def known_fault(stage: Stage, name: str = "") -> FaultOrder:
    """Build the order to remove a fault that was seen active.

    Without a name it is the fault of the run's own window.
    """
    service = stage.plan.services[0].name
    name = name or own_fault_name(stage.execution, service)
    return FaultOrder(execution_id=stage.execution.execution_id, service=service, fault_name=name, known_to_exist=True)


@pytest.fixture(params=[False, True], ids=["refusing", "silent"])
def silent(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setattr(bookkeeping, "PATIENCE", 0.05)
    return bool(request.param)


async def test_a_fault_is_removed_without_the_store(stage: Stage, silent: bool) -> None:
    service = stage.plan.services[0]
    name = own_fault_name(stage.execution, service.name)
    intent = FaultIntent(fault=service.fault, service=service.name, namespace=stage.plan.system.namespace)
    await stage.tools.faults(stage.plan).inject(name, TTL, intent)
    order = known_fault(stage)
    async with away(stage, silent=silent):
        assert await stage.do(stage.faults.recover, order) == Closing(verified=True)
        assert stage.lab.state().faults == {}
    await stage.tools.notes.write()
    lines = [entry.message for entry in await stage.tools.store.logs.of(stage.execution.execution_id)]
    assert lines == [f"{name} is gone from {service.name}"]


async def test_another_runs_fault_is_not_removed_while_the_store_is_away(stage: Stage, silent: bool) -> None:
    """The name does not identify the run, so only the ledger could confirm the owner. The error is retryable."""
    service = stage.plan.services[0]
    intent = FaultIntent(fault=service.fault, service=service.name, namespace=stage.plan.system.namespace)
    await stage.tools.faults(stage.plan).inject("hf-1-another", TTL, intent)
    async with away(stage, silent=silent):
        with pytest.raises(ApplicationError) as caught:
            await stage.do(stage.faults.recover, known_fault(stage, "hf-1-another"))
    assert (caught.value.type, caught.value.non_retryable) == (ErrorCode.STORE_UNAVAILABLE, False)
    assert set(stage.lab.state().faults) == {"hf-1-another"}


async def test_recordings_are_stopped_without_the_store(stage: Stage, silent: bool) -> None:
    async with away(stage, silent=silent):
        # If the analysis may still be running, its task cannot be identified without the store: absence must last.
        order = RecordingsOrder(execution_id=stage.execution.execution_id, analysis_over=silent)
        assert await stage.do(stage.traffic.stop, order) == Closing(verified=True)


async def test_rules_are_removed_and_verified_without_the_store(stage: Stage, silent: bool) -> None:
    services = stage.plan.service_names[:2]
    order = RulesOrder(execution_id=stage.execution.execution_id, services=services, known_to_be_on=True)
    async with away(stage, silent=silent):
        assert await stage.do(RulesActivities(stage.tools).remove, order) == Closing(verified=True)


async def test_a_database_locked_by_another_process_does_not_delay_closing(stage: Stage) -> None:
    """With a real SQLite lock: reads go on, and the log line waits until the lock is gone."""
    await stage.tools.subject(stage.execution.execution_id)
    order = known_fault(stage)
    connection = sqlite3.connect(str(stage.tools.store.engine.url.database), isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    try:
        assert await stage.do(stage.faults.recover, order) == Closing(verified=True)
    finally:
        connection.execute("ROLLBACK")
        connection.close()
    await stage.tools.notes.write()
    assert await stage.tools.store.logs.of(stage.execution.execution_id)


async def test_an_unknown_run_is_not_guessed(stage: Stage) -> None:
    """A "not found" from the store is final: memory stands in only for a store that cannot be asked."""
    memory: Memory[str] = Memory()
    memory.keep(1, "known")

    async def refused() -> str:
        raise HoldfastError(ErrorCode.NOT_FOUND, "no such run")

    async def down() -> str:
        raise DOWN

    assert await memory.or_known(1, down()) == "known"
    for execution_id, asked in ((1, refused()), (2, down())):
        with pytest.raises(HoldfastError):
            await memory.or_known(execution_id, asked)


async def test_notes_and_memory_that_wait_for_the_store_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bookkeeping, "MOST_KEPT", 3)
    notes, memory = Notes(Away(silent=False)), Memory[int]()  # type: ignore[arg-type]
    for number in range(10):
        await notes.add(1, f"key {number}", LogLevel.INFO, "line")
        memory.keep(number, number)
    assert len(notes._waiting) == len(memory._known) == 3
    with pytest.raises(HoldfastError):
        await in_time(Away(silent=False).logs.add())
