"""Shares of the plan's load for batches that are measured at once.

Together the batches never send more than the plan allows. A share depends on how many batches there may be, not on how
many there are. Nobody has to be notified when a batch ends, and a lost worker takes only its own share with it.
"""

from __future__ import annotations

from domain.measuring.load import LoadShare
from domain.plans.plan import Load, Plan


def shared(plan: Plan, share: LoadShare | None) -> Plan:
    """Return the plan as a batch with this share measures it.

    Without a share the plan is unchanged.
    """
    return plan if share is None else plan.model_copy(update={"load": _load(plan.load, share)})


def least_share(plan: Plan) -> Plan:
    """Return the plan for the smallest share, whose batch takes longest."""
    at_once = plan.load.batches_at_once
    return shared(plan, LoadShare(lane=at_once - 1, of=at_once))


def largest_share(plan: Plan) -> Plan:
    """Return the plan for the largest share."""
    return shared(plan, LoadShare(lane=0, of=plan.load.batches_at_once))


def _load(load: Load, share: LoadShare) -> Load:
    if load.rate is not None:
        # Random arrivals stay random: the independent streams of all shares add up to the whole.
        return load.model_copy(update={"rate": load.rate / share.of})
    whole, rest = divmod(load.concurrency, share.of)
    # The first lanes take what division leaves over.
    return load.model_copy(update={"concurrency": whole + (share.lane < rest)})
