"""Metrics merged from pages equal the metrics of all cases, however they were paged."""

from __future__ import annotations

from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.measuring.load import CaseOutcome
from domain.measuring.merging import merged, metrics_of
from domain.measuring.metrics import LoadMetrics
from domain.resilience.model import CaseVerdict

MANY = 1_000


def case(name: str, outcome: CaseOutcome = CaseOutcome.MEASURED, **facts: float | None) -> CaseVerdict:
    return CaseVerdict.model_validate({"case_id": name, "outcome": outcome} | facts)


def test_metrics_of_no_cases_are_empty() -> None:
    """Nothing was measured, so there is no worst case and no mean."""
    assert metrics_of([]) == LoadMetrics()
    assert LoadMetrics().mean_error_rate is None


def test_only_measured_cases_count_in_metrics() -> None:
    """Skipped and invalid cases are listed, but do not count as zero in a mean."""
    found = metrics_of(
        [
            case("a", CaseOutcome.SKIPPED),
            case("b", error_rate=50, p95_ms=3),
            case("c", CaseOutcome.INVALID, error_rate=100, p95_ms=999),
            case("d", error_rate=0, p95_ms=7),
        ]
    )
    assert (found.measured, found.mean_error_rate) == (2, 25)
    assert (found.worst_p95_ms, found.worst_p95_case) == (7, "d")
    assert [verdict.case_id for verdict in found.cases] == ["b", "d", "c", "a"]


def test_a_case_without_a_success_has_no_latency() -> None:
    """It is the worst by its error rate, but never the slowest."""
    found = metrics_of([case("all-failed", error_rate=100, p95_ms=None), case("fine", error_rate=0, p95_ms=1)])
    assert (found.worst_p95_ms, found.worst_p95_case) == (1, "fine")
    assert found.cases[0].case_id == "all-failed"
    alone = metrics_of([case("all-failed", error_rate=100, p95_ms=None)])
    assert (alone.worst_p95_ms, alone.worst_p95_case, alone.mean_error_rate) == (None, "", 100)


@pytest.mark.parametrize(
    ("cases", "order"),
    [
        ([case("slow", p95_ms=900, error_rate=0), case("wrong", p95_ms=1, error_rate=1)], ["wrong", "slow"]),
        ([case("b", p95_ms=5), case("a", p95_ms=5), case("c", p95_ms=6)], ["c", "a", "b"]),
        ([case("x", CaseOutcome.SKIPPED), case("y", error_rate=0, p95_ms=0)], ["y", "x"]),
    ],
)
def test_the_worst_cases_come_first(cases: list[CaseVerdict], order: list[str]) -> None:
    """Errors outweigh slowness, ties are sorted by name, and cases that were not measured come last."""
    assert [verdict.case_id for verdict in metrics_of(cases).cases] == order


def test_a_latency_of_zero_is_slower_than_no_latency() -> None:
    """A latency below a millisecond is a latency."""
    found = merged(metrics_of([case("none", error_rate=100)]), metrics_of([case("zero", p95_ms=0)]), MANY)
    assert (found.worst_p95_ms, found.worst_p95_case) == (0, "zero")


CASES = st.lists(
    st.builds(
        case,
        name=st.integers(0, 10**6).map(str),
        outcome=st.sampled_from(CaseOutcome),
        error_rate=st.none() | st.integers(0, 100),
        p95_ms=st.none() | st.integers(0, 50),
    ),
    max_size=30,
    unique_by=lambda one: one.case_id,
)


@given(CASES, st.integers(1, 7), st.integers(1, 40))
def test_merged_pages_equal_the_metrics_of_all_cases(cases: list[CaseVerdict], page: int, most: int) -> None:
    """Sums, means and worst values do not depend on the paging. The worst cases are kept."""
    pages = [metrics_of(cases[first : first + page]) for first in range(0, len(cases), page)]
    found = reduce(lambda left, right: merged(left, right, most), pages, LoadMetrics())
    whole = metrics_of(cases)
    assert (found.measured, found.error_rate_sum) == (whole.measured, whole.error_rate_sum)
    assert (found.mean_error_rate, found.worst_p95_ms) == (whole.mean_error_rate, whole.worst_p95_ms)
    slowest = {
        verdict.case_id
        for verdict in cases
        if verdict.outcome == CaseOutcome.MEASURED and verdict.p95_ms == found.worst_p95_ms
    }
    assert found.worst_p95_case in (slowest if found.worst_p95_ms is not None else {""})
    assert found.cases == whole.cases[:most]
