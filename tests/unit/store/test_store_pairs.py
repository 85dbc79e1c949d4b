"""What pairs with two real faults answered is stored once, and read as it was."""

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
    await store.save_cases(run, map(stored_case, range(4)))


def unchecked(index: int) -> CheckedPair:
    """One that could not be verified."""
    finding = PairFinding(case_id="s0+s1", outcome=PairOutcome.UNCHECKED, reason="it failed")
    return CheckedPair(case_index=index, finding=finding)


async def test_a_pair_comes_back_as_it_was(store: Store, run: int) -> None:
    """Compared or not, with its case's id."""
    await store.save_pair(run, unchecked(3))
    await store.save_pair(run, DISAGREED)
    assert await store.pairs(run) == [DISAGREED, unchecked(3)]
    assert await store.pairs(run, 3) == [unchecked(3)]
    assert await store.pairs(run, 1) == []


async def test_the_first_word_on_a_pair_stays(store: Store, run: int) -> None:
    """A repeated activity, and one whose answer was lost, change nothing."""
    await store.save_pair(run, DISAGREED)
    await store.save_pair(run, unchecked(2))
    assert await store.pairs(run) == [DISAGREED]


async def test_a_pair_of_no_case_is_refused(store: Store, run: int) -> None:
    """It would be nobody's."""
    with pytest.raises(HoldfastError) as raised:
        await store.save_pair(run, unchecked(9))
    assert raised.value.code is ErrorCode.NOT_FOUND
