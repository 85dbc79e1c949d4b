"""Time limits: everything that guards work lasts longer than the work."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.peers import faults, proxy
from clients.plans.files import read_plan_file
from domain.cases.cases import BATCH_SIZE, case_at, case_count
from domain.executions.execution import Leftovers
from domain.executions.windows import MOST_ROUNDS, WindowKind
from domain.measuring.blocks import groups_of, has_control, longest_span, rounds_of
from domain.plans.durations import (
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
from domain.plans.plan import Load, Plan
from domain.plans.slo import Regression
from domain.timing import Timing, TimingPreset
from tests.support.paths import EXAMPLES

PLAN = Plan.model_validate(read_plan_file(EXAMPLES / "shop.yaml"))


@given(st.integers(1, 10_000), st.integers(1, 8), st.integers(1, 60))
def test_rules_outlive_the_load_test(requests: int, concurrency: int, services: int) -> None:
    """The TTL covers the waits and every request of every case at its timeout, up to the longest TTL of a proxy."""
    plan = PLAN.model_copy(update={"load": Load(requests=requests, concurrency=concurrency)})
    total = case_count(services)
    ttl = rules_ttl(plan, total)
    assert ttl >= min(LONGEST_RULES_TTL, case_bound(plan) * total + plan.timeouts.stability)
    assert plan.timeouts.rules_ttl <= ttl <= LONGEST_RULES_TTL


def test_a_batch_has_time_for_all_its_cases() -> None:
    """A batch whose requests all time out is slow, not dead."""
    assert batch_bound(PLAN) > case_bound(PLAN) * BATCH_SIZE


def test_preflight_has_time_to_clean_up_leftovers() -> None:
    """It closes everything, then waits until the services are stable. Without cleaning, the limit stays short."""
    limits = PLAN.timeouts
    assert preflight_bound(limits, Leftovers.REFUSE) == limits.stability
    assert preflight_bound(limits, Leftovers.CLEAN) >= limits.recovery + limits.stability * 2


def test_a_fault_window_never_outlasts_the_ttl_of_its_fault() -> None:
    """Otherwise the peer would remove the fault during the replay."""
    assert fault_hold(PLAN) <= PLAN.safety.fault_ttl
    short = PLAN.model_copy(update={"safety": PLAN.safety.model_copy(update={"fault_ttl": timedelta(seconds=9)})})
    assert fault_hold(short) == timedelta(seconds=9)


@pytest.mark.parametrize("preset", TimingPreset)
@pytest.mark.parametrize("kind", [WindowKind.RECORDING, WindowKind.CALLS, WindowKind.FAULT, WindowKind.RULES])
def test_a_ledger_row_outlives_every_call_of_its_window(preset: TimingPreset, kind: WindowKind) -> None:
    """A call can begin as the worker hears of the window's end, and then take its full timeout.

    The lock waits for it.
    """
    timing = Timing.of(preset)
    longest = {WindowKind.RULES: timing.upsert(3), WindowKind.CALLS: max(timing.rollout, timing.call_timeout)}
    call = longest.get(kind, timing.call_timeout)
    assert acts_after_end(kind, 3, timing) > timing.heartbeat_timeout + call
    assert settled_within(timedelta(0), 3, timing) > acts_after_end(kind, 3, timing)


@pytest.mark.parametrize(("preset", "silent"), [(TimingPreset.PRODUCTION, 35), (TimingPreset.FAST, 5)])
def test_the_settle_time_is_longer_than_a_peer_is_silent(preset: TimingPreset, silent: float) -> None:
    """A peer can be silent between two services of one upsert (`peer-contract` section 3.3).

    The fast preset covers the slowest peer of our own tests.
    """
    assert Timing.of(preset).settle > timedelta(seconds=silent)


@given(st.integers(1, 1_000))
def test_call_recordings_outlast_the_faults_of_all_rounds(services: int) -> None:
    """One recording per service and round, after the rollouts that begin them. Nothing outlives the proxy's memory."""
    plan = PLAN.model_copy(update={"services": PLAN.services[:1] * services})
    needed = recordings_start(services) + fault_hold(plan) * services * MOST_ROUNDS
    assert min(needed, LONGEST_RULES_TTL) <= calls_hold(plan) <= LONGEST_RULES_TTL


def test_the_call_timeout_of_the_timing_covers_the_clients_timeouts() -> None:
    """Whatever is kept open for a call must know how long the call can take."""
    assert Timing().call_timeout >= max(faults.CALL_TIMEOUT, proxy.CALL_TIMEOUT)


def test_the_sweeper_runs_after_a_window_is_overdue() -> None:
    """The same sum works for a moment and for a time span."""
    timing, now, due = Timing(), datetime.now(UTC), timedelta(minutes=3)
    assert overdue_after(now + due, timing) - now == overdue_after(due, timing) == due + timing.close_grace
    assert swept_after(due, timing) == overdue_after(due, timing) + timing.sweep_every


COMPARING = PLAN.slo.model_copy(update={"regression": Regression()})


@given(st.integers(59, 10_000), st.none() | st.sampled_from(["30/m", "20/s"]), st.none() | st.integers(0, 3_000))
def test_a_batch_has_time_for_its_controls_and_warm_ups(requests: int, rate: str | None, warm_up: int | None) -> None:
    """Counts the controls and warm-ups of every group a batch can have.

    The open model also waits until requests are due.
    """
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
def test_random_arrivals_stay_within_the_longest_span(requests: int, rate: float, seed: int) -> None:
    """The last request of a block is due by then."""
    dice = random.Random(seed)  # noqa: S311 - arrivals, no secret
    assert sum(dice.expovariate(rate) for _ in range(requests)) < longest_span(requests, rate)


def test_a_plan_without_comparison_has_the_original_bounds() -> None:
    """All its requests at their timeout, plus half a minute."""
    rounds = -(-PLAN.load.requests // PLAN.load.concurrency)
    assert batch_bound(PLAN) == PLAN.request.timeout * rounds * BATCH_SIZE + timedelta(seconds=30)


def test_runs_of_many_services_repeat_fewer_faults() -> None:
    """A workflow history holds about ten thousand events, and each fault costs nine of them in every round."""
    assert [most_captures(services) for services in (6, 650, 900, 1_000)] == [200, 200, 75, 25]
    assert all(9 * (services + 2 * most_captures(services)) < 9_500 for services in range(1_001))
