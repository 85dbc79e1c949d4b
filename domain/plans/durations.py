"""How long things may take: the bounds behind TTLs and windows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from domain.cases.cases import BATCH_SIZE, pair_count, rounds_of_batches
from domain.executions.execution import Leftovers
from domain.executions.windows import MOST_ROUNDS, WindowKind
from domain.measuring.blocks import GROUP_SIZE, WARM_UP_BLOCK, blocks_of, longest_span, rounds_of
from domain.measuring.sharing import largest_share, least_share
from domain.plans.plan import Plan, Timeouts
from domain.timing import Timing

Moment = TypeVar("Moment", timedelta, datetime)
"""A duration, or a point in time."""

CALL_LOOKS = 2
"""Healthy requests at the end of a round of discovery. The proxy collects its recordings from time to time. Once the
second request shows up in them, a whole collection has started after everything before the first request."""

ANALYSIS_SENDS = 3
"""Maximum number of attempts to send the request for the analysis."""

MOST_SINGLE_REQUESTS = 4
"""Maximum number of requests sent while a single service is really broken."""

MOST_DISCOVERY_PAIRS = 200
"""Maximum number of pairs that discovery breaks for real in one run."""

_MOST_CAPTURES = 200

MOST_PAIR_REQUESTS = 20
"""Maximum number of requests sent to a pair with two real faults. Services stay broken for as long as they take."""

LONGEST_RULES_TTL = timedelta(days=7)
"""Longest TTL that rules can have. The proxy forgets its sessions after this (`peer-contract` section 3.3)."""


def preflight_bound(timeouts: Timeouts, leftovers: Leftovers) -> timedelta:
    """Return how long the preflight check of a namespace may take.

    It runs before the namespace is held. With `Leftovers.CLEAN`, it includes time to clean and to become stable again.
    """
    cleaning = timeouts.recovery + timeouts.stability if leftovers is Leftovers.CLEAN else timedelta(0)
    return timeouts.stability + cleaning


def case_bound(plan: Plan) -> timedelta:
    """Return the upper bound on measuring one case.

    It assumes that every request takes its full timeout.
    """
    return _blocks_bound(plan, blocks_of(plan))


def least_case_time(plan: Plan, assumed: timedelta) -> timedelta:
    """Return the time for one case if each request takes `assumed`.

    With `max_requests`, it assumes that the case is decided after its first block.
    """
    sizes = blocks_of(plan)
    if plan.load.max_requests is not None:
        sizes = sizes[:1]
    if plan.load.rate is not None:
        return max(assumed, timedelta(seconds=(sum(sizes) - len(sizes)) / plan.load.rate))
    return assumed * sum(rounds_of(size, plan.load.concurrency) for size in sizes)


def least_load_time(plan: Plan, arms: int, assumed: timedelta) -> timedelta:
    """Return the time for all `arms` if each request takes `assumed`.

    As many batches run at once as the plan allows.
    """
    return least_case_time(largest_share(plan), assumed) * arms / plan.load.batches_at_once


def group_bound(plan: Plan, cases: int) -> timedelta:
    """Return the upper bound on one group of this many cases.

    It includes the warm-up, and a control beside the cases if the plan compares.
    """
    whole, rest = divmod(plan.warm_up, WARM_UP_BLOCK)
    warm_up = _blocks_bound(plan, [WARM_UP_BLOCK] * whole + [rest])
    return case_bound(plan) * (cases + plan.slo.compares) + warm_up


def _blocks_bound(plan: Plan, sizes: Sequence[int]) -> timedelta:
    """Return the upper bound on blocks of these sizes in a row."""
    timeout = plan.request.timeout
    load = plan.load
    if load.rate is None:
        return timeout * sum(rounds_of(size, load.concurrency) for size in sizes)
    return sum((timeout + timedelta(seconds=longest_span(size, load.rate)) for size in sizes if size), timedelta(0))


def batch_bound(plan: Plan) -> timedelta:
    """Return the upper bound on one batch.

    It includes time for the store, and for checking that the rules still act. If several batches are measured at once,
    it bounds the one with the least share of the load.
    """
    plan = least_share(plan)
    # The baseline is a group of its own.
    compared = [1] + [GROUP_SIZE] * -(-BATCH_SIZE // GROUP_SIZE)
    groups = compared if plan.slo.compares else [1] * BATCH_SIZE
    return sum((group_bound(plan, cases) for cases in groups), timedelta(0)) + timedelta(seconds=30)


def rules_ttl(plan: Plan, case_total: int) -> timedelta:
    """Return the TTL of the rules, at least `timeouts.rules_ttl`.

    It outlasts the waits after the upsert and the whole load test, up to `LONGEST_RULES_TTL`.
    """
    waits = plan.timeouts.rules_ready * 2 + plan.timeouts.stability
    rounds = rounds_of_batches(case_total, BATCH_SIZE, plan.load.batches_at_once)
    needed = waits + batch_bound(plan) * rounds
    return min(max(plan.timeouts.rules_ttl, needed), LONGEST_RULES_TTL)


def recording_ttl(plan: Plan) -> timedelta:
    """Return the TTL of recordings at the proxy, which counts whole seconds."""
    return timedelta(seconds=int(plan.timeouts.analyze.total_seconds()))


def fault_ttl(plan: Plan) -> timedelta:
    """Return the TTL of a fault; the fault service counts whole seconds."""
    return timedelta(seconds=int(plan.safety.fault_ttl.total_seconds()))


def analysis_start(dedupe: timedelta) -> timedelta:
    """Return how long an analysis may take to start.

    This leaves time to give up an earlier one whose outcome is unknown, and to wait until it is over.
    """
    return dedupe * 3


def recording_hold(plan: Plan, dedupe: timedelta) -> timedelta:
    """Return how long a recording window may be open."""
    return plan.timeouts.analyze + analysis_start(dedupe) + timedelta(minutes=1)


def recordings_start(services: int) -> timedelta:
    """Return how long it may take until recordings are active.

    The proxy answers when the rollout is over, after at most 5 min.
    """
    # Recordings of eight services start at once.
    return timedelta(minutes=5, seconds=30) * -(-services // 8)


def earlier_recordings(timing: Timing) -> timedelta:
    """Return how long recordings of a dead attempt may take to end.

    One rollout stops them, and during another none may become active again.
    """
    return timing.rollout * 2


def most_captures(services: int) -> int:
    """Return how many services discovery may capture again per round.

    `services` is the number of services in the plan. Each fault window adds some nine events to the run's history, and
    the server warns from ten thousand events on. A thousand services leave room for 25 captures
    (`benchmarks/b4_thousand_services.py`).
    """
    return min(_MOST_CAPTURES, max(0, 1_050 - services) // (MOST_ROUNDS - 1))


def single_requests(plan: Plan) -> int:
    """Return how many requests to send while one service is broken.

    That is as many as the load test has in flight at once, but at most `MOST_SINGLE_REQUESTS`.
    """
    if plan.safety.max_active_faults > 1:
        # Several services are broken at once, so an answer is not the effect of a single failure.
        return 0
    return min(plan.load.most_requests, plan.load.concurrency, MOST_SINGLE_REQUESTS)


def single_asking(plan: Plan) -> timedelta:
    """Return the upper bound on requests to a single broken service.

    It is computed like `pair_asking`.
    """
    requests = single_requests(plan)
    return _sending_bound(plan, requests) if requests else timedelta(0)


def reading_calls(plan: Plan) -> timedelta:
    """Return the upper bound on one reading of the recorded calls.

    Each healthy request may be sent again while callers recover.
    """
    return plan.timeouts.analyze + (plan.timeouts.stability + plan.request.timeout) * CALL_LOOKS


def calls_hold(plan: Plan) -> timedelta:
    """Return how long recordings of calls may be open.

    This allows for a fault in each service in every round, and for all pairs. It is a bound in case something never
    ends, not an estimate: everything inside has bounds of its own.
    """
    per_fault = fault_hold(plan) + plan.timeouts.recovery + plan.timeouts.stability
    services = len(plan.services)
    faults = per_fault * services * MOST_ROUNDS
    pairs = pairs_hold(plan, min(MOST_DISCOVERY_PAIRS, pair_count(services)))
    reading = reading_calls(plan) * MOST_ROUNDS
    return min(recordings_start(services) + plan.timeouts.stability * 2 + faults + pairs + reading, LONGEST_RULES_TTL)


def calls_ttl(plan: Plan) -> timedelta:
    """Return the TTL of recordings of calls at the proxy.

    It ends them when no worker is left. It is not the bound of everything inside, which is hours. If a run takes longer
    than this TTL, the missing calls make its round of discovery incomplete, and pairs inconclusive.
    """
    usual = timedelta(minutes=30) + timedelta(minutes=10) * len(plan.services)
    return timedelta(seconds=int(min(calls_hold(plan), usual).total_seconds()))


def fault_hold(plan: Plan) -> timedelta:
    """Return how long a fault window may be open.

    The fault's own TTL is the bound.
    """
    needed = plan.timeouts.fault_running + plan.timeouts.replay + single_asking(plan) + timedelta(minutes=1)
    return min(plan.safety.fault_ttl, needed)


def pair_requests(plan: Plan) -> int:
    """Return how many requests to send to a pair with two faults.

    That is as many as the load test sends per case, but at most `MOST_PAIR_REQUESTS`.
    """
    return min(plan.load.most_requests, MOST_PAIR_REQUESTS)


def pair_asking(plan: Plan) -> timedelta:
    """Return the upper bound on the requests to a pair.

    It assumes that every request takes its full timeout, and includes time to check the faults.
    """
    return _sending_bound(plan, pair_requests(plan))


def _sending_bound(plan: Plan, requests: int) -> timedelta:
    margin = timedelta(seconds=30)
    if plan.load.rate is not None:
        return timedelta(seconds=requests / plan.load.rate) + plan.request.timeout + margin
    return plan.request.timeout * -(-requests // min(plan.load.concurrency, requests)) + margin


def pair_fault_hold(plan: Plan) -> timedelta:
    """Return how long each fault window of a pair may be open.

    It may have to wait until the other fault is active.
    """
    return min(plan.safety.fault_ttl, plan.timeouts.fault_running + pair_asking(plan) + timedelta(minutes=1))


def pairs_hold(plan: Plan, pairs: int) -> timedelta:
    """Return how long a window verifying this many pairs may be open."""
    return (pair_fault_hold(plan) + plan.timeouts.recovery + plan.timeouts.stability) * pairs + timedelta(minutes=1)


def most_at_once(plan: Plan) -> int:
    """Return how many faults can be active at once."""
    return min(plan.safety.max_active_faults, len(plan.services))


def due_after(hold: timedelta, recovery: timedelta) -> timedelta:
    """Return when a window open for up to `hold` must have closed.

    It is counted from the window's intent, which is the time of its ledger row.
    """
    return hold + recovery


def overdue_after(due: Moment, timing: Timing) -> Moment:
    """Return when a window that must have closed by `due` is overdue.

    From then on, others close what it has switched on.
    """
    return due + timing.close_grace


def swept_after(due: timedelta, timing: Timing) -> timedelta:
    """Return when the sweeper has stepped in, counted from the intent.

    It steps in at its first look after the window is overdue.
    """
    return overdue_after(due, timing) + timing.sweep_every


def acts_after_end(kind: WindowKind, services: int, timing: Timing) -> timedelta:
    """Return how long after its end a window may still act.

    One of its calls may switch something on until then. The worker learns of the end with a heartbeat, and may start a
    call until it does. The call may take its full timeout, and the peer keeps working after its caller has given up.
    """
    # Starting a recording of calls answers when the rollout is over.
    longest = {WindowKind.RULES: timing.upsert(services), WindowKind.CALLS: max(timing.rollout, timing.call_timeout)}
    call = longest.get(kind, timing.call_timeout)
    return timing.heartbeat_timeout + call + timing.settle


def settled_within(recovery: timedelta, services: int, timing: Timing) -> timedelta:
    """Return how long the lock waits for a run's windows to settle.

    It waits for their ledger rows, after the run has ended. Some windows close late, and the sweeper keeps others open
    because one of their calls may still act.
    """
    longest = max(acts_after_end(kind, services, timing) for kind in (WindowKind.RULES, WindowKind.CALLS))
    return overdue_after(recovery, timing) + longest
