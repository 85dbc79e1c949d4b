"""The ledger never forgets an open window."""

from __future__ import annotations

import asyncio
import itertools
from datetime import timedelta

import pytest

from clients.store.store import Store
from domain.errors import ErrorCode, HoldfastError
from domain.executions.windows import SETTLED, LedgerState, WindowKind
from tests.support.store.samples import MOMENT, entry, move, new_execution


async def test_a_repeated_intent_leaves_one_row(store: Store, other_store: Store, run: int) -> None:
    """As it was first written, from however many workers."""
    row = entry(run)
    await asyncio.gather(*(writer.ledger.intent(row) for writer in (store, other_store) * 5))
    assert await store.ledger.of(run) == [row]
    assert (await store.ledger.of(run))[0].close_by == MOMENT


async def test_a_row_has_the_times_of_its_window(store: Store, run: int) -> None:
    """Whether windows were open at once is judged by their own clock.

    Only a row without times gets the store's time.
    """
    given, without = entry(run), entry(run, window_id="fault/1/x", created_at=None, updated_at=None)
    for row in (given, without):
        await store.ledger.intent(row)
    ended = MOMENT + timedelta(seconds=7)
    await store.ledger.update(move(given, LedgerState.CLOSED).model_copy(update={"at": ended}))
    await store.ledger.update(move(without, LedgerState.CLOSED))
    times = {row.window_id: {row.created_at, row.updated_at} for row in await store.ledger.of(run)}
    assert times[given.window_id] == {MOMENT, ended}
    assert not times["fault/1/x"] & {None, MOMENT, ended}


@pytest.mark.parametrize("end", SETTLED)
async def test_a_settled_row_stays_settled(store: Store, run: int, end: LedgerState) -> None:
    """No later update changes it, and its names cannot be used for a new intent."""
    row = entry(run)
    await store.ledger.intent(row)
    await store.ledger.update(move(row, end, "seen off"))
    for state in LedgerState:
        await store.ledger.update(move(row, state, "too late"))
    [settled] = await store.ledger.of(run)
    assert (settled.state, settled.detail) == (end, "seen off")
    with pytest.raises(HoldfastError) as raised:
        await store.ledger.intent(row)
    assert raised.value.code is ErrorCode.STORE_CONFLICT
    assert await store.ledger.unsettled() == []


@pytest.mark.parametrize(
    ("earlier", "later"),
    list(
        itertools.combinations(
            [LedgerState.INTENT, LedgerState.OPEN, LedgerState.CLOSING, LedgerState.UNVERIFIED, LedgerState.CLOSED], 2
        )
    ),
)
async def test_the_state_of_a_window_only_moves_forward(
    store: Store, run: int, earlier: LedgerState, later: LedgerState
) -> None:
    """A delayed update cannot return a window to an earlier state."""
    row = entry(run)
    await store.ledger.intent(row)
    for state in (earlier, later, earlier):
        await store.ledger.update(move(row, state))
    [found] = await store.ledger.of(run)
    assert found.state is later


async def test_updates_keep_the_peer_name_and_the_last_detail(store: Store, run: int) -> None:
    """An update without a detail keeps the existing one. An update to the same state may add a new one."""
    row = entry(run)
    await store.ledger.intent(row)
    await store.ledger.update(move(row, LedgerState.OPEN, "first"))
    await store.ledger.update(move(row, LedgerState.OPEN))
    [found] = await store.ledger.of(run)
    assert (found.detail, found.peer_name) == ("first", row.peer_name)
    await store.ledger.intent(row)
    await store.ledger.update(move(row, LedgerState.UNVERIFIED, "one"))
    await store.ledger.update(move(row, LedgerState.UNVERIFIED, "two"))
    assert [unsettled.detail for unsettled in await store.ledger.unsettled()] == ["two"]


async def test_an_intent_with_a_different_peer_name_is_refused(store: Store, run: int) -> None:
    """Nothing is switched on under a name that the ledger does not have."""
    await store.ledger.intent(entry(run))
    with pytest.raises(HoldfastError) as raised:
        await store.ledger.intent(entry(run, peer_name="hf-1-reviews-0-2"))
    assert raised.value.code is ErrorCode.STORE_CONFLICT


async def test_an_update_without_an_intent_is_not_found(store: Store, run: int) -> None:
    """Neither for an unknown window, nor for an unknown run of a window."""
    row = entry(run)
    await store.ledger.intent(row)
    for stranger in (entry(run, window_id="fault/1/x"), entry(run, run_id="another")):
        with pytest.raises(HoldfastError) as raised:
            await store.ledger.update(move(stranger, LedgerState.CLOSED))
        assert raised.value.code is ErrorCode.NOT_FOUND


async def test_an_intent_of_an_unknown_run_is_not_found(store: Store) -> None:
    """A window without a run cannot be recorded, so nothing may be switched on for it."""
    with pytest.raises(HoldfastError) as raised:
        await store.ledger.intent(entry(1))
    assert raised.value.code is ErrorCode.NOT_FOUND


async def test_unsettled_windows_of_all_runs_are_listed(store: Store, run: int) -> None:
    """Oldest first, with every run of a window."""
    second_run = (await new_execution(store, "run-2")).execution_id
    first, second = entry(run), entry(run, run_id="window-run-2", peer_name="hf-1-reviews-1-1")
    third = entry(second_run, window_id=f"rules/{second_run}", kind=WindowKind.RULES, service="")
    for row in (first, second, third):
        await store.ledger.intent(row)
    await store.ledger.update(move(first, LedgerState.CLOSED))
    assert [unsettled.run_id for unsettled in await store.ledger.unsettled()] == ["window-run-2", "window-run-1"]
    assert [unsettled.window_id for unsettled in await store.ledger.of(second_run)] == [third.window_id]
