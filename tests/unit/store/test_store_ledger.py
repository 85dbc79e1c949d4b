"""The ledger: what is on must never be forgotten."""

from __future__ import annotations

import asyncio
import itertools
from datetime import timedelta

import pytest

from clients.store.store import Store
from domain.errors import ErrorCode, HoldfastError
from domain.executions.windows import SETTLED, LedgerState, WindowKind
from tests.support.store.samples import MOMENT, entry, move, new_execution


async def test_an_intent_is_one_row(store: Store, other_store: Store, run: int) -> None:
    """A repeated intent leaves one row, as it was first written, from however many workers."""
    row = entry(run)
    await asyncio.gather(*(one.ledger_intent(row) for one in (store, other_store) * 5))
    assert await store.ledger_of(run) == [row]
    assert (await store.ledger_of(run))[0].close_by == MOMENT


async def test_a_row_has_the_times_of_its_window(store: Store, run: int) -> None:
    """Two windows were open at once or not by one clock, theirs; only who has none gets the store's time."""
    given, without = entry(run), entry(run, window_id="fault/1/x", created_at=None, updated_at=None)
    for row in (given, without):
        await store.ledger_intent(row)
    ended = MOMENT + timedelta(seconds=7)
    await store.ledger_update(move(given, LedgerState.CLOSED).model_copy(update={"at": ended}))
    await store.ledger_update(move(without, LedgerState.CLOSED))
    times = {row.window_id: {row.created_at, row.updated_at} for row in await store.ledger_of(run)}
    assert times[given.window_id] == {MOMENT, ended}
    assert not times["fault/1/x"] & {None, MOMENT, ended}


@pytest.mark.parametrize("end", SETTLED)
async def test_a_settled_row_stays_settled(store: Store, run: int, end: LedgerState) -> None:
    """No later update moves a settled row, and its names cannot be used for another intent."""
    row = entry(run)
    await store.ledger_intent(row)
    await store.ledger_update(move(row, end, "seen off"))
    for state in LedgerState:
        await store.ledger_update(move(row, state, "too late"))
    [settled] = await store.ledger_of(run)
    assert (settled.state, settled.detail) == (end, "seen off")
    with pytest.raises(HoldfastError) as raised:
        await store.ledger_intent(row)
    assert raised.value.code is ErrorCode.STORE_CONFLICT
    assert await store.ledger_unsettled() == []


@pytest.mark.parametrize(
    ("earlier", "later"),
    list(
        itertools.combinations(
            [LedgerState.INTENT, LedgerState.OPEN, LedgerState.CLOSING, LedgerState.UNVERIFIED, LedgerState.CLOSED], 2
        )
    ),
)
async def test_states_only_move_forward(store: Store, run: int, earlier: LedgerState, later: LedgerState) -> None:
    """A delayed update cannot take a window back to an earlier state."""
    row = entry(run)
    await store.ledger_intent(row)
    for state in (earlier, later, earlier):
        await store.ledger_update(move(row, state))
    [found] = await store.ledger_of(run)
    assert found.state is later


async def test_details_and_peer_names_are_kept(store: Store, run: int) -> None:
    """An update without a detail leaves the one that is there, and every one the name; the same state may say more."""
    row = entry(run)
    await store.ledger_intent(row)
    await store.ledger_update(move(row, LedgerState.OPEN, "first"))
    await store.ledger_update(move(row, LedgerState.OPEN))
    [found] = await store.ledger_of(run)
    assert (found.detail, found.peer_name) == ("first", row.peer_name)
    await store.ledger_intent(row)
    await store.ledger_update(move(row, LedgerState.UNVERIFIED, "one"))
    await store.ledger_update(move(row, LedgerState.UNVERIFIED, "two"))
    assert [one.detail for one in await store.ledger_unsettled()] == ["two"]


async def test_an_intent_under_another_name_is_refused(store: Store, run: int) -> None:
    """Nothing is switched on under a name that the ledger does not have."""
    await store.ledger_intent(entry(run))
    with pytest.raises(HoldfastError) as raised:
        await store.ledger_intent(entry(run, peer_name="hf-1-reviews-0-2"))
    assert raised.value.code is ErrorCode.STORE_CONFLICT


async def test_an_update_without_an_intent_is_told(store: Store, run: int) -> None:
    """An update of a window, or of a run of it, that never wrote its intent says NOT_FOUND."""
    row = entry(run)
    await store.ledger_intent(row)
    for stranger in (entry(run, window_id="fault/1/x"), entry(run, run_id="another")):
        with pytest.raises(HoldfastError) as raised:
            await store.ledger_update(move(stranger, LedgerState.CLOSED))
        assert raised.value.code is ErrorCode.NOT_FOUND


async def test_an_intent_of_an_unknown_run_is_told(store: Store) -> None:
    """A window without a run cannot be written down, and nothing may be switched on for it."""
    with pytest.raises(HoldfastError) as raised:
        await store.ledger_intent(entry(1))
    assert raised.value.code is ErrorCode.NOT_FOUND


async def test_what_is_on_is_found_over_all_runs(store: Store, run: int) -> None:
    """Unsettled windows of every run are listed, oldest first, and every run of a window."""
    other = (await new_execution(store, "run-2")).execution_id
    first, second = entry(run), entry(run, run_id="window-run-2", peer_name="hf-1-reviews-1-1")
    third = entry(other, window_id=f"rules/{other}", kind=WindowKind.RULES, service="")
    for row in (first, second, third):
        await store.ledger_intent(row)
    await store.ledger_update(move(first, LedgerState.CLOSED))
    assert [one.run_id for one in await store.ledger_unsettled()] == ["window-run-2", "window-run-1"]
    assert [one.window_id for one in await store.ledger_of(other)] == [third.window_id]
