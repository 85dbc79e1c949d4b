"""Fallback calls, real answers and rounds of discovery are read back unchanged, one row each despite repetitions."""

from __future__ import annotations

import pytest

from clients.store.store import Store
from domain.calls.model import CallRound, FallbackCall, RealAnswer, RealCase
from domain.errors import ErrorCode, HoldfastError
from tests.support.store.counting import row_counts
from tests.support.store.samples import measurement, stored_case

LISTING = FallbackCall(
    case_index=1, service="catalog", method="GET", path="/listprices/1", times=2, healthy_times=1, new=True, round=1
)
ANSWERS = [RealAnswer(status=500, body="no"), RealAnswer(status=None, error="timeout")]


def real_case(index: int, *answers: RealAnswer) -> RealCase:
    return RealCase(case_index=index, answers=list(answers) or ANSWERS, measurement=measurement())


async def test_calls_are_read_back_unchanged_and_in_order(store: Store, run: int) -> None:
    variants = [
        LISTING.model_copy(update={"case_index": 2, "new": False, "reason": "it has an id of its own"}),
        LISTING.model_copy(update={"method": "POST"}),
        LISTING.model_copy(update={"path": "/a"}),
        LISTING.model_copy(update={"service": "basket"}),
    ]
    await store.calls.save(run, [*variants, LISTING])
    assert await store.calls.all(run) == [variants[3], variants[2], LISTING, variants[1], variants[0]]


async def test_a_repeated_call_replaces_the_earlier_one(store: Store, run: int) -> None:
    captured = LISTING.model_copy(update={"times": 3, "round": 2, "new": False, "reason": "x"})
    await store.calls.save(run, [LISTING])
    await store.calls.save(run, [captured])
    assert await store.calls.all(run) == [captured]


async def test_paths_of_any_length_and_content_stay_distinct(store: Store, run: int) -> None:
    """They are too long for an index, and PostgreSQL takes neither NUL nor half a surrogate pair."""
    long = "/" + "x" * 10_000
    calls = [LISTING.model_copy(update={"path": path}) for path in (long + "1", long + "2", "/a\0\ud83d")]
    for _ in range(2):
        await store.calls.save(run, calls)
    found = [call.path for call in await store.calls.all(run)]
    assert sorted(found) == sorted([long + "1", long + "2", "/a\ufffd\ufffd"])
    # Calls that were read can be written again.
    await store.calls.save(run, await store.calls.all(run))
    assert (await row_counts(store, run))["fallback_call"] == 3


async def test_the_first_real_answers_of_a_case_are_kept(store: Store, run: int) -> None:
    await store.cases.save(run, map(stored_case, range(3)))
    await store.calls.save_real_case(run, real_case(2))
    await store.calls.save_real_case(run, real_case(1))
    await store.calls.save_real_case(run, real_case(2, RealAnswer(status=200, body="later")))
    assert await store.calls.real_cases(run) == [real_case(1), real_case(2)]


async def test_real_answers_of_an_unknown_case_are_refused(store: Store, run: int) -> None:
    with pytest.raises(HoldfastError) as raised:
        await store.calls.save_real_case(run, real_case(9))
    assert raised.value.code is ErrorCode.NOT_FOUND


async def test_a_repeated_round_replaces_the_earlier_one(store: Store, run: int) -> None:
    second = CallRound(round=2, complete=False, detail="the proxy was gone", unread=["cart", "reviews"])
    await store.calls.save_round(run, second)
    await store.calls.save_round(run, CallRound(round=1, complete=False, detail="it began"))
    await store.calls.save_round(run, CallRound(round=1, complete=True))
    assert await store.calls.rounds(run) == [CallRound(round=1, complete=True), second]


async def test_each_run_has_its_own_calls(store: Store, run: int) -> None:
    await store.calls.save(run, [LISTING])
    await store.calls.save_round(run, CallRound(round=1, complete=True))
    assert (
        await store.calls.all(run + 1),
        await store.calls.real_cases(run + 1),
        await store.calls.rounds(run + 1),
    ) == (
        [],
        [],
        [],
    )
    for saving in (
        store.calls.save(run + 1, [LISTING]),
        store.calls.save_real_case(run + 1, real_case(0)),
        store.calls.save_round(run + 1, CallRound(round=1, complete=True)),
    ):
        with pytest.raises(HoldfastError) as raised:
            await saving
        assert raised.value.code is ErrorCode.NOT_FOUND
