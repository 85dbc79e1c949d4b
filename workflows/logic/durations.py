"""How long things may take: the bounds that TTLs and windows are made of."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TypeVar

from workflows.contracts.execution import Leftovers
from workflows.contracts.plan import Plan, Timeouts
from workflows.contracts.timing import Timing
from workflows.contracts.windows import WindowKind
from workflows.logic.cases import BATCH_SIZE

Moment = TypeVar("Moment", timedelta, datetime)
"""A time of its own, or one that is counted from something."""

ANALYSIS_SENDS = 3
"""How often the request is sent at most for the analysis, when it fails."""

LONGEST_RULES_TTL = timedelta(days=7)
"""The proxy forgets its sessions after this (`peer-contract` section 3.3): a longer life cannot be had."""


def preflight_bound(timeouts: Timeouts, leftovers: Leftovers) -> timedelta:
    """How long the look at a namespace may take before it is held: with time to clean up and to be stable again."""
    cleaning = timeouts.recovery + timeouts.stability if leftovers is Leftovers.CLEAN else timedelta(0)
    return timeouts.stability + cleaning


def case_rounds(plan: Plan) -> int:
    """How often one case's requests are in flight, as many at once as there may be."""
    return -(-plan.load.requests // min(plan.load.concurrency, plan.load.requests))


def case_bound(plan: Plan) -> timedelta:
    """Upper bound on measuring one case: every request taking its full timeout."""
    return plan.request.timeout * case_rounds(plan)


def batch_bound(plan: Plan) -> timedelta:
    """Upper bound on one batch, with room for the store and for seeing that the rules still act."""
    return case_bound(plan) * BATCH_SIZE + timedelta(seconds=30)


def rules_ttl(plan: Plan, case_total: int) -> timedelta:
    """Life of the rules: longer than the waits after the upsert and the whole load test, at least `rules_ttl`."""
    waits = plan.timeouts.rules_ready * 2 + plan.timeouts.stability
    batches = -(-case_total // BATCH_SIZE)
    needed = waits + batch_bound(plan) * batches
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


def fault_hold(plan: Plan) -> timedelta:
    """How long a fault window may be open: the fault's own TTL is the bound."""
    return min(plan.safety.fault_ttl, plan.timeouts.fault_running + plan.timeouts.replay + timedelta(minutes=1))


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
    call = timing.upsert(services) if kind is WindowKind.RULES else timing.call_timeout
    return timing.heartbeat_timeout + call + timing.settle


def settled_within(recovery: timedelta, services: int, timing: Timing) -> timedelta:
    """How long the lock waits, when its run has ended, for the rows of its windows.

    For those that close late, and for those that the sweeper keeps open because a call of them may still act.
    """
    return overdue_after(recovery, timing) + acts_after_end(WindowKind.RULES, services, timing)
