"""Requests and failures found later are added to those of their service."""

from __future__ import annotations

import pytest

from clients.store.store import Store
from domain.calls.model import Call
from domain.errors import ErrorCode, HoldfastError
from domain.traffic.exchange import RecordedExchange
from tests.support.store.samples import answer, exchange


def places(exchanges: list[RecordedExchange]) -> list[tuple[int, str, str]]:
    return [(recorded.position, recorded.method, recorded.path) for recorded in exchanges]


async def test_later_requests_follow_the_recorded_ones(store: Store, run: int) -> None:
    await store.traffic.save_exchanges(run, [exchange(path="/a"), exchange(path="/b", position=4), exchange("cart")])
    await store.traffic.add_exchanges(run, "reviews", [exchange(path="/c"), exchange(path="/a", method="POST")])
    await store.traffic.add_exchanges(run, "ratings", [exchange("ratings", 7, path="/first")])
    found = await store.traffic.exchanges(run, "reviews")
    assert places(found) == [(0, "GET", "/a"), (4, "GET", "/b"), (5, "GET", "/c"), (6, "POST", "/a")]
    assert found[2] == exchange(path="/c", position=5)
    assert places(await store.traffic.exchanges(run, "ratings")) == [(0, "GET", "/first")]
    assert len(await store.traffic.exchanges(run, "cart")) == 1


async def test_a_known_request_is_not_added_again(store: Store, run: int) -> None:
    """Method and path decide, and the first recording stays. This includes paths that no database takes unchanged."""
    odd = exchange(path="/\0\ud83d")
    await store.traffic.save_exchanges(run, [exchange(path="/a", response_body="recorded")])
    for _ in range(2):
        await store.traffic.add_exchanges(
            run, "reviews", [exchange(path="/a"), odd, exchange(path="/b"), exchange(path="/b")]
        )
    found = await store.traffic.exchanges(run, "reviews")
    assert [recorded.path for recorded in found] == ["/a", "/\ufffd\ufffd", "/b"]
    assert found[0].response_body == "recorded"


async def test_a_repeated_analysis_keeps_later_requests(store: Store, run: int) -> None:
    await store.traffic.save_exchanges(run, [exchange(path="/a")])
    await store.traffic.add_exchanges(run, "reviews", [exchange(path="/b")])
    await store.traffic.save_exchanges(run, [exchange(path="/a", response_body="again")])
    assert [recorded.path for recorded in await store.traffic.exchanges(run, "reviews")] == ["/a", "/b"]


async def test_recorded_calls_of_all_services_are_listed(store: Store, run: int) -> None:
    await store.traffic.save_exchanges(run, [exchange(path="/a"), exchange("cart", path="/c")])
    await store.traffic.add_exchanges(run, "reviews", [exchange(path="/b", method="POST")])
    assert await store.traffic.recorded_calls(run) == [
        Call(service="cart", method="GET", path="/c"),
        Call(service="reviews", method="GET", path="/a"),
        Call(service="reviews", method="POST", path="/b"),
    ]


async def test_later_failures_keep_those_captured_before(store: Store, run: int) -> None:
    first = [answer("reviews", 0), answer("reviews", 1, path="/b")]
    later = [answer("reviews", 2, path="/c")]
    await store.traffic.save_captured(run, "remove", first)
    await store.traffic.save_captured(run, "remove", later)
    assert await store.traffic.captured(run) == [*first, *later]


async def test_requests_of_an_unknown_run_are_refused(store: Store) -> None:
    with pytest.raises(HoldfastError) as raised:
        await store.traffic.add_exchanges(1, "reviews", [exchange()])
    assert raised.value.code is ErrorCode.NOT_FOUND
    assert await store.traffic.recorded_calls(1) == []
