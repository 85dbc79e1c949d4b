"""What becomes of measured cases when they are judged: outcome, verdict, reason, and what it rests on."""

from __future__ import annotations

import pytest

from clients.store.store import Store
from tests.store.samples import measured, measurement, new_execution, skipped, stored_case
from workflows.contracts.calls import FoundBy
from workflows.contracts.errors import ErrorCode, HoldfastError
from workflows.contracts.execution import Ending, Phase, Recovery, RunStatus, Verdict
from workflows.contracts.load import CaseOutcome
from workflows.logic.real_verdicts import Settled

FAILED = Settled(CaseOutcome.MEASURED, Verdict.FAILED, "it broke", FoundBy.REAL_FAULTS)
PASSED = Settled(CaseOutcome.MEASURED, Verdict.PASSED, "", FoundBy.RULES)
INVALID = Settled(CaseOutcome.INVALID, None, "no rule answers GET /", None)


@pytest.fixture(autouse=True)
async def _cases(store: Store, run: int) -> None:
    await store.save_cases(run, map(stored_case, range(4)))
    for index in range(3):
        await store.save_result(run, measured(index))
    await store.save_result(run, skipped(3))


async def settled(store: Store, run: int) -> list[Settled]:
    return [Settled(one.outcome, one.verdict, one.reason, one.found_by) for one in await store.results(run)]


async def test_settled_cases_come_back_as_they_were(store: Store, run: int) -> None:
    """Judging again replaces a verdict; what is invalid or was skipped stays, and no number is lost."""
    await store.settle_cases(run, {0: PASSED, 1: FAILED, 2: INVALID})
    await store.settle_cases(run, {0: FAILED, 1: PASSED, 2: PASSED, 3: PASSED})
    left = Settled(CaseOutcome.SKIPPED, None, "no captured failure", None)
    assert await settled(store, run) == [FAILED, PASSED, INVALID, left]
    assert [one.measurement for one in await store.results(run)] == [measurement()] * 3 + [None]


async def test_only_cases_of_the_run_are_settled(store: Store, run: int) -> None:
    other = (await new_execution(store, "run-2")).execution_id
    await store.save_cases(other, map(stored_case, range(1)))
    await store.save_result(other, measured(0))
    await store.settle_cases(run, {0: INVALID})
    assert (await store.results(other))[0].outcome is CaseOutcome.MEASURED
    with pytest.raises(HoldfastError) as raised:
        await store.settle_cases(other, {0: INVALID, 1: INVALID})
    assert raised.value.code is ErrorCode.NOT_FOUND
    assert (await store.results(other))[0].outcome is CaseOutcome.MEASURED


async def test_cases_of_an_ended_run_stay_as_they_were(store: Store, run: int) -> None:
    await store.settle_cases(run, {0: FAILED})
    before = await settled(store, run)
    ending = Ending(execution_id=run, status=RunStatus.COMPLETED, phase=Phase.DONE, recovery=Recovery.VERIFIED)
    await store.finish(ending)
    with pytest.raises(HoldfastError) as raised:
        await store.settle_cases(run, {0: INVALID, 1: PASSED})
    assert raised.value.code is ErrorCode.STORE_CONFLICT
    assert await settled(store, run) == before
