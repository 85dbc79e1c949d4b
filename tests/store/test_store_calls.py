"""Fallback calls, real answers and rounds of discovery come back as they were, and a repetition leaves one row each."""

from __future__ import annotations

import pytest

from clients.store.store import Store
from tests.store.counting import row_counts
from tests.store.samples import measurement, stored_case
from workflows.contracts.calls import CallRound, FallbackCall, RealAnswer, RealCase
from workflows.contracts.errors import ErrorCode, HoldfastError

LISTING = FallbackCall(
    case_index=1, service="catalog", method="GET", path="/listprices/1", times=2, healthy_times=1, new=True, round=1
)
ANSWERS = [RealAnswer(status=500, body="no"), RealAnswer(status=None, error="timeout")]


def real_case(index: int, *answers: RealAnswer) -> RealCase:
    return RealCase(case_index=index, answers=list(answers) or ANSWERS, measurement=measurement())


async def test_calls_come_back_as_they_were_and_in_order(store: Store, run: int) -> None:
    others = [
        LISTING.model_copy(update={"case_index": 2, "new": False, "reason": "it has an id of its own"}),
        LISTING.model_copy(update={"method": "POST"}),
        LISTING.model_copy(update={"path": "/a"}),
        LISTING.model_copy(update={"service": "basket"}),
    ]
    await store.save_calls(run, [*others, LISTING])
    assert await store.calls(run) == [others[3], others[2], LISTING, others[1], others[0]]


async def test_a_call_seen_again_replaces_what_was_known_of_it(store: Store, run: int) -> None:
    captured = LISTING.model_copy(update={"times": 3, "round": 2, "new": False, "reason": "x"})
    await store.save_calls(run, [LISTING])
    await store.save_calls(run, [captured])
    assert await store.calls(run) == [captured]


async def test_paths_of_any_length_and_content_are_kept_apart(store: Store, run: int) -> None:
    """They are too long for an index, and PostgreSQL takes neither NUL nor half a surrogate pair."""
    long = "/" + "x" * 10_000
    calls = [LISTING.model_copy(update={"path": path}) for path in (long + "1", long + "2", "/a\0\ud83d")]
    for _ in range(2):
        await store.save_calls(run, calls)
    found = [call.path for call in await store.calls(run)]
    assert sorted(found) == sorted([long + "1", long + "2", "/a\ufffd\ufffd"])
    # What was read can be written again.
    await store.save_calls(run, await store.calls(run))
    assert (await row_counts(store, run))["fallback_call"] == 3


async def test_the_first_real_answers_of_a_case_stay(store: Store, run: int) -> None:
    await store.save_cases(run, map(stored_case, range(3)))
    await store.save_real_case(run, real_case(2))
    await store.save_real_case(run, real_case(1))
    await store.save_real_case(run, real_case(2, RealAnswer(status=200, body="later")))
    assert await store.real_cases(run) == [real_case(1), real_case(2)]


async def test_real_answers_of_no_case_are_refused(store: Store, run: int) -> None:
    with pytest.raises(HoldfastError) as raised:
        await store.save_real_case(run, real_case(9))
    assert raised.value.code is ErrorCode.NOT_FOUND


async def test_a_round_that_is_repeated_replaces_the_earlier_one(store: Store, run: int) -> None:
    second = CallRound(round=2, complete=False, detail="the proxy was gone", unread=["cart", "reviews"])
    await store.save_call_round(run, second)
    await store.save_call_round(run, CallRound(round=1, complete=False, detail="it began"))
    await store.save_call_round(run, CallRound(round=1, complete=True))
    assert await store.call_rounds(run) == [CallRound(round=1, complete=True), second]


async def test_runs_have_calls_of_their_own(store: Store, run: int) -> None:
    await store.save_calls(run, [LISTING])
    await store.save_call_round(run, CallRound(round=1, complete=True))
    assert (await store.calls(run + 1), await store.real_cases(run + 1), await store.call_rounds(run + 1)) == (
        [],
        [],
        [],
    )
    for saving in (
        store.save_calls(run + 1, [LISTING]),
        store.save_real_case(run + 1, real_case(0)),
        store.save_call_round(run + 1, CallRound(round=1, complete=True)),
    ):
        with pytest.raises(HoldfastError) as raised:
            await saving
        assert raised.value.code is ErrorCode.NOT_FOUND
