"""How long things may take: the bounds that TTLs and windows are made of."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from workflows.contracts.execution import Leftovers
from workflows.contracts.plan import Plan, Timeouts
from workflows.contracts.timing import Timing
from workflows.contracts.windows import MOST_ROUNDS, WindowKind
from workflows.logic.blocks import GROUP_SIZE, WARM_UP_BLOCK, blocks_of, longest_span, rounds_of
from workflows.logic.cases import BATCH_SIZE, pair_count, rounds_of_batches
from workflows.logic.sharing import largest_share, least_share

Moment = TypeVar("Moment", timedelta, datetime)
"""A time of its own, or one that is counted from something."""

CALL_LOOKS = 2
"""Healthy requests at the end of a round of discovery. The proxy collects what it has recorded from time to time: when
the second one is there, a whole collection has begun after everything before the first one."""

ANALYSIS_SENDS = 3
"""How often the request is sent at most for the analysis, when it fails."""

MOST_SINGLE_REQUESTS = 4
"""A service that is really broken alone is asked at most so often."""

MOST_DISCOVERY_PAIRS = 200
"""Pairs that discovery breaks for real at most, of one run."""

_MOST_CAPTURES = 200

MOST_PAIR_REQUESTS = 20
"""A pair with two real faults is asked at most so often: services stay broken for as long as that takes."""

LONGEST_RULES_TTL = timedelta(days=7)
"""The proxy forgets its sessions after this (`peer-contract` section 3.3): a longer life cannot be had."""


def preflight_bound(timeouts: Timeouts, leftovers: Leftovers) -> timedelta:
    """How long the look at a namespace may take before it is held: with time to clean up and to be stable again."""
    cleaning = timeouts.recovery + timeouts.stability if leftovers is Leftovers.CLEAN else timedelta(0)
    return timeouts.stability + cleaning


def case_bound(plan: Plan) -> timedelta:
    """Upper bound on measuring one case: every request taking its full timeout."""
    return _blocks_bound(plan, blocks_of(plan))


def least_case_time(plan: Plan, assumed: timedelta) -> timedelta:
    """What one case takes when each request takes `assumed`: with `max_requests`, when it is decided at once."""
    sizes = blocks_of(plan)
    if plan.load.max_requests is not None:
        sizes = sizes[:1]
    if plan.load.rate is not None:
        return max(assumed, timedelta(seconds=(sum(sizes) - len(sizes)) / plan.load.rate))
    return assumed * sum(rounds_of(size, plan.load.concurrency) for size in sizes)


def least_load_time(plan: Plan, arms: int, assumed: timedelta) -> timedelta:
    """What so many arms take when each request takes `assumed`, as many batches at once as there may be."""
    return least_case_time(largest_share(plan), assumed) * arms / plan.load.batches_at_once


def group_bound(plan: Plan, cases: int) -> timedelta:
    """Upper bound on one group of so many cases beside a control, where the plan compares, with its warm-up."""
    whole, rest = divmod(plan.warm_up, WARM_UP_BLOCK)
    warm_up = _blocks_bound(plan, [WARM_UP_BLOCK] * whole + [rest])
    return case_bound(plan) * (cases + plan.slo.compares) + warm_up


def _blocks_bound(plan: Plan, sizes: Sequence[int]) -> timedelta:
    """Upper bound on so many blocks, one after the other."""
    timeout, load = plan.request.timeout, plan.load
    if load.rate is None:
        return timeout * sum(rounds_of(size, load.concurrency) for size in sizes)
    return sum((timeout + timedelta(seconds=longest_span(size, load.rate)) for size in sizes if size), timedelta(0))


def batch_bound(plan: Plan) -> timedelta:
    """Upper bound on one batch, with room for the store and for seeing that the rules still act.

    Of those that are measured at once, on the one that may send least.
    """
    plan = least_share(plan)
    # The baseline is a group of its own.
    compared = [1] + [GROUP_SIZE] * -(-BATCH_SIZE // GROUP_SIZE)
    groups = compared if plan.slo.compares else [1] * BATCH_SIZE
    return sum((group_bound(plan, cases) for cases in groups), timedelta(0)) + timedelta(seconds=30)


def rules_ttl(plan: Plan, case_total: int) -> timedelta:
    """Life of the rules: longer than the waits after the upsert and the whole load test, at least `rules_ttl`."""
    waits = plan.timeouts.rules_ready * 2 + plan.timeouts.stability
    rounds = rounds_of_batches(case_total, BATCH_SIZE, plan.load.batches_at_once)
    needed = waits + batch_bound(plan) * rounds
    return min(max(plan.timeouts.rules_ttl, needed), LONGEST_RULES_TTL)


def recording_ttl(plan: Plan) -> timedelta:
    """Life of the recordings at the proxy, which counts whole seconds."""
    return timedelta(seconds=int(plan.timeouts.analyze.total_seconds()))


def fault_ttl(plan: Plan) -> timedelta:
    """Life of a fault at the fault service, which counts whole seconds."""
    return timedelta(seconds=int(plan.safety.fault_ttl.total_seconds()))


def analysis_start(dedupe: timedelta) -> timedelta:
    """How long an analysis may take to begin: time to give up one whose outcome is unknown, and to wait it out."""
    return dedupe * 3


def recording_hold(plan: Plan, dedupe: timedelta) -> timedelta:
    """How long a recording window may be open."""
    return plan.timeouts.analyze + analysis_start(dedupe) + timedelta(minutes=1)


def recordings_start(services: int) -> timedelta:
    """How long it may take until recordings are on: the proxy answers when the rollout is over, after 5 min at most."""
    return timedelta(minutes=5, seconds=30) * -(-services // 8)


def earlier_recordings(timing: Timing) -> timedelta:
    """How long recordings of a dead attempt may take to end: a rollout to stop them, and one in which none comes on."""
    return timing.rollout * 2


def most_captures(services: int) -> int:
    """Services whose failure discovery captures once more at most, in each round, of a plan with so many.

    Each fault window costs the run's history some nine events, of which the server warns from ten thousand on; a
    thousand services leave room for 25 (`benchmarks/b4_thousand_services.py`).
    """
    return min(_MOST_CAPTURES, max(0, 1_050 - services) // (MOST_ROUNDS - 1))


def single_requests(plan: Plan) -> int:
    """How often a service that is really broken alone is asked: as often as the load test asks at once.

    Not at all where several services are broken at once: what a request gets then is no single failure's doing.
    """
    if plan.safety.max_active_faults > 1:
        return 0
    return min(plan.load.most_requests, plan.load.concurrency, MOST_SINGLE_REQUESTS)


def single_asking(plan: Plan) -> timedelta:
    """Upper bound on asking a service that is really broken, as `pair_asking`."""
    requests = single_requests(plan)
    return _asking(plan, requests) if requests else timedelta(0)


def reading_calls(plan: Plan) -> timedelta:
    """Return the upper bound of one reading: each healthy request may be sent again while callers recover."""
    return plan.timeouts.analyze + (plan.timeouts.stability + plan.request.timeout) * CALL_LOOKS


def calls_hold(plan: Plan) -> timedelta:
    """How long recordings of calls may be open: with a fault in each service in every round, and all pairs.

    A bound for what never ends, not an estimate: everything inside has bounds of its own.
    """
    each = fault_hold(plan) + plan.timeouts.recovery + plan.timeouts.stability
    services = len(plan.services)
    faults = each * services * MOST_ROUNDS
    pairs = pairs_hold(plan, min(MOST_DISCOVERY_PAIRS, pair_count(services)))
    reading = reading_calls(plan) * MOST_ROUNDS
    return min(recordings_start(services) + plan.timeouts.stability * 2 + faults + pairs + reading, LONGEST_RULES_TTL)


def calls_ttl(plan: Plan) -> timedelta:
    """Life of recordings of calls at the proxy: what ends them when no worker is left.

    Not the bound of everything inside, which is hours: where a run takes longer than this, what is missing makes its
    round of discovery incomplete, and pairs inconclusive.
    """
    usual = timedelta(minutes=30) + timedelta(minutes=10) * len(plan.services)
    return timedelta(seconds=int(min(calls_hold(plan), usual).total_seconds()))


def fault_hold(plan: Plan) -> timedelta:
    """How long a fault window may be open: the fault's own TTL is the bound."""
    needed = plan.timeouts.fault_running + plan.timeouts.replay + single_asking(plan) + timedelta(minutes=1)
    return min(plan.safety.fault_ttl, needed)


