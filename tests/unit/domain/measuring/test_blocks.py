"""Cases are measured in groups, and their requests in shuffled blocks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from clients.plans.files import read_plan_file
from domain.cases.cases import case_at
from domain.measuring.blocks import (
    GROUP_SIZE,
    MOST_BLOCKS,
    arrival_seed,
    block_sizes,
    groups_of,
    has_control,
    rounds_of,
    seed_of,
    shuffled,
)
from domain.measuring.load import Case, CaseRange, CaseType
from domain.plans.plan import Load, Plan
from domain.plans.slo import Regression
from tests.support.paths import EXAMPLES

PLAN = Plan.model_validate(read_plan_file(EXAMPLES / "shop.yaml"))
COMPARING = PLAN.model_copy(update={"slo": PLAN.slo.model_copy(update={"regression": Regression()})})
NAMES = [f"s{number:02}" for number in range(40)]


def batch(first: int = 0, end: int = 18) -> list[Case]:
    return [case_at(NAMES, index) for index in range(CaseRange(first=first, end=end).first, end)]


def test_without_a_comparison_every_case_is_its_own_group() -> None:
    """It has no control: exactly its own requests are sent."""
    groups = groups_of(PLAN, batch())
    assert [len(group) for group in groups] == [1] * 18
    assert not any(has_control(PLAN, group) for group in groups)


def test_compared_cases_are_measured_in_groups_beside_a_control() -> None:
    """The baseline is alone and comes before anything else, because it may end the load test."""
    groups = groups_of(COMPARING, batch())
    assert [len(group) for group in groups] == [1, 6, 6, 5]
    assert [has_control(COMPARING, group) for group in groups] == [False, True, True, True]
    assert groups[0][0].case_type is CaseType.BASELINE
    assert [case for group in groups for case in group] == batch()


@given(st.lists(st.integers(0, 17), unique=True), st.integers(0, 4))
def test_the_rest_of_a_batch_is_cut_into_the_same_groups(unmeasured: list[int], stored: int) -> None:
    """A batch that goes on after some groups finds the others unchanged, so their seeds are the same."""
    cases = [case for case in batch() if case.index not in unmeasured]
    groups = groups_of(COMPARING, cases)
    done = {case.index for group in groups[:stored] for case in group}
    assert groups_of(COMPARING, [case for case in cases if case.index not in done]) == groups[stored:]
    assert all(len(group) <= GROUP_SIZE for group in groups)


@given(st.integers(1, 1_000_000), st.integers(1, 8), st.booleans())
def test_blocks_add_up_to_all_requests(requests: int, concurrency: int, most: bool) -> None:
    """All blocks but the last are whole rounds of the workers, and there are not too many blocks."""
    load = Load.model_validate({"max_requests" if most else "requests": requests, "concurrency": concurrency})
    sizes = block_sizes(load)
    assert sum(sizes) == requests
    assert len(sizes) <= MOST_BLOCKS
    assert all(size % concurrency == 0 for size in sizes[:-1])
    assert all(size > 0 for size in sizes)
    assert sum(rounds_of(size, concurrency) for size in sizes) == rounds_of(requests, concurrency)


def test_blocks_of_the_open_model_do_not_depend_on_concurrency() -> None:
    """However many requests would be in flight."""
    assert block_sizes(Load.model_validate({"requests": 50, "rate": "7/s"})) == [20, 20, 10]


def test_the_order_of_arms_depends_only_on_the_seed_and_the_round() -> None:
    """It can be reproduced afterwards."""
    seed = seed_of(123, 1)
    orders = [shuffled(range(7), seed, round_) for round_ in range(50)]
    assert orders == [shuffled(range(7), seed, round_) for round_ in range(50)]
    assert orders != [shuffled(range(7), seed_of(123, 7), round_) for round_ in range(50)]
    assert all(sorted(order) == list(range(7)) for order in orders)
    first = [order.index(0) for order in orders]
    assert set(first) == set(range(7)), "the control is not always at the same place"


def test_seeds_differ_between_groups_runs_and_blocks() -> None:
    """They fit a double, so every reader keeps them exact."""
    seeds = {seed_of(run, first) for run in range(20) for first in range(20)}
    assert len(seeds) == 400
    assert max(seeds) < 2**53
    assert len({arrival_seed(5, round_, arm) for round_ in range(30) for arm in range(7)}) == 210
