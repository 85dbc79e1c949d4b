"""Comparison of cases with the control measured beside them.

It runs after every round, to end early, and once more when everything is measured.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from activities.load.arms import ArmRun
from domain.cases.cases import case_count
from domain.measuring.blocks import seed_of
from domain.measuring.comparison import Comparison, Finding
from domain.measuring.samples import Taken
from domain.measuring.statistics.regression import RegressionSpec, compare
from domain.measuring.statistics.resampling import Blocks
from domain.measuring.statistics.sequential import Wald, look, thresholds
from domain.plans.plan import Plan
from domain.plans.slo import Regression


def look_at(plan: Plan, cases: Sequence[ArmRun], control: ArmRun) -> None:
    """Update the sequential test of every case that is still undecided."""
    open_cases = [(arm, arm.meets.regression) for arm in cases if arm.needs_more and arm.meets and arm.meets.regression]
    if not open_cases:
        return
    _, regression = open_cases[0]
    control_limits = thresholds(_blocks(control.taken), RegressionSpec.of(regression))
    wald = Wald(
        percentile=regression.percentile.share,
        # The plan's `false_alarms` is for the whole run: each case gets an equal part of it.
        alpha=regression.false_alarms / 100 / max(1, case_count(len(plan.services)) - 1),
        beta=regression.misses / 100,
    )
    for arm, _ in open_cases:
        arm.look = look(_blocks(arm.taken), control_limits, wald)


def compared(arm: ArmRun, control: ArmRun, regression: Regression, seed: int) -> Comparison:
    """Compare all requests of a case with those of its control.

    The same samples and seed give the same result.
    """
    found = compare(
        _blocks(arm.taken), _blocks(control.taken), RegressionSpec.of(regression), seed_of(seed, arm.position)
    )
    if arm.look is None:
        return found
    # The sequential test has used up the allowed share of false alarms, so nothing else may decide.
    return found.model_copy(
        update={
            "finding": arm.look.decision or Finding.INCONCLUSIVE,
            "more_requests": arm.look.more_requests,
            "sequential": True,
        }
    )


def _blocks(taken: Taken) -> Blocks:
    return [np.asarray(block, dtype=np.float64) for block in taken.success_blocks]
