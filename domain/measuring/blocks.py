"""How cases are measured beside each other: groups, the blocks of an arm, the order of both, and what decides it.

Cases that are compared with the baseline are measured in groups, each with baseline requests of its own among those of
its cases: what drifts, drifts for all of them (`measuring` section 1).
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
"""Cases at most that share a control: with more, the rounds of a group would be minutes apart."""

BLOCK = 20
"""Requests of a block, or a few more: the least number of which the workers' idle time at its end is not most of it."""

MOST_BLOCKS = 200
"""Blocks of an arm; of very many requests the blocks grow instead."""

WARM_UP_BLOCK = 50
"""Requests of a block while warming up (`measuring` section 1)."""

_SEED_BITS = 53
_SPREADS = 6
_FEW = 20

Arm = TypeVar("Arm")


def groups_of(plan: Plan, cases: Sequence[Case]) -> list[list[Case]]:
    """Cases in their order, cut into what is measured and stored together.

    Each alone where nothing is compared. Else the baseline alone, because `stop.baseline` may end the load test after
    it, and the others six at a time. What is left of a batch after some groups were stored is cut as before.
    """
    if not plan.slo.compares:
        return [[case] for case in cases]
    baseline = [[case] for case in cases if case.case_type is CaseType.BASELINE]
    others = [case for case in cases if case.case_type is not CaseType.BASELINE]
    return baseline + [others[first : first + GROUP_SIZE] for first in range(0, len(others), GROUP_SIZE)]


def has_control(plan: Plan, group: Sequence[Case]) -> bool:
    """Whether baseline requests are sent among those of a group: not beside the baseline itself."""
    return plan.slo.compares and any(case.case_type is not CaseType.BASELINE for case in group)


def seed_of(execution_id: int, first_index: int) -> int:
    """The seed of a group, 53 bits: the same whenever the group is measured again."""
    digest = hashlib.sha256(f"{execution_id}/{first_index}".encode()).digest()
    return int.from_bytes(digest) >> (8 * len(digest) - _SEED_BITS)


def block_sizes(load: Load) -> list[int]:
    """The requests of an arm as blocks: all of the same size but the last one; whole rounds of the workers."""
    requests = load.most_requests
    at_once = 1 if load.rate else load.concurrency
    size = at_once * ceil(max(BLOCK, requests / MOST_BLOCKS) / at_once)
    whole, rest = divmod(requests, size)
    return [size] * whole + ([rest] if rest else [])


def blocks_of(plan: Plan) -> list[int]:
    """The blocks of an arm: one where nothing is compared, because there is nothing to put between."""
    return block_sizes(plan.load) if plan.slo.compares else [plan.load.most_requests]


def shuffled(arms: Sequence[Arm], seed: int, round_: int) -> list[Arm]:
    """The order of the arms in a round, at random: which one follows which must not matter.

    It depends on nothing but seed, round and number of arms, so it can be told afterwards.
    """
    order = list(arms)
    random.Random(f"{seed}/{round_}").shuffle(order)  # noqa: S311 - an order, no secret
    return order


def arrival_seed(seed: int, round_: int, arm: int) -> int:
    """Decides when the requests of one block of an open model begin."""
    return seed_of(seed, round_ * (GROUP_SIZE + 1) + arm)


def rounds_of(requests: int, concurrency: int) -> int:
    """How often requests are in flight, as many at once as there may be."""
    return -(-requests // min(concurrency, requests)) if requests else 0


def longest_span(requests: int, rate: float) -> float:
    """Seconds from the beginning of a block until its last request is due; arrivals at random take no longer."""
    return (requests + _SPREADS * sqrt(requests) + _FEW) / rate if requests else 0.0
