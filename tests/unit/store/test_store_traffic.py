"""Recorded and captured exchanges in the store."""

from __future__ import annotations

import pytest

from clients.store.store import Store
from domain.errors import ErrorCode, HoldfastError
from tests.support.store.counting import row_counts
from tests.support.store.samples import answer, exchange


async def test_exchanges_are_read_back_unchanged_by_service_and_position(store: Store, run: int) -> None:
    written = [exchange(position=position) for position in (2, 0, 1)]
    await store.traffic.save_exchanges(run, [*written, exchange("cart")])
    assert await store.traffic.exchanges(run, "reviews") == sorted(written, key=lambda recorded: recorded.position)
    assert await store.traffic.exchanges(run, "nobody") == []


async def test_a_repeated_recording_replaces_the_earlier_one(store: Store, run: int) -> None:
    """A repeated analysis leaves one row per service and position, with the later content."""
    await store.traffic.save_exchanges(run, [exchange()])
    await store.traffic.save_exchanges(run, [exchange(response_body="later"), exchange(response_body="last")])
    assert [recorded.response_body for recorded in await store.traffic.exchanges(run, "reviews")] == ["last"]
    assert (await row_counts(store, run))["request_pattern"] == 1


async def test_captured_answers_are_read_back_unchanged(store: Store, run: int) -> None:
    """Flags included. A repeated capture leaves one row each."""
    written = [answer("cart", no_effect=True), answer("reviews", 0), answer("reviews", 1, substituted=False)]
    for _ in range(2):
        await store.traffic.save_captured(run, "remove", written)
    assert await store.traffic.captured(run) == written
    assert (await row_counts(store, run))["intercept_replay_result"] == 3


async def test_empty_lists_are_saved_without_rows(store: Store, run: int) -> None:
    await store.traffic.save_exchanges(run, [])
    await store.traffic.save_captured(run, "remove", [])
    await store.traffic.save_propagation(run, {})
    await store.cases.save_tokens(run, {})
    await store.cases.save(run, [])
    await store.results.invalidate(run, [], "nothing")
    await store.results.save_verdicts(run, {})
    assert sum((await row_counts(store, run)).values()) == 1


async def test_every_answer_of_a_peer_can_be_stored(store: Store, run: int) -> None:
    """NUL, half a surrogate pair, an emoji, a megabyte and an address of any length do not stop a run."""
    body = "a\0b\ud83dc\U0001f600" + "x" * 1_000_000
    odd = exchange(response_body=body, url="http://h/" + "u" * 5000, path="/" + "p" * 5000, method="M" * 40)
    await store.traffic.save_exchanges(run, [odd])
    [found] = await store.traffic.exchanges(run, "reviews")
    assert found.response_body == "a\ufffdb\ufffdc\U0001f600" + "x" * 1_000_000
    assert (found.url, found.path, found.method) == (odd.url, odd.path, odd.method)
    headers = {"X-Odd": "a\0b\ud83d"}
    await store.traffic.save_captured(run, "remove", [answer(headers=headers, error_message="\0")])
    assert (await store.traffic.captured(run))[0].headers == headers


async def test_propagation_is_stored_per_service(store: Store, run: int) -> None:
    """The store keeps whether the marker reached a service, even if nothing was recorded of it.

    A repetition replaces it.
    """
    await store.traffic.save_propagation(run, {"reviews": False, "cart": True})
    await store.traffic.save_propagation(run, {"reviews": True})
    assert await store.traffic.propagation(run) == {"cart": True, "reviews": True}
    assert (await row_counts(store, run))["recorded_service"] == 2


async def test_traffic_of_an_unknown_run_is_not_found(store: Store) -> None:
    for saving in (
        store.traffic.save_exchanges(1, [exchange()]),
        store.traffic.save_captured(1, "remove", [answer()]),
        store.traffic.save_propagation(1, {"reviews": True}),
    ):
        with pytest.raises(HoldfastError) as raised:
            await saving
        assert raised.value.code is ErrorCode.NOT_FOUND
