"""Results in bulk: of cases that are not measured, and read by range."""

from __future__ import annotations

import asyncio

import pytest

from clients.store.read_models import CaseResult
from clients.store.repositories import results
from clients.store.store import Store
from domain.errors import ErrorCode, HoldfastError
from domain.executions.execution import Verdict
from domain.measuring.load import CaseOutcome, CaseType
from tests.support.store.counting import row_counts
from tests.support.store.samples import measured, new_execution, skipped, stored_case

CASES = 12


@pytest.fixture(autouse=True)
async def _cases(store: Store, run: int) -> None:
    await store.save_cases(run, map(stored_case, range(CASES)))


def indices(found: list[CaseResult]) -> list[int]:
    return [one.case_index for one in found]


async def test_unmeasured_cases_are_saved_in_bulk(store: Store, run: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them, each with its reason, from a generator and over several transactions."""
    monkeypatch.setattr(results, "CHUNK", 5)
    await store.save_unmeasured(run, (skipped(index, f"why {index}") for index in range(CASES)))
    found = await store.results(run)
    assert indices(found) == list(range(CASES))
    assert [one.reason for one in found] == [f"why {index}" for index in range(CASES)]
    assert {(one.outcome, one.measurement, one.verdict) for one in found} == {(CaseOutcome.SKIPPED, None, None)}


async def test_a_repetition_in_bulk_leaves_one_row_each(store: Store, other_store: Store, run: int) -> None:
    """From two workers at once, too; the last reason stands."""
    wanted = [skipped(index) for index in range(CASES)]
    await asyncio.gather(*(one.save_unmeasured(run, wanted) for one in (store, other_store, store)))
    await store.save_unmeasured(run, [skipped(3, "later"), skipped(3, "last")])
    assert (await row_counts(store, run))["test_result"] == CASES
    assert (await store.results_in(run, 3, 4))[0].reason == "last"


async def test_what_was_measured_stays_measured(store: Store, run: int) -> None:
    """Also when it was taken back, and in the middle of a bulk; the others are written."""
    await store.save_result(run, measured(1))
    await store.save_result(run, measured(2))
    await store.invalidate(run, [2], "the rules had vanished")
    await store.save_case_verdicts(run, {1: (Verdict.PASSED, "")})
    await store.save_unmeasured(run, [skipped(index) for index in range(4)])
    found = await store.results(run)
    assert [one.outcome for one in found] == [
        CaseOutcome.SKIPPED,
        CaseOutcome.MEASURED,
        CaseOutcome.INVALID,
        CaseOutcome.SKIPPED,
    ]
    assert (found[1].verdict, found[1].measurement) == (Verdict.PASSED, measured(1).measurement)
    assert (found[2].reason, found[2].measurement) == ("the rules had vanished", measured(2).measurement)


async def test_a_measurement_replaces_a_case_left_out_in_bulk(store: Store, run: int) -> None:
    """A run that goes on later measures what an earlier attempt had given up."""
    await store.save_unmeasured(run, [skipped(0)])
    await store.save_result(run, measured(0))
    assert (await store.results(run))[0].outcome is CaseOutcome.MEASURED


async def test_an_unknown_case_in_bulk_is_told_and_its_chunk_is_not_written(
    store: Store, run: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of a transaction or nothing; what an earlier one has written stays."""
    monkeypatch.setattr(results, "CHUNK", 2)
    for execution_id, bad, message in ((run, CASES, f"no case {CASES}"), (1, 0, "no execution 1")):
        with pytest.raises(HoldfastError, match=message) as raised:
            await store.save_unmeasured(execution_id, [skipped(0), skipped(1), skipped(2), skipped(bad)])
        assert raised.value.code is ErrorCode.NOT_FOUND
    assert indices(await store.results(run)) == [0, 1]


async def test_nothing_in_bulk_is_nothing(store: Store, run: int) -> None:
    """Not even a look whether the run is there."""
    await store.save_unmeasured(run, [])
    await store.save_unmeasured(1, iter(()))
    assert await store.results(run) == []


@pytest.mark.parametrize(
    ("first", "end", "expected"),
    [(0, CASES, [1, 3, 5, 7]), (3, 5, [3]), (3, 6, [3, 5]), (4, 5, []), (8, 99, []), (5, 3, []), (-5, 2, [1])],
)
async def test_results_are_read_by_range(store: Store, run: int, first: int, end: int, expected: list[int]) -> None:
    """From `first` up to, not including, `end`, in the order of cases; those without a result are left out."""
    for index in (7, 1, 5, 3):
        await store.save_result(run, measured(index))
    assert indices(await store.results_in(run, first, end)) == expected


async def test_ranges_together_are_everything(store: Store, run: int) -> None:
    """With the case of each, and of this run alone."""
    other = (await new_execution(store, "run-2")).execution_id
    await store.save_cases(other, map(stored_case, range(CASES)))
    await store.save_unmeasured(other, [skipped(index) for index in range(CASES)])
    await store.save_unmeasured(run, [skipped(index) for index in range(CASES)])
    await store.save_result(run, measured(2))
    pages = [await store.results_in(run, first, first + 5) for first in range(0, CASES, 5)]
    assert [one for page in pages for one in page] == await store.results(run)
    assert [one.case_type for one in pages[0]] == [CaseType.BASELINE, CaseType.SINGLE, *[CaseType.DUAL] * 3]
    assert pages[0][1].case_id == stored_case(1).case_id
    assert await store.results_in(1, 0, CASES) == []
