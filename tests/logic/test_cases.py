"""Cases by index."""

from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows.contracts.load import CaseRange, CaseType
from workflows.logic.cases import (
    batches_in,
    case_at,
    case_count,
    case_id,
    cases_in,
    pages_of,
    pair_at,
    pair_case,
    places_of,
)


@given(st.integers(2, 60))
def test_pairs_come_in_lexicographic_order(n: int) -> None:
    """The pair of index k is the k-th of itertools.combinations, for every k."""
    assert [pair_at(n, k) for k in range(n * (n - 1) // 2)] == list(combinations(range(n), 2))


@given(st.integers(2, 5000), st.data())
def test_a_pair_is_computed_at_any_size(n: int, data: st.DataObject) -> None:
    """Pair (i, j) stands where its index formula says, without a list."""
    j = data.draw(st.integers(1, n - 1))
    i = data.draw(st.integers(0, j - 1))
    k = i * (2 * n - i - 1) // 2 + (j - i - 1)
    assert pair_at(n, k) == (i, j)


@pytest.mark.parametrize("k", [-1, 3])
def test_a_pair_that_is_not_there_is_refused(k: int) -> None:
    """An index beyond the pairs raises instead of wrapping around."""
    with pytest.raises(IndexError):
        pair_at(3, k)


def test_the_suite_is_baseline_singles_pairs() -> None:
    """Order and ids are those of the original orchestrator."""
    cases = list(cases_in(["a", "b", "c"], CaseRange(first=0, end=case_count(3))))
    assert [case.case_id for case in cases] == ["baseline", "a", "b", "c", "a+b", "a+c", "b+c"]
    assert [case.case_type for case in cases] == [CaseType.BASELINE] + [CaseType.SINGLE] * 3 + [CaseType.DUAL] * 3
    assert cases[0].services == []
    assert cases[-1].services == ["b", "c"]


@pytest.mark.parametrize("index", [-1, 7])
def test_a_case_that_is_not_there_is_refused(index: int) -> None:
    """Neither a negative index nor one past the end gives a case."""
    with pytest.raises(IndexError):
        case_at(["a", "b", "c"], index)


def test_case_ids_are_sorted() -> None:
    """A case has one id, whatever the order of its services."""
    assert case_id(["b", "a"]) == "a+b"


@pytest.mark.parametrize(("n", "total"), [(0, 1), (1, 2), (18, 172), (100, 5_051), (1_000, 500_501)])
def test_the_number_of_cases(n: int, total: int) -> None:
    """1 + n + n(n-1)/2."""
    assert case_count(n) == total


@given(st.integers(1, 600_000))
def test_pages_cover_every_case_once_in_whole_batches(total: int) -> None:
    """Pages are contiguous, start at a batch's start, and are few enough for one history."""
    pages = pages_of(total, 18)
    assert pages[0].first == 0
    assert pages[-1].end == total
    assert all(one.end == other.first for one, other in pairwise(pages))
    assert all(page.first % 18 == 0 for page in pages)
    assert len(pages) <= 50


def test_batches_cut_a_page() -> None:
    """The last batch may be shorter; none is empty."""
    batches = batches_in(CaseRange(first=36, end=80), 18)
    assert [(one.first, one.end) for one in batches] == [(36, 54), (54, 72), (72, 80)]


@given(st.integers(2, 1000), st.data())
def test_a_case_is_found_by_the_places_of_its_services(n: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, case_count(n) - 1))
    services = [f"s{number:04}" for number in range(n)]
    places = places_of(n, index)
    assert [services[place] for place in places] == case_at(services, index).services
    if len(places) == 2:
        assert pair_case(n, *places) == pair_case(n, *reversed(places)) == index


@pytest.mark.parametrize("places", [(0, 0), (-1, 1), (1, 3)])
def test_a_pair_of_no_two_services_is_refused(places: tuple[int, int]) -> None:
    with pytest.raises(IndexError):
        pair_case(3, *places)
