"""What each of several batches may send that are measured at once: together never more than the plan allows.

A share is fixed by how many there may be, not by how many there are. So nobody has to be told when a batch ends, and a
worker that is lost takes no more with it than its share.
"""

from __future__ import annotations

from domain.measuring.load import LoadShare
from domain.plans.plan import Load, Plan


def shared(plan: Plan, share: LoadShare | None) -> Plan:
    """The plan as a batch with this share measures it; None: as it is."""
    return plan if share is None else plan.model_copy(update={"load": _load(plan.load, share)})


def least_share(plan: Plan) -> Plan:
    """The plan as the batch with the least share measures it, which takes longest."""
    at_once = plan.load.batches_at_once
    return shared(plan, LoadShare(lane=at_once - 1, of=at_once))


def largest_share(plan: Plan) -> Plan:
    """The plan as the batch with the largest share measures it."""
    return shared(plan, LoadShare(lane=0, of=plan.load.batches_at_once))


def _load(load: Load, share: LoadShare) -> Load:
    if load.rate is not None:
        # Arrivals at random stay so: as many independent ones as there are shares add up to the whole.
        return load.model_copy(update={"rate": load.rate / share.of})
    whole, rest = divmod(load.concurrency, share.of)
    return load.model_copy(update={"concurrency": whole + (share.lane < rest)})
