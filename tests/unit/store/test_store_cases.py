"""Cases and tokens in the store."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from clients.store.read_models import StoredCase
from clients.store.store import Store
from domain.errors import ErrorCode, HoldfastError
from domain.measuring.load import Case, CaseType
from tests.support.store.counting import row_counts
from tests.support.store.samples import stored_case

MANY = 5_000


async def test_five_thousand_cases_are_saved_from_a_stream_and_read_by_page(store: Store, run: int) -> None:
    """None is read twice and none is missing."""
    await store.cases.save(run, (stored_case(index) for index in range(MANY)))
    pages = [await store.cases.range(run, first, first + 700) for first in range(0, MANY, 700)]
    assert [case.index for page in pages for case in page] == list(range(MANY))
    assert await store.cases.counts(run) == {CaseType.BASELINE: 1, CaseType.SINGLE: 1, CaseType.DUAL: MANY - 2}


async def test_cases_are_read_back_unchanged_by_range(store: Store, run: int) -> None:
    """A range includes its first index and excludes its end. A case has its id, type and services."""
    await store.cases.save(run, map(stored_case, range(5)))
    wanted = [Case.model_validate(stored_case(index).model_dump()) for index in (1, 2)]
    assert await store.cases.range(run, 1, 3) == wanted
    assert await store.cases.range(run, 5, 9) == []


async def test_repeated_and_interrupted_saves_complete_each_other(store: Store, other_store: Store, run: int) -> None:
    """Two workers save the same cases after an interrupted attempt, which leaves one row per case."""

    def broken_off() -> Iterator[StoredCase]:
        yield from (stored_case(index) for index in range(1500))
        raise ConnectionAbortedError

    with pytest.raises(ConnectionAbortedError):
        await store.cases.save(run, broken_off())
    await asyncio.gather(*(writer.cases.save(run, map(stored_case, range(2500))) for writer in (store, other_store)))
    assert (await row_counts(store, run))["test_cases"] == 2500


async def test_each_service_has_one_token(store: Store, run: int) -> None:
    """A repetition replaces the token of a service and leaves the others."""
    await store.cases.save_tokens(run, {"b": "chaos.b-remove=1", "a": "old"})
    await store.cases.save_tokens(run, {"a": "chaos.a-remove=1"})
    assert await store.cases.tokens(run) == {"a": "chaos.a-remove=1", "b": "chaos.b-remove=1"}
    assert (await row_counts(store, run))["baggage_map"] == 2


async def test_an_unknown_run_is_read_as_empty_but_cannot_be_written(store: Store) -> None:
    assert await store.cases.range(1, 0, 10) == []
    assert await store.cases.counts(1) == {}
    assert await store.cases.tokens(1) == {}
    with pytest.raises(HoldfastError) as raised:
        await store.cases.save_tokens(1, {"a": "b"})
    assert raised.value.code is ErrorCode.NOT_FOUND
