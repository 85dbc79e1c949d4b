"""Requests and failures that are met later are added to those that a service has."""

from __future__ import annotations

import pytest

from clients.store.store import Store
from tests.store.samples import answer, exchange
from workflows.contracts.calls import Call
from workflows.contracts.errors import ErrorCode, HoldfastError
from workflows.contracts.exchange import RecordedExchange


def places(exchanges: list[RecordedExchange]) -> list[tuple[int, str, str]]:
    return [(one.position, one.method, one.path) for one in exchanges]


async def test_later_requests_come_after_those_that_were_recorded(store: Store, run: int) -> None:
    await store.save_exchanges(run, [exchange(path="/a"), exchange(path="/b", position=4), exchange("cart")])
    await store.add_exchanges(run, "reviews", [exchange(path="/c"), exchange(path="/a", method="POST")])
    await store.add_exchanges(run, "ratings", [exchange("ratings", 7, path="/first")])
    found = await store.exchanges(run, "reviews")
    assert places(found) == [(0, "GET", "/a"), (4, "GET", "/b"), (5, "GET", "/c"), (6, "POST", "/a")]
    assert found[2] == exchange(path="/c", position=5)
    assert places(await store.exchanges(run, "ratings")) == [(0, "GET", "/first")]
    assert len(await store.exchanges(run, "cart")) == 1


async def test_a_request_that_is_there_is_not_added_again(store: Store, run: int) -> None:
    """By method and path; what was recorded first stays. Also paths that no database takes as they are."""
    odd = exchange(path="/\0\ud83d")
    await store.save_exchanges(run, [exchange(path="/a", response_body="recorded")])
    for _ in range(2):
        await store.add_exchanges(run, "reviews", [exchange(path="/a"), odd, exchange(path="/b"), exchange(path="/b")])
    found = await store.exchanges(run, "reviews")
    assert [one.path for one in found] == ["/a", "/\ufffd\ufffd", "/b"]
    assert found[0].response_body == "recorded"


async def test_a_repeated_analysis_leaves_later_requests(store: Store, run: int) -> None:
    await store.save_exchanges(run, [exchange(path="/a")])
    await store.add_exchanges(run, "reviews", [exchange(path="/b")])
    await store.save_exchanges(run, [exchange(path="/a", response_body="again")])
    assert [one.path for one in await store.exchanges(run, "reviews")] == ["/a", "/b"]


async def test_recorded_calls_of_all_services_are_listed(store: Store, run: int) -> None:
    await store.save_exchanges(run, [exchange(path="/a"), exchange("cart", path="/c")])
    await store.add_exchanges(run, "reviews", [exchange(path="/b", method="POST")])
    assert await store.recorded_calls(run) == [
        Call(service="cart", method="GET", path="/c"),
        Call(service="reviews", method="GET", path="/a"),
        Call(service="reviews", method="POST", path="/b"),
    ]


async def test_later_failures_leave_those_that_were_captured(store: Store, run: int) -> None:
    first = [answer("reviews", 0), answer("reviews", 1, path="/b")]
    later = [answer("reviews", 2, path="/c")]
    await store.save_captured(run, "remove", first)
    await store.save_captured(run, "remove", later)
    assert await store.captured(run) == [*first, *later]


async def test_requests_of_an_unknown_run_are_refused(store: Store) -> None:
    with pytest.raises(HoldfastError) as raised:
        await store.add_exchanges(1, "reviews", [exchange()])
    assert raised.value.code is ErrorCode.NOT_FOUND
    assert await store.recorded_calls(1) == []
