"""The halt flag, which refuses new runs."""

from __future__ import annotations

import asyncio

from clients.store.store import Store
from domain.executions.execution import Ending, FinalStep, Recovery, RunStatus
from tests.support.store.samples import new_execution


async def test_a_halt_is_visible_to_all_users_of_the_store(store: Store, other_store: Store) -> None:
    """However often it is set, there is one flag, with the first time and the last reason."""
    assert await store.halting.halted() is None
    first = await store.halting.halt("a fire", "ada")
    assert (first.reason, first.by) == ("a fire", "ada")
    again = await asyncio.gather(*(writer.halting.halt("two fires", "bob") for writer in (store, other_store) * 3))
    assert {halt.since for halt in again} == {first.since}
    assert await other_store.halting.halted() == again[0]
    assert str(again[0]).endswith("Z by bob: two fires")


async def test_a_halt_is_lifted_once(store: Store, other_store: Store) -> None:
    """Lifting it returns the halt."""
    set_now = await store.halting.halt("a fire", "ada")
    assert await other_store.halting.unhalt() == set_now
    assert await store.halting.unhalt() is None
    assert await store.halting.halted() is None


async def test_every_run_without_an_ending_is_listed(store: Store) -> None:
    """An operator who halts must not miss one."""
    done, under_way = await new_execution(store), await new_execution(store, "run-2")
    ending = Ending(
        execution_id=done.execution_id,
        status=RunStatus.COMPLETED,
        phase=FinalStep.DONE,
        recovery=Recovery.VERIFIED,
    )
    await store.executions.finish(ending)
    assert [row.execution_id for row in await store.executions.unfinished()] == [under_way.execution_id]