def pair_requests(plan: Plan) -> int:
    """How often a pair with two real faults is asked: as often as the load test asks, and not for long."""
    return min(plan.load.most_requests, MOST_PAIR_REQUESTS)


def pair_asking(plan: Plan) -> timedelta:
    """Upper bound on asking a pair: every request taking its full timeout, and room to look at the faults."""
    return _asking(plan, pair_requests(plan))


def _asking(plan: Plan, requests: int) -> timedelta:
    room = timedelta(seconds=30)
    if plan.load.rate is not None:
        return timedelta(seconds=requests / plan.load.rate) + plan.request.timeout + room
    return plan.request.timeout * -(-requests // min(plan.load.concurrency, requests)) + room


def pair_fault_hold(plan: Plan) -> timedelta:
    """How long each of a pair's two fault windows may be open: it may have to wait for the other one to be on."""
    return min(plan.safety.fault_ttl, plan.timeouts.fault_running + pair_asking(plan) + timedelta(minutes=1))


def pairs_hold(plan: Plan, pairs: int) -> timedelta:
    """How long a window that verifies so many pairs may be open."""
    return (pair_fault_hold(plan) + plan.timeouts.recovery + plan.timeouts.stability) * pairs + timedelta(minutes=1)


def most_at_once(plan: Plan) -> int:
    """How many faults can be on at once."""
    return min(plan.safety.max_active_faults, len(plan.services))


def due_after(hold: timedelta, recovery: timedelta) -> timedelta:
    """When a window that may be open for `hold` must have closed, counted from its intent: its ledger row's time."""
    return hold + recovery


def overdue_after(due: Moment, timing: Timing) -> Moment:
    """When a window that must have closed by `due` is overdue: from then on others close what it has on."""
    return due + timing.close_grace


def swept_after(due: timedelta, timing: Timing) -> timedelta:
    """When the sweeper has stepped in, counted from the intent: at its first look after the window is overdue."""
    return overdue_after(due, timing) + timing.sweep_every


def acts_after_end(kind: WindowKind, services: int, timing: Timing) -> timedelta:
    """How long after a window's end a call of it may still switch something on, at most.

    Its worker hears of the end with a heartbeat, and may begin a call until then; the call takes all its time; and
    the peer goes on working after its caller has given up.
    """
    # Starting a recording of calls answers when the rollout is over.
    longest = {WindowKind.RULES: timing.upsert(services), WindowKind.CALLS: max(timing.rollout, timing.call_timeout)}
    call = longest.get(kind, timing.call_timeout)
    return timing.heartbeat_timeout + call + timing.settle


def settled_within(recovery: timedelta, services: int, timing: Timing) -> timedelta:
    """How long the lock waits, when its run has ended, for the rows of its windows.

    For those that close late, and for those that the sweeper keeps open because a call of them may still act.
    """
    longest = max(acts_after_end(kind, services, timing) for kind in (WindowKind.RULES, WindowKind.CALLS))
    return overdue_after(recovery, timing) + longest
