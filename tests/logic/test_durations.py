"""Bounds: everything that guards work lasts longer than the work."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients import faults, proxy
from clients.plan_files import read_plan_file
from workflows.contracts.execution import Leftovers
from workflows.contracts.plan import Load, Plan
from workflows.contracts.slo import Regression
from workflows.contracts.timing import Timing, TimingPreset
from workflows.contracts.windows import MOST_ROUNDS, WindowKind
from workflows.logic.blocks import groups_of, has_control, longest_span, rounds_of
from workflows.logic.cases import BATCH_SIZE, case_at, case_count
from workflows.logic.durations import (
    LONGEST_RULES_TTL,
    acts_after_end,
    batch_bound,
    calls_hold,
    case_bound,
    fault_hold,
    most_captures,
    overdue_after,
    preflight_bound,
    recordings_start,
    rules_ttl,
    settled_within,
    swept_after,
)

PLAN = Plan.model_validate(read_plan_file(Path(__file__).parents[2] / "examples" / "shop.yaml"))


@given(st.integers(1, 10_000), st.integers(1, 8), st.integers(1, 60))
def test_rules_outlive_the_load_test(requests: int, concurrency: int, services: int) -> None:
    """The rules' life covers the waits and every request of every case at its timeout, up to what a proxy can hold."""
    plan = PLAN.model_copy(update={"load": Load(requests=requests, concurrency=concurrency)})
    total = case_count(services)
    ttl = rules_ttl(plan, total)
    assert ttl >= min(LONGEST_RULES_TTL, case_bound(plan) * total + plan.timeouts.stability)
    assert ttl >= plan.timeouts.rules_ttl


def test_a_batch_has_room_for_all_its_cases() -> None:
    """A batch that takes all its timeouts is slow, not dead."""
    assert batch_bound(PLAN) > case_bound(PLAN) * BATCH_SIZE


def test_the_look_before_has_room_for_a_clean_up() -> None:
    """For closing everything, and for the services to be stable after it; without one it is as short as ever."""
    limits = PLAN.timeouts
    assert preflight_bound(limits, Leftovers.REFUSE) == limits.stability
    assert preflight_bound(limits, Leftovers.CLEAN) >= limits.recovery + limits.stability * 2


def test_a_fault_window_never_outlasts_the_faults_own_time() -> None:
    """Otherwise the peer would remove the fault during the replay."""
    assert fault_hold(PLAN) <= PLAN.safety.fault_ttl
    short = PLAN.model_copy(update={"safety": PLAN.safety.model_copy(update={"fault_ttl": timedelta(seconds=9)})})
    assert fault_hold(short) == timedelta(seconds=9)


@pytest.mark.parametrize("preset", TimingPreset)
@pytest.mark.parametrize("kind", [WindowKind.RECORDING, WindowKind.CALLS, WindowKind.FAULT, WindowKind.RULES])
def test_a_row_is_kept_for_longer_than_any_call_of_its_window(preset: TimingPreset, kind: WindowKind) -> None:
    """One that begins when the worker hears of the window's end, and then takes all its time; the lock waits for it."""
    timing = Timing.of(preset)
    longest = {WindowKind.RULES: timing.upsert(3), WindowKind.CALLS: max(timing.rollout, timing.call_timeout)}
    call = longest.get(kind, timing.call_timeout)
    assert acts_after_end(kind, 3, timing) > timing.heartbeat_timeout + call
    assert settled_within(timedelta(0), 3, timing) > acts_after_end(kind, 3, timing)


@pytest.mark.parametrize(("preset", "silent"), [(TimingPreset.PRODUCTION, 35), (TimingPreset.FAST, 5)])
def test_absence_must_last_longer_than_a_peer_is_silent(preset: TimingPreset, silent: float) -> None:
    """Between two services of one upsert (`peer-contract` section 3.3), and in the slowest peer of our own tests."""
    assert Timing.of(preset).settle > timedelta(seconds=silent)


@given(st.integers(1, 1_000))
def test_recordings_of_calls_outlast_every_fault_of_three_rounds(services: int) -> None:
    """Of each service one in each round, after the rollouts that begin them; nothing outlives the proxy's memory."""
    plan = PLAN.model_copy(update={"services": PLAN.services[:1] * services})
    needed = recordings_start(services) + fault_hold(plan) * services * MOST_ROUNDS
    assert calls_hold(plan) >= min(needed, LONGEST_RULES_TTL)


def test_the_clients_give_up_when_the_timing_says() -> None:
    """What is kept open for a call must know how long one takes."""
    assert Timing().call_timeout >= max(faults.CALL_TIMEOUT, proxy.CALL_TIMEOUT)


def test_the_sweeper_looks_after_a_window_is_overdue() -> None:
    """The same sum for a time and for a span of it."""
    timing, now, due = Timing(), datetime.now(UTC), timedelta(minutes=3)
    assert overdue_after(now + due, timing) - now == overdue_after(due, timing) == due + timing.close_grace
    assert swept_after(due, timing) == overdue_after(due, timing) + timing.sweep_every


COMPARING = PLAN.slo.model_copy(update={"regression": Regression()})


@given(st.integers(59, 10_000), st.none() | st.sampled_from(["30/m", "20/s"]), st.none() | st.integers(0, 3_000))
def test_a_batch_has_room_for_what_is_measured_beside_its_cases(
    requests: int, rate: str | None, warm_up: int | None
) -> None:
    """Controls and warm-ups of every group a batch may have; of an open model also the time until requests are due."""
    load = Load.model_validate({"requests": requests, "rate": rate, "warm_up": warm_up})
    plan = PLAN.model_copy(update={"slo": COMPARING, "load": load})
    longest = plan.request.timeout
    if load.rate is None:
        arm, warm = longest * rounds_of(requests, 8), longest * rounds_of(plan.warm_up, 8)
    else:
        arm, warm = timedelta(seconds=requests / load.rate) + longest, timedelta(seconds=plan.warm_up / load.rate)
    groups = groups_of(plan, [case_at([f"s{n:02}" for n in range(20)], index) for index in range(BATCH_SIZE)])
    arms = BATCH_SIZE + sum(has_control(plan, group) for group in groups)
    assert batch_bound(plan) > arm * arms + warm * len(groups)
    assert case_bound(plan) >= arm


@given(st.integers(1, 300), st.floats(0.1, 1_000), st.integers(0, 2**53))
def test_arrivals_at_random_keep_within_their_bound(requests: int, rate: float, seed: int) -> None:
    """The last request of a block is due by then."""
    dice = random.Random(seed)  # noqa: S311 - arrivals, no secret
    assert sum(dice.expovariate(rate) for _ in range(requests)) < longest_span(requests, rate)


def test_a_plan_that_compares_nothing_has_the_bounds_it_always_had() -> None:
    """Its requests at their timeout, and half a minute."""
    rounds = -(-PLAN.load.requests // PLAN.load.concurrency)
    assert batch_bound(PLAN) == PLAN.request.timeout * rounds * BATCH_SIZE + timedelta(seconds=30)


def test_a_run_of_many_services_has_room_for_fewer_faults_once_more() -> None:
    """Of its history: ten thousand events, nine of which each fault costs, in every round."""
    assert [most_captures(services) for services in (6, 650, 900, 1_000)] == [200, 200, 75, 25]
    assert all(9 * (services + 2 * most_captures(services)) < 9_500 for services in range(1_001))
