"""Bounds: everything that guards work lasts longer than the work."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from clients.plan_files import read_plan_file
from workflows.contracts.execution import Leftovers
from workflows.contracts.plan import Load, Plan
from workflows.logic.cases import BATCH_SIZE, case_count
from workflows.logic.durations import LONGEST_RULES_TTL, batch_bound, case_bound, fault_hold, preflight_bound, rules_ttl

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
