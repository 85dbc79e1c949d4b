"""Results in the store: a measurement is never lost."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest
from sqlalchemy import select

from clients.store.engine import reading
from clients.store.read_models import CaseResult
from clients.store.schema.tables import TestResult
from clients.store.store import Store
from domain.errors import ErrorCode, HoldfastError
from domain.executions.execution import Verdict
from domain.measuring.load import CaseOutcome, CaseType
from tests.support.store.counting import row_counts
from tests.support.store.samples import measured, measurement, skipped, stored_case

CASES = 8


@pytest.fixture(autouse=True)
async def _cases(store: Store, run: int) -> None:
    await store.cases.save(run, map(stored_case, range(CASES)))


async def one_result(store: Store, run: int) -> CaseResult:
    [found] = await store.results.all(run)
    return found


async def test_a_measured_result_is_read_back_unchanged(store: Store, run: int) -> None:
    """Every number, with the case that it belongs to."""
    await store.results.save(run, measured(2))
    found = await one_result(store, run)
    assert found == measured(2).model_copy(update={"case_id": "s0+s1", "case_type": CaseType.DUAL})


async def test_the_peers_columns_have_the_peers_meaning(store: Store, run: int) -> None:
    """p50, p95, p99 are whole milliseconds and err_rate is percent with two decimals, next to our own columns."""
    await store.results.save(run, measured())
    async with reading(store.engine) as work:
        row = (await work.execute(select(TestResult))).scalar_one()
    assert (row.p50, row.p95, row.p99, row.err_rate) == (4, 9, 11, Decimal("33.33"))
    assert (row.success_p50_us, row.success_max_us, row.errors_by_kind) == (4321, 12345, {"status 503": 1})


@pytest.mark.parametrize("outcome", [CaseOutcome.SKIPPED, CaseOutcome.INVALID])
async def test_a_case_that_was_not_measured_has_no_numbers(store: Store, run: int, outcome: CaseOutcome) -> None:
    """It has a reason, and null in place of each number."""
    await store.results.save(run, CaseResult(case_index=0, outcome=outcome, reason="why"))
    found = await one_result(store, run)
    assert (found.outcome, found.reason, found.measurement) == (outcome, "why", None)
    async with reading(store.engine) as work:
        row = (await work.execute(select(TestResult))).scalar_one()
    assert (row.p50, row.err_rate, row.requests, row.success_p50_us, row.duration_us) == (None,) * 5


async def test_a_case_has_one_result(store: Store, other_store: Store, run: int) -> None:
    """However often it is saved, and from however many workers."""
    await asyncio.gather(*(writer.results.save(run, measured(3)) for writer in (store, other_store) * 5))
    assert (await row_counts(store, run))["test_result"] == 1


async def test_a_measurement_is_never_lost(store: Store, run: int) -> None:
    """A skipped case may still be measured. A measured case cannot become skipped."""
    await store.results.save(run, skipped())
    await store.results.save(run, measured())
    await store.results.save(run, skipped())
    await store.results.save(run, CaseResult(case_index=0, outcome=CaseOutcome.INVALID, reason="too late"))
    found = await one_result(store, run)
    assert (found.outcome, found.reason, found.measurement) == (CaseOutcome.MEASURED, "", measurement())


async def test_an_invalidated_measurement_stays_invalid(store: Store, run: int) -> None:
    """A worker that was thought dead cannot make it valid again. Its numbers stay visible."""
    await store.results.save(run, measured())
    for reason in ("the rules were gone", "said again"):
        await store.results.invalidate(run, [0], reason)
    await store.results.save(run, measured(p50_ms=1))
    await store.results.save(run, skipped())
    await store.results.save_verdicts(run, {0: (Verdict.PASSED, "")})
    found = await one_result(store, run)
    assert (found.outcome, found.reason) == (CaseOutcome.INVALID, "the rules were gone")
    assert (found.verdict, found.measurement) == (None, measurement())


async def test_only_measured_cases_can_be_invalidated(store: Store, run: int) -> None:
    """Invalidating a batch leaves its skipped cases and other cases unchanged."""
    for result in (measured(0), measured(1), skipped(2)):
        await store.results.save(run, result)
    await store.results.invalidate(run, [0, 2], "gone")
    assert await store.results.finished(run, 0, CASES) == {
        0: CaseOutcome.INVALID,
        1: CaseOutcome.MEASURED,
        2: CaseOutcome.SKIPPED,
    }


async def test_finished_cases_are_listed_by_range(store: Store, run: int) -> None:
    """A repeated batch sees which of its own cases have a result, and none of other batches."""
    for index in (1, 3, 5):
        await store.results.save(run, measured(index))
    assert await store.results.finished(run, 1, 5) == {1: CaseOutcome.MEASURED, 3: CaseOutcome.MEASURED}


async def test_verdicts_are_saved_in_bulk(store: Store, run: int) -> None:
    """Each case gets its verdict and reason. Judging again replaces them. Results are in the order of cases."""
    for index in reversed(range(CASES)):
        await store.results.save(run, measured(index))
    for reason in ("first", "second"):
        await store.results.save_verdicts(run, {index: (Verdict.FAILED, f"{reason} {index}") for index in range(4)})
    results = await store.results.all(run)
    assert [result.case_index for result in results] == list(range(CASES))
    assert [result.reason for result in results[:4]] == [f"second {index}" for index in range(4)]
    assert [result.verdict for result in results] == [Verdict.FAILED] * 4 + [None] * 4


async def test_a_missing_case_or_result_is_not_found(store: Store, run: int) -> None:
    """Nothing is changed then."""
    await store.results.save(run, measured(0))
    for change in (
        store.results.save(run, measured(CASES)),
        store.results.save(1, measured(0)),
        store.results.invalidate(run, [0, 1], "gone"),
        store.results.save_verdicts(run, {0: (Verdict.FAILED, ""), 1: (Verdict.FAILED, "")}),
    ):
        with pytest.raises(HoldfastError) as raised:
            await change
        assert raised.value.code is ErrorCode.NOT_FOUND
    found = await one_result(store, run)
    assert (found.outcome, found.verdict) == (CaseOutcome.MEASURED, None)
