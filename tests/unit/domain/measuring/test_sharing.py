"""Batches measured at once share the planned load: together they never send more, and every case is measured."""

from __future__ import annotations

from math import isclose
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.cases.cases import BATCH_SIZE, batches_in, case_count, pages_of, rounds_of_batches
from domain.measuring.load import CaseRange, LoadShare
from domain.measuring.sharing import least_share, shared
from domain.plans.durations import LONGEST_RULES_TTL, batch_bound, case_bound, least_load_time, rules_ttl
from domain.plans.plan import Plan
from tests.support.plans.builders import good, problems


def plan_with(**load: Any) -> Plan:
    """Build a plan with this load."""
    return Plan.model_validate(good() | {"load": load})


@given(st.integers(1, 8), st.data())
def test_shares_of_concurrency_add_up_to_the_planned_concurrency(concurrency: int, data: st.DataObject) -> None:
    """Each share is at least one, because otherwise its batch would never end."""
    of = data.draw(st.integers(1, concurrency))
    plan = plan_with(requests=9, concurrency=concurrency, batches_at_once=of)
    shares = [shared(plan, LoadShare(lane=lane, of=of)).load.concurrency for lane in range(of)]
    assert sum(shares) == concurrency
    assert min(shares) >= 1
    assert least_share(plan).load.concurrency == min(shares)


@given(st.integers(1, 1_000), st.integers(1, 16))
def test_shares_of_a_rate_add_up_to_the_planned_rate(rate: int, of: int) -> None:
    plan = plan_with(requests=9, rate=f"{rate}/m", batches_at_once=of)
    shares = [shared(plan, LoadShare(lane=lane, of=of)).load.rate or 0 for lane in range(of)]
    assert plan.load.rate is not None
    assert isclose(sum(shares), plan.load.rate)


def test_a_batch_measured_alone_has_the_whole_load() -> None:
    """This is the first batch, with the baseline, and every batch of a plan that measures one at a time."""
    plan = plan_with(requests=9, concurrency=4, batches_at_once=2)
    assert shared(plan, None) is plan


@settings(max_examples=10)
@given(st.integers(1, 1_000), st.integers(1, 16))
def test_every_batch_is_on_exactly_one_page_in_order(services: int, at_once: int) -> None:
    """The size of a page bounds the history of its workflow. The number of pages bounds the history of the parent."""
    total = case_count(services)
    pages = pages_of(total, BATCH_SIZE, at_once)
    assert [batch for page in pages for batch in batches_in(page, BATCH_SIZE)] == batches_in(
        CaseRange(first=0, end=total), BATCH_SIZE
    )
    assert len(pages) <= 51
    assert max(len(batches_in(page, BATCH_SIZE)) for page in pages) <= 1_000


@pytest.mark.parametrize(("services", "at_once", "rounds"), [(5, 1, 1), (30, 1, 26), (30, 4, 8), (100, 1, 281)])
def test_batches_measured_at_once_take_fewer_rounds(services: int, at_once: int, rounds: int) -> None:
    """One at a time, there are as many rounds as batches. 26 batches by fours, on pages of 12, take 1 + 3, 3 and 1."""
    assert rounds_of_batches(case_count(services), BATCH_SIZE, at_once) == rounds


@given(st.integers(1, 8), st.data(), st.integers(1, 60))
def test_rules_outlive_batches_that_are_measured_at_once(concurrency: int, data: st.DataObject, services: int) -> None:
    """Each batch takes longer than alone. The rules live as long as all of them take at their timeouts."""
    of = data.draw(st.integers(1, concurrency))
    plan = plan_with(requests=7, concurrency=concurrency, batches_at_once=of)
    total = case_count(services)
    assert batch_bound(plan) >= case_bound(least_share(plan)) * BATCH_SIZE
    longest = batch_bound(plan) * rounds_of_batches(total, BATCH_SIZE, of)
    assert rules_ttl(plan, total) >= min(LONGEST_RULES_TTL, longest)


@given(st.integers(1, 200), st.integers(1, 8), st.data())
def test_the_least_time_is_no_longer_with_batches_at_once(requests: int, concurrency: int, data: st.DataObject) -> None:
    """Sharing wastes no time that was not idle before, so a preview does not promise a longer load test."""
    of = data.draw(st.integers(1, concurrency))
    alone = plan_with(requests=requests, concurrency=concurrency)
    together = plan_with(requests=requests, concurrency=concurrency, batches_at_once=of)
    second = plan_with().request.timeout
    assert least_load_time(together, 100, second) <= least_load_time(alone, 100, second)


def test_more_batches_at_once_than_concurrency_are_refused() -> None:
    """The open model has no such bound."""
    found = problems(good() | {"load": {"requests": 9, "concurrency": 2, "batches_at_once": 3}})
    assert "write at most 2" in found["load.batches_at_once"]
    assert problems(good() | {"load": {"requests": 9, "rate": "9/s", "batches_at_once": 16}}) == {}
    assert list(problems(good() | {"load": {"rate": "9/s", "batches_at_once": 17}})) == ["load.batches_at_once"]
