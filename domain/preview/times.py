"""How long a run takes, and how long anything can remain on.

Both follow from what bounds the windows.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from domain.cases.cases import case_count
from domain.executions.windows import MOST_ROUNDS, WindowKind
from domain.plans.durations import (
    calls_hold,
    calls_ttl,
    due_after,
    fault_hold,
    fault_ttl,
    least_load_time,
    most_at_once,
    pair_fault_hold,
    pairs_hold,
    reading_calls,
    recording_hold,
    recording_ttl,
    recordings_start,
    rules_ttl,
    single_requests,
    swept_after,
)
from domain.plans.plan import Plan
from domain.plans.system import KubernetesStability
from domain.preview.model import DiscoveryPreview, OnPreview, StagePreview
from domain.resilience.model import Phase
from domain.timing import Timing

_NOTHING = timedelta(0)


def stages(
    plan: Plan, timing: Timing, arms: int, assumed: timedelta, discovery: DiscoveryPreview
) -> list[StagePreview]:
    """Return the parts of a run, with their minimum and maximum times.

    At least: each request takes `assumed`, every peer acts at once, and every wait succeeds at the first look. At most:
    every timeout is reached, and every closing takes its whole time. Neither includes waiting for another run, pauses,
    or time without a worker, server or store. `arms`: the run's measured cases and the controls beside them.
    """
    calm = _least_stability_time(plan, timing)
    limits = plan.timeouts
    services = len(plan.services)
    requests = plan.steady_state.requests if plan.steady_state.check else 0
    steady = assumed * requests
    again = limits.stability * 2 if requests else _NOTHING
    closing = limits.recovery + timing.settle + limits.stability
    load = least_load_time(plan, arms, assumed)
    rules = rules_ttl(plan, case_count(services)) + closing
    recording = recording_hold(plan, timing.analyze_dedupe) + closing
    together = most_at_once(plan)
    once = min(plan.request.timeout * requests, limits.stability)
    return [
        _stage(Phase.GENERATING_CASES, "lock the namespace, see that it is clean", _NOTHING, limits.stability),
        _stage(Phase.GENERATING_CASES, "steady state before", steady, once),
        _stage(Phase.ANALYZING_PATTERNS, "record one request", assumed + calm, recording),
        _stage(
            Phase.INJECTING_AND_REPLAYING,
            "record calls, on and off",
            (assumed + calm) * 2,
            _recording_calls(plan) + closing,
        ),
        _stage(
            Phase.INJECTING_AND_REPLAYING,
            f"{services} faults, " + ("one after the other" if together == 1 else f"up to {together} at once"),
            # No fewer rounds are possible. The call paths may require more, up to one round for each service.
            (calm + _least_sending_time(plan, assumed)) * -(-services // together),
            (fault_hold(plan) + closing) * services,
        ),
        _stage(
            Phase.INJECTING_AND_REPLAYING,
            "break what receives fallback calls once more",
            _NOTHING,
            (fault_hold(plan) + closing) * discovery.more_faults
            + (pairs_hold(plan, discovery.pairs_calling) if discovery.pairs_calling else _NOTHING),
        ),
        _stage(Phase.LOAD_TEST_BASELINE, "rules on, load test, rules off", load + calm * 2, rules),
        *_pairs_in_doubt(plan, discovery),
        _stage(Phase.DONE, "steady state after", steady, again),
        _stage(Phase.DONE, "see that nothing is on, then the steady state once more", steady, limits.stability + again),
    ]


def _recording_calls(plan: Plan) -> timedelta:
    """Return the longest time that recording calls takes.

    It covers the start of the recordings, the first healthy request, and the reading in each round.
    """
    healthy = plan.timeouts.stability * 2 + plan.request.timeout
    return recordings_start(len(plan.services)) + healthy + reading_calls(plan) * MOST_ROUNDS


def _least_sending_time(plan: Plan, assumed: timedelta) -> timedelta:
    """Return the minimum time of the requests to a broken service.

    They are sent all at once, or at the plan's rate.
    """
    rate = plan.load.rate
    requests = single_requests(plan)
    if not requests:
        return timedelta(0)
    return assumed if rate is None else assumed + timedelta(seconds=(requests - 1) / rate)


def _pairs_in_doubt(plan: Plan, discovery: DiscoveryPreview) -> list[StagePreview]:
    if not discovery.pairs_in_doubt:
        return []
    most = pairs_hold(plan, discovery.pairs_in_doubt)
    return [_stage(Phase.LOAD_TEST_BASELINE, "pairs in doubt, with two real faults", _NOTHING, most)]


def _least_stability_time(plan: Plan, timing: Timing) -> timedelta:
    """Return the minimum time that finding a service stable takes."""
    stability = plan.system.stability
    if isinstance(stability, KubernetesStability):
        return stability.hold
    return timing.stability_poll * (stability.consecutive - 1)


def _stage(phase: Phase, what: str, least: timedelta, most: timedelta) -> StagePreview:
    return StagePreview(
        phase=phase, what=what, at_least_seconds=least.total_seconds(), at_most_seconds=most.total_seconds()
    )


def remains_on(plan: Plan, timing: Timing, discovery: DiscoveryPreview) -> list[OnPreview]:
    """Return how long everything that is switched on can remain on.

    There are three limits: the peer's own, the window's and the sweeper's.
    """
    rules = rules_ttl(plan, case_count(len(plan.services)))
    bounds = {
        WindowKind.RECORDING: (recording_ttl(plan), recording_hold(plan, timing.analyze_dedupe)),
        WindowKind.CALLS: (calls_ttl(plan), calls_hold(plan)),
        WindowKind.FAULT: (fault_ttl(plan), fault_hold(plan)),
        WindowKind.RULES: (rules, rules),
    }
    if discovery.two_faults:
        bounds[WindowKind.PAIR_FAULT] = fault_ttl(plan), pair_fault_hold(plan)
    return [_on(kind, ttl, due_after(hold, plan.timeouts.recovery), timing) for kind, (ttl, hold) in bounds.items()]


def _on(kind: WindowKind, ttl: timedelta, due: timedelta, timing: Timing) -> OnPreview:
    return OnPreview(
        kind=kind,
        ttl_seconds=int(ttl.total_seconds()),
        window_seconds=due.total_seconds(),
        swept_seconds=swept_after(due, timing).total_seconds(),
    )


def worst_recovery(on: Sequence[OnPreview], timing: Timing) -> float:
    """Return the longest of the peers' own limits, plus one sweeper interval.

    By then the sweeper has seen that it is off.
    """
    return max(item.ttl_seconds for item in on) + timing.sweep_every.total_seconds()
