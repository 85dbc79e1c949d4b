"""Groups of cases are stored with their samples, completely or not at all."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.store.packing import MOST_RAW, packed, unpacked
from clients.store.read_models import Arm, StoredSamples
from clients.store.store import Store
from domain.errors import ErrorCode, HoldfastError
from domain.measuring.comparison import Comparison, Control, Finding
from domain.measuring.load import CaseOutcome
from domain.plans.slo import Percentile
from tests.support.store.counting import row_counts
from tests.support.store.samples import measured, skipped, stored_case

CASES = 8
CONTROL = Control(requests=60, successes=59, success_p50_us=4, success_p95_us=5, success_p99_us=6, success_max_us=7)
COMPARED = Comparison(
    percentile=Percentile.P95,
    ratio=1.25,
    low=1.1,
    high=1.5,
    limit=1.1,
    p_value=0.04,
    finding=Finding.INCONCLUSIVE,
    more_requests=120,
)
SEED = 2**52 + 1


@pytest.fixture(autouse=True)
async def _cases(store: Store, run: int) -> None:
    await store.cases.save(run, map(stored_case, range(CASES)))


def samples(index: int, arm: Arm = Arm.CASE, raw: bytes | None = b"raw") -> StoredSamples:
    return StoredSamples(case_index=index, arm=arm, histogram=b"\x00\xffhistogram", raw=raw)


async def test_a_comparison_is_read_back_unchanged(store: Store, run: int) -> None:
    """Every number next to the measurement. A case that was not compared has none."""
    facts = {"late_starts": 2, "planned": 400, "seed": SEED, "control": CONTROL, "comparison": COMPARED}
    await store.results.save_group(run, [measured(0), measured(1, **facts)], [])
    plain, compared = [result.measurement for result in await store.results.all(run)]
    assert plain is not None
    assert compared is not None
    assert (plain.late_starts, plain.planned, plain.control, plain.comparison) == (0, None, None, None)
    assert {name: getattr(compared, name) for name in facts} == facts


async def test_a_group_is_stored_completely_or_not_at_all(store: Store, run: int) -> None:
    """Its cases were measured beside one control. A worker that continues must not find half of them."""
    with pytest.raises(HoldfastError) as raised:
        await store.results.save_group(run, [measured(0), measured(CASES)], [samples(0)])
    assert raised.value.code is ErrorCode.NOT_FOUND
    assert await store.results.finished(run, 0, CASES) == {}
    assert await store.samples.between(run, 0, CASES) == []


async def test_samples_are_read_by_case_followed_by_its_control(store: Store, run: int) -> None:
    """Also if saved twice, and for more requests than are kept individually."""
    written = [samples(1, raw=None), samples(0, Arm.CONTROL), samples(0)]
    for _ in range(2):
        await store.results.save_group(run, [measured(0), measured(1)], written)
    assert await store.samples.between(run, 0, CASES) == [written[2], written[1], written[0]]
    assert await store.samples.between(run, 1, 2) == [written[0]]
    assert (await row_counts(store, run))["case_samples"] == 3


async def test_two_workers_that_save_a_group_leave_one_row_per_case(store: Store, other_store: Store, run: int) -> None:
    """This happens if the first worker was thought dead."""
    group = [measured(0), measured(1)], [samples(0), samples(1)]
    await asyncio.gather(*(writer.results.save_group(run, *group) for writer in (store, other_store) * 3))
    counts = await row_counts(store, run)
    assert (counts["test_result"], counts["case_samples"]) == (2, 2)


async def test_a_group_may_contain_cases_that_were_not_measured(store: Store, run: int) -> None:
    await store.results.save_group(run, [measured(0), skipped(1)], [samples(0)])
    outcomes = await store.results.finished(run, 0, CASES)
    assert outcomes == {0: CaseOutcome.MEASURED, 1: CaseOutcome.SKIPPED}


@given(st.lists(st.tuples(st.integers(0, 2**31 - 1), st.booleans())))
def test_packed_samples_are_unpacked_unchanged_and_in_order(taken: list[tuple[int, bool]]) -> None:
    raw = packed(taken)
    assert raw is not None
    assert unpacked(raw) == taken


def test_a_latency_too_long_to_pack_is_packed_as_the_longest() -> None:
    """That is half an hour. Nobody needs to know how much longer it took."""
    raw = packed([(2**40, False)])
    assert raw is not None
    assert unpacked(raw) == [(2**31 - 1, False)]


def test_too_many_samples_are_not_kept_individually() -> None:
    """The histogram contains them."""
    assert packed([(1, False)] * MOST_RAW) is not None
    assert packed([(1, False)] * (MOST_RAW + 1)) is None


@pytest.mark.parametrize("raw", [b"", b"no", packed([(1, True)])[:-1] + b"x"])  # type: ignore[index]
def test_bytes_that_are_not_packed_samples_are_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match="not packed samples"):
        unpacked(raw)
