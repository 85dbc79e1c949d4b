"""A preview reports what the functions of a run would report."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.plans.files import read_plan_file
from domain.cases.cases import case_count
from domain.cases.tokens import token_of
from domain.executions.windows import WindowKind
from domain.faults.chaosblade.expansion import expand
from domain.plans import durations
from domain.plans.plan import ExcludedCase, Load, Plan, ServiceUnderTest
from domain.plans.slo import Regression
from domain.plans.system import KubernetesStability
from domain.preview.build import MOST_LEFT_OUT, preview
from domain.timing import Timing, TimingPreset
from tests.support.paths import EXAMPLES

PLAN = Plan.model_validate(read_plan_file(EXAMPLES / "shop.yaml"))
TIMING = Timing()


def changed(**changes: object) -> Plan:
    return PLAN.model_copy(update=changes)


@given(st.integers(1, 40), st.integers(1, 100), st.booleans())
def test_cases_and_requests_add_up(services: int, requests: int, check: bool) -> None:
    """All cases by kind, and each request once, at its moment."""
    under_test = [ServiceUnderTest(name=f"s{number}", fault="remove") for number in range(services)]
    steady = PLAN.steady_state.model_copy(update={"check": check, "requests": 2})
    found = preview(changed(services=under_test, load=Load(requests=requests), steady_state=steady), TIMING)
    assert found.cases.total == found.cases.measured == case_count(services)
    assert (found.cases.baseline, found.cases.single) == (1, services)
    asked = 2 if check else 0
    assert found.requests.steady_before == found.requests.steady_after == found.requests.steady_at_end == asked
    assert found.requests.broken == services * min(requests, 4)
    assert found.requests.total == 3 * asked + 1 + 3 + found.requests.broken + case_count(services) * requests
    assert found.rules.at_least == 2 * services


def test_excluded_cases_are_listed_with_their_reason_and_cost_nothing() -> None:
    """The reason is the one that the run will give. All are counted, even if there are too many to list."""
    left_out = [ExcludedCase(case="shipping+reviews", reason="too slow"), ExcludedCase(case="inventory+*")]
    found = preview(changed(exclude=left_out), TIMING)
    assert (found.cases.total, found.cases.excluded, found.cases.measured) == (16, 5, 11)
    reasons = {excluded.case_id: excluded.reason for excluded in found.cases.left_out}
    assert reasons["reviews+shipping"] == "excluded by the plan: too slow"
    assert reasons["inventory+reviews"] == "excluded by the plan"
    assert found.requests.load == 11 * PLAN.load.requests
    many = [ServiceUnderTest(name=f"s{number}", fault="remove") for number in range(40)]
    found = preview(changed(services=many, exclude=[ExcludedCase(case="*+*")]), TIMING)
    assert (found.cases.excluded, len(found.cases.left_out)) == (780, MOST_LEFT_OUT)


def test_the_preview_shows_the_faults_that_will_be_injected() -> None:
    """In the order of the windows, as expanded for the fault service, with its whole seconds."""
    found = preview(changed(safety=PLAN.safety.model_copy(update={"fault_ttl": timedelta(seconds=300.9)})), TIMING)
    assert [fault.service for fault in found.faults] == PLAN.service_names == found.replays
    for fault in found.faults:
        full = expand(PLAN.service(fault.service).fault, fault.service, "shop")
        assert (fault.type, fault.matchers) == (full.type, full.experiment.matchers)
        assert (fault.scope, fault.target, fault.action) == (
            full.experiment.scope, full.experiment.target, full.experiment.action,
        )  # fmt: skip
        assert fault.token == token_of(PLAN, fault.service)
        assert fault.ttl_seconds == 300


@pytest.mark.parametrize("preset", list(TimingPreset))
def test_the_preview_shows_how_long_each_window_may_stay_on(preset: TimingPreset) -> None:
    """The limits of the peer, the window and the sweeper follow in this order. The first two may be equal."""
    timing = Timing.of(preset)
    found = preview(PLAN, timing)
    on = {remaining.kind: remaining for remaining in found.remains_on}
    assert set(on) == {WindowKind.RECORDING, WindowKind.CALLS, WindowKind.FAULT, WindowKind.RULES}
    rules = durations.rules_ttl(PLAN, case_count(5)).total_seconds()
    assert on[WindowKind.RULES].ttl_seconds == found.rules.ttl_seconds == rules
    assert on[WindowKind.FAULT].ttl_seconds == found.faults[0].ttl_seconds
    recovery = PLAN.timeouts.recovery.total_seconds()
    assert on[WindowKind.FAULT].window_seconds == durations.fault_hold(PLAN).total_seconds() + recovery
    for remaining in found.remains_on:
        assert remaining.ttl_seconds <= remaining.window_seconds < remaining.swept_seconds
    longest = max(remaining.ttl_seconds for remaining in found.remains_on)
    assert found.worst_recovery_seconds == longest + timing.sweep_every.total_seconds()
    assert on[WindowKind.CALLS].ttl_seconds == longest == durations.calls_ttl(PLAN).total_seconds() == 80 * 60
    assert found.worst_failing_seconds == max(300, rules) + timing.sweep_every.total_seconds()


@given(st.integers(1, 20), st.integers(1, 500), st.integers(1, 8), st.sampled_from(list(TimingPreset)))
def test_the_least_time_is_shorter_than_the_longest(
    services: int, requests: int, concurrency: int, preset: TimingPreset
) -> None:
    """For every part of a run, as long as a request is assumed to be quicker than its timeout."""
    under_test = [ServiceUnderTest(name=f"s{number}", fault="remove") for number in range(services)]
    plan = changed(services=under_test, load=Load(requests=requests, concurrency=concurrency))
    found = preview(plan, Timing.of(preset))
    for stage in found.stages:
        assert 0 <= stage.at_least_seconds < stage.at_most_seconds, stage
    assert found.at_least_seconds < found.at_most_seconds


def test_the_least_time_follows_the_assumed_request_and_stability_times() -> None:
    """A slower request makes a longer run, and so does a longer hold of stability."""
    fast, slow = (preview(PLAN, TIMING, timedelta(seconds=seconds)).at_least_seconds for seconds in (1, 2))
    calls = 2 + len(PLAN.services)
    rounds = (
        3 * PLAN.steady_state.requests + 1 + calls + case_count(5) * -(-PLAN.load.requests // PLAN.load.concurrency)
    )
    assert slow - fast == pytest.approx(rounds)
    calm = KubernetesStability(kind="kubernetes", hold=timedelta(seconds=30))
    system = PLAN.system.model_copy(update={"stability": calm})
    waits = 1 + 2 + len(PLAN.services) + 2
    http = TIMING.stability_poll.total_seconds() * 2
    longer = preview(changed(system=system), TIMING).at_least_seconds - preview(PLAN, TIMING).at_least_seconds
    assert longer == pytest.approx(waits * (30 - http))


@pytest.mark.parametrize(
    ("most", "together", "rounds", "what"),
    [
        (1, 1, 5, "5 faults, one after the other"),
        (2, 2, 3, "5 faults, up to 2 at once"),
        (16, 5, 1, "5 faults, up to 5 at once"),
    ],
)
def test_more_faults_at_once_shorten_the_least_time_but_not_the_longest(
    most: int, together: int, rounds: int, what: str
) -> None:
    """In the worst case each fault has to wait for every other. Nothing stays on for longer.

    No request is sent while several services are broken together. Such a request takes at least a tenth of a second.
    """
    safety = PLAN.safety.model_copy(update={"max_active_faults": most})
    found, alone = preview(changed(safety=safety), TIMING), preview(PLAN, TIMING)
    assert found.faults_at_once == together
    stage, before = (next(listed for listed in shown.stages if "faults" in listed.what) for shown in (found, alone))
    assert stage.what == what
    assert stage.at_least_seconds == pytest.approx((before.at_least_seconds / 5 - 0.1 * (most > 1)) * rounds)
    assert (found.requests.broken == 0) == (most > 1)
    assert stage.at_most_seconds <= before.at_most_seconds
    assert found.worst_recovery_seconds <= alone.worst_recovery_seconds
    for first, second in zip(found.remains_on, alone.remains_on, strict=True):
        assert (first.kind, first.window_seconds <= second.window_seconds) == (second.kind, True)


def test_the_preview_contains_no_secret() -> None:
    """Neither the query, which may hold tokens, nor the values of references, nor any header or body."""
    document = read_plan_file(EXAMPLES / "shop.yaml")
    assert isinstance(document, dict)
    document["request"] = {
        "url": "http://127.0.0.1:18080/api/${env:PATH_KEY}/home?key=planted-1#planted-2",
        "headers": {"authorization": "Bearer ${env:TOKEN}", "x-other": "planted-3"},
        "query": {"key": "planted-4"},
        "method": "POST",
        "repeatable": True,
        "json": {"password": "planted-5"},
    }
    found = preview(Plan.model_validate(document), TIMING)
    assert found.url == "http://127.0.0.1:18080/api/***/home"
    text = found.model_dump_json()
    assert "planted" not in text
    assert "env:" not in text


def test_requests_to_controls_and_warm_ups_are_counted() -> None:
    """16 cases: the baseline alone, then 6, 6 and 3 beside a control. A warm-up precedes each of the four groups."""
    slo = PLAN.slo.model_copy(update={"regression": Regression()})
    found = preview(changed(slo=slo, load=Load(requests=100)), TIMING).requests
    assert (found.load, found.control, found.warm_up, found.at_most) == (1_600, 300, 4_000, False)
    assert found.total == 3 * PLAN.steady_state.requests + 1 + 3 + 5 * 4 + 1_600 + 300 + 4_000
    found = preview(changed(slo=slo, load=Load(max_requests=500, warm_up=50)), TIMING).requests
    assert (found.load, found.control, found.warm_up, found.at_most) == (8_000, 1_500, 200, True)


def test_a_plan_without_comparison_sends_no_control_and_no_warm_up() -> None:
    """Unless it sets a warm-up."""
    found = preview(PLAN, TIMING).requests
    assert (found.load, found.control, found.warm_up) == (16 * PLAN.load.requests, 0, 0)
    warm = preview(changed(load=Load(requests=3, warm_up=10)), TIMING).requests
    assert (warm.load, warm.control, warm.warm_up) == (48, 0, 160)


@pytest.mark.parametrize(
    "load", [{"requests": 100, "rate": "5/s"}, {"max_requests": 100}, {"max_requests": 99, "rate": "9/s"}]
)
def test_the_least_time_is_shorter_than_the_longest_in_every_load_model(load: dict[str, Any]) -> None:
    """Even if a case may be decided early, and if requests wait until they are due."""
    found = preview(changed(slo=PLAN.slo.model_copy(update={"regression": Regression()}), load=Load(**load)), TIMING)
    (stage,) = [listed for listed in found.stages if "load test" in listed.what]
    assert 0 < stage.at_least_seconds < stage.at_most_seconds


@pytest.mark.parametrize(("services", "more"), [(5, 10), (1_000, 50)])
def test_the_search_for_fallback_calls_counts_towards_the_longest_time(services: int, more: int) -> None:
    """Each service may be broken in two further rounds. Unless two faults at once are allowed, no pair is."""
    under_test = [ServiceUnderTest(name=f"s{number}", fault="remove") for number in range(services)]
    found = preview(changed(services=under_test), TIMING)
    assert found.discovery is not None
    assert (found.discovery.more_faults, found.discovery.two_faults, found.discovery.pairs_in_doubt) == (more, False, 0)
    (stage,) = [listed for listed in found.stages if "once more" in listed.what and "steady" not in listed.what]
    each = durations.fault_hold(PLAN) + PLAN.timeouts.recovery + TIMING.settle + PLAN.timeouts.stability
    assert (stage.at_least_seconds, stage.at_most_seconds) == (0, more * each.total_seconds())
    assert not any("in doubt" in listed.what for listed in found.stages)


def test_pairs_are_really_broken_only_if_two_faults_are_allowed() -> None:
    """They cost time, and stay on for as long as a fault may."""
    alone, found = (preview(PLAN, TIMING, faults_allowed=faults) for faults in (1, 2))
    assert found.discovery is not None
    assert (found.discovery.pairs_calling, found.discovery.pairs_in_doubt) == (10, 10)
    assert found.discovery.requests_each_pair == durations.pair_requests(PLAN)
    pairs = durations.pairs_hold(PLAN, 10).total_seconds()
    assert found.at_most_seconds == pytest.approx(alone.at_most_seconds + 2 * pairs)
    assert found.at_least_seconds == alone.at_least_seconds
    kinds = [{remaining.kind for remaining in shown.remains_on} for shown in (alone, found)]
    assert kinds[1] - kinds[0] == {WindowKind.PAIR_FAULT}
