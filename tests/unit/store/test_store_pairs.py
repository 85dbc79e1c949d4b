"""The answers of pairs with two real faults are stored once and read back unchanged."""

from __future__ import annotations

import pytest

from clients.store.read_models import CheckedPair
from clients.store.store import Store
from domain.errors import ErrorCode, HoldfastError
from domain.executions.execution import Verdict
from domain.pairs.fidelity import PairFinding, PairOutcome
from tests.support.store.samples import measurement, stored_case

DISAGREED = CheckedPair(
    case_index=2,
    finding=PairFinding(
        case_id="s0+s1",
        outcome=PairOutcome.DISAGREED,
        status_agrees=True,
        body_agrees=False,
        verdict_agrees=True,
        differs=["body at $.a"],
    ),
    verdict=Verdict.FAILED,
    measurement=measurement(),
)


@pytest.fixture(autouse=True)
async def _cases(store: Store, run: int) -> None:
    await store.cases.save(run, map(stored_case, range(4)))


def unchecked(index: int) -> CheckedPair:
    """Return a pair that could not be verified."""
    finding = PairFinding(case_id="s0+s1", outcome=PairOutcome.UNCHECKED, reason="it failed")
    return CheckedPair(case_index=index, finding=finding)


async def test_a_pair_is_read_back_unchanged(store: Store, run: int) -> None:
    """Compared or not, with the id of its case."""
    await store.pairs.save(run, unchecked(3))
    await store.pairs.save(run, DISAGREED)
    assert await store.pairs.of(run) == [DISAGREED, unchecked(3)]
    assert await store.pairs.of(run, 3) == [unchecked(3)]
    assert await store.pairs.of(run, 1) == []


async def test_the_first_result_of_a_pair_is_kept(store: Store, run: int) -> None:
    """A repeated activity, or one whose answer was lost, changes nothing."""
    await store.pairs.save(run, DISAGREED)
    await store.pairs.save(run, unchecked(2))
    assert await store.pairs.of(run) == [DISAGREED]


async def test_a_pair_without_a_case_is_refused(store: Store, run: int) -> None:
    with pytest.raises(HoldfastError) as raised:
        await store.pairs.save(run, unchecked(9))
    assert raised.value.code is ErrorCode.NOT_FOUND
