"""Judging settles measured cases: outcome, verdict, reason and evidence."""

from __future__ import annotations

import pytest

from clients.store.store import Store
from domain.calls.model import FoundBy
from domain.cases.real_verdicts import Settled
from domain.errors import ErrorCode, HoldfastError
from domain.executions.execution import Ending, FinalStep, Recovery, RunStatus, Verdict
from domain.measuring.load import CaseOutcome
from tests.support.store.samples import measured, measurement, new_execution, skipped, stored_case

FAILED = Settled(CaseOutcome.MEASURED, Verdict.FAILED, "it broke", FoundBy.REAL_FAULTS)
PASSED = Settled(CaseOutcome.MEASURED, Verdict.PASSED, "", FoundBy.RULES)
INVALID = Settled(CaseOutcome.INVALID, None, "no rule answers GET /", None)


@pytest.fixture(autouse=True)
async def _cases(store: Store, run: int) -> None:
    await store.cases.save(run, map(stored_case, range(4)))
    for index in range(3):
        await store.results.save(run, measured(index))
    await store.results.save(run, skipped(3))


async def stored_verdicts(store: Store, run: int) -> list[Settled]:
    return [
        Settled(result.outcome, result.verdict, result.reason, result.found_by)
        for result in await store.results.all(run)
    ]


async def test_judging_again_replaces_verdicts_but_not_invalid_or_skipped_cases(store: Store, run: int) -> None:
    """No number is lost either."""
    await store.results.settle(run, {0: PASSED, 1: FAILED, 2: INVALID})
    await store.results.settle(run, {0: FAILED, 1: PASSED, 2: PASSED, 3: PASSED})
    left = Settled(CaseOutcome.SKIPPED, None, "no captured failure", None)
    assert await stored_verdicts(store, run) == [FAILED, PASSED, INVALID, left]
    assert [result.measurement for result in await store.results.all(run)] == [measurement()] * 3 + [None]


async def test_only_cases_of_the_run_are_settled(store: Store, run: int) -> None:
    second_run = (await new_execution(store, "run-2")).execution_id
    await store.cases.save(second_run, map(stored_case, range(1)))
    await store.results.save(second_run, measured(0))
    await store.results.settle(run, {0: INVALID})
    assert (await store.results.all(second_run))[0].outcome is CaseOutcome.MEASURED
    with pytest.raises(HoldfastError) as raised:
        await store.results.settle(second_run, {0: INVALID, 1: INVALID})
    assert raised.value.code is ErrorCode.NOT_FOUND
    assert (await store.results.all(second_run))[0].outcome is CaseOutcome.MEASURED


async def test_cases_of_an_ended_run_cannot_be_settled(store: Store, run: int) -> None:
    await store.results.settle(run, {0: FAILED})
    before = await stored_verdicts(store, run)
    ending = Ending(execution_id=run, status=RunStatus.COMPLETED, phase=FinalStep.DONE, recovery=Recovery.VERIFIED)
    await store.executions.finish(ending)
    with pytest.raises(HoldfastError) as raised:
        await store.results.settle(run, {0: INVALID, 1: PASSED})
    assert raised.value.code is ErrorCode.STORE_CONFLICT
    assert await stored_verdicts(store, run) == before
