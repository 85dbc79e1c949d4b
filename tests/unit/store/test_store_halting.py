"""The flag that refuses new runs."""

from __future__ import annotations

import asyncio

from clients.store.store import Store
from domain.executions.execution import Ending, Phase, Recovery, RunStatus
from tests.support.store.samples import new_execution


async def test_everyone_who_uses_the_store_sees_it(store: Store, other_store: Store) -> None:
    """One flag, however often it is set: the first time, the last reason."""
    assert await store.halted() is None
    first = await store.halt("a fire", "ada")
    assert (first.reason, first.by) == ("a fire", "ada")
    again = await asyncio.gather(*(one.halt("two fires", "bob") for one in (store, other_store) * 3))
    assert {one.since for one in again} == {first.since}
    assert await other_store.halted() == again[0]
    assert str(again[0]).endswith("Z by bob: two fires")


async def test_it_is_taken_back_once(store: Store, other_store: Store) -> None:
    """And whoever does so is told what it was."""
    set_now = await store.halt("a fire", "ada")
    assert await other_store.unhalt() == set_now
    assert await store.unhalt() is None
    assert await store.halted() is None


async def test_runs_whose_end_is_not_written_are_all_listed(store: Store) -> None:
    """Whoever halts must not miss one."""
    done, under_way = await new_execution(store), await new_execution(store, "run-2")
    ending = Ending(
        execution_id=done.execution_id,
        status=RunStatus.COMPLETED,
        phase=Phase.DONE,
        recovery=Recovery.VERIFIED,
    )
    await store.finish(ending)
    assert [row.execution_id for row in await store.unfinished_executions()] == [under_way.execution_id]
