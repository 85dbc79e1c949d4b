"""Results in bulk: cases that are not measured, and results read by range."""

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
    await store.cases.save(run, map(stored_case, range(CASES)))


def indices(found: list[CaseResult]) -> list[int]:
    return [result.case_index for result in found]


async def test_unmeasured_cases_are_saved_in_bulk(store: Store, run: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them, each with its reason, from a generator and in several transactions."""
    monkeypatch.setattr(results, "CHUNK", 5)
    await store.results.save_unmeasured(run, (skipped(index, f"why {index}") for index in range(CASES)))
    found = await store.results.all(run)
    assert indices(found) == list(range(CASES))
    assert [result.reason for result in found] == [f"why {index}" for index in range(CASES)]
    assert {(result.outcome, result.measurement, result.verdict) for result in found} == {
        (CaseOutcome.SKIPPED, None, None)
    }


async def test_repeated_bulk_saves_leave_one_row_per_case(store: Store, other_store: Store, run: int) -> None:
    """Even from two workers at once. The last reason is kept."""
    wanted = [skipped(index) for index in range(CASES)]
    await asyncio.gather(*(writer.results.save_unmeasured(run, wanted) for writer in (store, other_store, store)))
    await store.results.save_unmeasured(run, [skipped(3, "later"), skipped(3, "last")])
    assert (await row_counts(store, run))["test_result"] == CASES
    assert (await store.results.between(run, 3, 4))[0].reason == "last"


async def test_a_bulk_save_keeps_measured_results(store: Store, run: int) -> None:
    """Even if invalidated, and in the middle of a bulk. The other cases are written."""
    await store.results.save(run, measured(1))
    await store.results.save(run, measured(2))
    await store.results.invalidate(run, [2], "the rules were gone")
    await store.results.save_verdicts(run, {1: (Verdict.PASSED, "")})
    await store.results.save_unmeasured(run, [skipped(index) for index in range(4)])
    found = await store.results.all(run)
    assert [result.outcome for result in found] == [
        CaseOutcome.SKIPPED,
        CaseOutcome.MEASURED,
        CaseOutcome.INVALID,
        CaseOutcome.SKIPPED,
    ]
    assert (found[1].verdict, found[1].measurement) == (Verdict.PASSED, measured(1).measurement)
    assert (found[2].reason, found[2].measurement) == ("the rules were gone", measured(2).measurement)


async def test_a_measurement_replaces_a_result_saved_as_unmeasured(store: Store, run: int) -> None:
    """A run that continues later measures cases that an earlier attempt had given up."""
    await store.results.save_unmeasured(run, [skipped(0)])
    await store.results.save(run, measured(0))
    assert (await store.results.all(run))[0].outcome is CaseOutcome.MEASURED


async def test_an_unknown_case_in_bulk_is_not_found_and_its_chunk_is_not_written(
    store: Store, run: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transaction is written completely or not at all. Earlier transactions stay."""
    monkeypatch.setattr(results, "CHUNK", 2)
    for execution_id, bad, message in ((run, CASES, f"no case {CASES}"), (1, 0, "no execution 1")):
        with pytest.raises(HoldfastError, match=message) as raised:
            await store.results.save_unmeasured(execution_id, [skipped(0), skipped(1), skipped(2), skipped(bad)])
        assert raised.value.code is ErrorCode.NOT_FOUND
    assert indices(await store.results.all(run)) == [0, 1]


async def test_an_empty_bulk_save_does_nothing(store: Store, run: int) -> None:
    """It does not even check whether the run exists."""
    await store.results.save_unmeasured(run, [])
    await store.results.save_unmeasured(1, iter(()))
    assert await store.results.all(run) == []


@pytest.mark.parametrize(
    ("first", "end", "expected"),
    [(0, CASES, [1, 3, 5, 7]), (3, 5, [3]), (3, 6, [3, 5]), (4, 5, []), (8, 99, []), (5, 3, []), (-5, 2, [1])],
)
async def test_results_are_read_by_range(store: Store, run: int, first: int, end: int, expected: list[int]) -> None:
    """From `first` up to, not including, `end`, in the order of cases. Cases without a result are left out."""
    for index in (7, 1, 5, 3):
        await store.results.save(run, measured(index))
    assert indices(await store.results.between(run, first, end)) == expected


async def test_consecutive_ranges_contain_every_result_once(store: Store, run: int) -> None:
    """With the case of each, and only of this run."""
    second_run = (await new_execution(store, "run-2")).execution_id
    await store.cases.save(second_run, map(stored_case, range(CASES)))
    await store.results.save_unmeasured(second_run, [skipped(index) for index in range(CASES)])
    await store.results.save_unmeasured(run, [skipped(index) for index in range(CASES)])
    await store.results.save(run, measured(2))
    pages = [await store.results.between(run, first, first + 5) for first in range(0, CASES, 5)]
    assert [result for page in pages for result in page] == await store.results.all(run)
    assert [result.case_type for result in pages[0]] == [CaseType.BASELINE, CaseType.SINGLE, *[CaseType.DUAL] * 3]
    assert pages[0][1].case_id == stored_case(1).case_id
    assert await store.results.between(1, 0, CASES) == []
