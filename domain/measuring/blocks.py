"""Groups of cases, blocks of requests, and the order of both.

Cases that are compared with the baseline are measured in groups. Each group has baseline requests of its own among
those of its cases, so that drift affects all of them alike (`measuring` section 1). A seed decides the order.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from math import ceil, sqrt
from typing import TypeVar

from domain.measuring.load import Case, CaseType
from domain.plans.plan import Load, Plan

GROUP_SIZE = 6
"""Cases that share a control, at most. With more, the rounds of a group would be minutes apart."""

BLOCK = 20
"""Requests of a block, or a few more. Workers would spend most of a smaller block idle, waiting for its end."""

MOST_BLOCKS = 200
"""Blocks of an arm, at most. With very many requests the blocks grow instead."""

WARM_UP_BLOCK = 50
"""Requests of a block while warming up (`measuring` section 1)."""

_SEED_BITS = 53
# Bound for random arrivals: six standard deviations, plus twenty requests for short blocks.
_SPREADS = 6
_FEW = 20

Arm = TypeVar("Arm")


def groups_of(plan: Plan, cases: Sequence[Case]) -> list[list[Case]]:
    """Cut cases, in their order, into groups measured and stored together.

    If nothing is compared, each case is a group of its own. Otherwise the baseline is alone, because `stop.baseline`
    may end the load test after it. The other cases follow six at a time. If some groups of a batch are stored already,
    the rest of it is cut as before.
    """
    if not plan.slo.compares:
        return [[case] for case in cases]
    baseline = [[case] for case in cases if case.case_type is CaseType.BASELINE]
    others = [case for case in cases if case.case_type is not CaseType.BASELINE]
    return baseline + [others[first : first + GROUP_SIZE] for first in range(0, len(others), GROUP_SIZE)]


def has_control(plan: Plan, group: Sequence[Case]) -> bool:
    """Return whether a group is measured with baseline requests of its own.

    The baseline itself is not.
    """
    return plan.slo.compares and any(case.case_type is not CaseType.BASELINE for case in group)


def seed_of(execution_id: int, first_index: int) -> int:
    """Return the seed of a group, 53 bits.

    It is the same whenever the group is measured again.
    """
    digest = hashlib.sha256(f"{execution_id}/{first_index}".encode()).digest()
    return int.from_bytes(digest) >> (8 * len(digest) - _SEED_BITS)


def block_sizes(load: Load) -> list[int]:
    """Cut the requests of an arm into blocks.

    All blocks except the last have the same size, which fills whole rounds of the workers.
    """
    requests = load.most_requests
    # In an open model there are no rounds of workers to fill.
    at_once = 1 if load.rate else load.concurrency
    size = at_once * ceil(max(BLOCK, requests / MOST_BLOCKS) / at_once)
    whole, rest = divmod(requests, size)
    return [size] * whole + ([rest] if rest else [])


def blocks_of(plan: Plan) -> list[int]:
    """Return the sizes of an arm's blocks.

    A single block if nothing is compared, because there is nothing to put between blocks.
    """
    return block_sizes(plan.load) if plan.slo.compares else [plan.load.most_requests]


def shuffled(arms: Sequence[Arm], seed: int, round_: int) -> list[Arm]:
    """Return the arms of a round in random order.

    The order is random because it must not matter which arm follows which. It depends only on seed, round and number of
    arms, so it can be reproduced afterwards.
    """
    order = list(arms)
    random.Random(f"{seed}/{round_}").shuffle(order)  # noqa: S311 - an order, no secret
    return order


def arrival_seed(seed: int, round_: int, arm: int) -> int:
    """Return the seed of the arrival times of one open-model block."""
    return seed_of(seed, round_ * (GROUP_SIZE + 1) + arm)


def rounds_of(requests: int, concurrency: int) -> int:
    """Return how many rounds the requests take at full concurrency."""
    return -(-requests // min(concurrency, requests)) if requests else 0


def longest_span(requests: int, rate: float) -> float:
    """Return the most seconds until a block's last request is due.

    Counted from the block's start. Random arrivals take no longer.
    """
    return (requests + _SPREADS * sqrt(requests) + _FEW) / rate if requests else 0.0
