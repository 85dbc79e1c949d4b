"""Whether a case is slower than its control, beyond the margin.

Yes, no, or not yet decidable (`measuring` section 3). The method is a percentile bootstrap of the ratio of the two
arms' percentiles. Requests are resampled one by one, unless they depend on each other. Then whole blocks are. If both
arms have the same number of blocks, block i of both is drawn together: they are of the same round, and what slowed the
system in that round slowed both.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from math import ceil, log, sqrt

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from domain.measuring.comparison import Comparison, Finding
from domain.measuring.statistics.intervals import nearest_rank
from domain.measuring.statistics.resampling import (
    Blocks,
    Latencies,
    autocorrelation,
    block_weights,
    blocks_resampled,
    joined,
    pooled,
    requests_resampled,
)
from domain.measuring.statistics.support import least_successes
from domain.plans.slo import Percentile, Regression

ROUNDS = 2_000
"""Number of bootstrap samples."""
DEPENDENT_FROM = 0.1
"""Autocorrelation at lag 1 above which blocks are resampled, not requests."""
LEAST_BLOCKS = 5
"""Blocks that an arm needs. Fewer do not show how much blocks differ."""
DECIDES_WITH = 0.8
"""Chance that the estimated further requests really decide. Assumes that the ratio is as measured."""
MOST_MORE = 1_000_000
"""Largest estimate of further requests. Above it there is none, because no plan may send that many."""
_TAIL_FROM = 10
"""Bootstrap samples needed on the other side of the limit. With fewer, their number gives no reliable p-value."""


@dataclass(frozen=True)
class RegressionSpec:
    """What is compared, and what counts as slower.

    The plan's `slo.regression` in numbers.
    """

    percentile: Percentile = Percentile.P95
    margin: float = 0.10
    """Share of the control's percentile."""
    at_least_us: float = 5_000.0
    """Margin in microseconds. The larger of the two margins counts."""
    confidence: float = 0.95
    """Confidence of each bound of the ratio."""

    @classmethod
    def of(cls, regression: Regression) -> RegressionSpec:
        """Convert the plan's `slo.regression`."""
        return cls(
            percentile=regression.percentile,
            margin=regression.margin / 100,
            at_least_us=regression.at_least / timedelta(microseconds=1),
            confidence=regression.confidence / 100,
        )

    def limit(self, control_us: float) -> float:
        """Return the highest ratio that does not count as slower.

        `control_us`: the control's percentile in microseconds.
        """
        return max(1 + self.margin, 1 + self.at_least_us / max(control_us, 1.0))


@dataclass(frozen=True)
class _Resampled:
    """Ratios of the bootstrap samples, and the number of blocks resampled.

    `blocks` is None if single requests were resampled: there are enough of them for their number not to matter.
    """

    ratios: Latencies
    """Ascending."""
    blocks: int | None

    def bounds(self, alpha: float) -> tuple[float, float]:
        """Return the bounds of the true ratio, each missed with probability alpha.

        The lower bound is above a limit exactly if the p-value for that limit is at most alpha.
        """
        cut = max(0, int(self._level(alpha) * (self.ratios.size + 1)) - 1)
        return float(self.ratios[cut]), float(self.ratios[-1 - cut])

    def _level(self, alpha: float) -> float:
        """Return the share of the ratios that a bound cuts off.

        With it, the bound is missed with probability alpha.
        """
        if self.blocks is None:
            return alpha
        # Few blocks vary less when resampled than the truth does: Hesterberg's expanded percentile interval.
        wider = sqrt(self.blocks / (self.blocks - 1))
        return float(ndtr(wider * stdtrit(self.blocks - 1, alpha)))

    def p_value(self, ratio: float, limit: float) -> float:
        """Return the p-value of a regression.

        It is the share of the ratios at or below the limit.
        """
        below = int(np.searchsorted(self.ratios, limit, side="right"))
        # Plus one, so that the share is never 0.
        share = (below + 1) / (self.ratios.size + 1)
        spread = float(np.std(np.log(self.ratios)))
        # A normal tail where there are few such ratios. Without it, 2,000 samples could never confirm anything in a run
        # of thousands of cases.
        if below < _TAIL_FROM and spread > 0:
            share = min(share, float(ndtr(-log(ratio / limit) / spread)))
        if self.blocks is None:
            return share
        # The inverse of `_level`.
        narrower = sqrt((self.blocks - 1) / self.blocks)
        return float(stdtr(self.blocks - 1, narrower * ndtri(share)))


def compare(
    case: Blocks, control: Blocks, spec: RegressionSpec, rng_seed: int, *, same_rounds: bool = True
) -> Comparison:
    """Compare one case with its control.

    The same seed gives the same answer.

    Args:
        case: latencies of the successful requests in microseconds, in the order they were sent, block by block.
        control: the baseline's, measured between the case's blocks; block i of the same round as the case's block i.
        spec: the percentile, the margin and the confidence.
        rng_seed: seed of the resampling.
        same_rounds: whether block i of both was measured in the same round. Not if the two come from different runs.
    """
    share = spec.percentile.share
    ours, theirs = np.sort(pooled(case)), np.sort(pooled(control))
    missing = least_successes(share, spec.confidence) - min(ours.size, theirs.size)
    normal = float(theirs[nearest_rank(theirs.size, share)]) if theirs.size else 0.0
    limit = spec.limit(normal) if theirs.size else 1 + spec.margin
    if missing > 0:
        return _inconclusive(spec, limit, None, missing)
    ratio = float(ours[nearest_rank(ours.size, share)]) / normal
    if max(autocorrelation(case), autocorrelation(control)) > DEPENDENT_FROM:
        lacking = LEAST_BLOCKS - min(_filled(case), _filled(control))
        if lacking > 0:
            size = max(ours.size / max(1, _filled(case)), theirs.size / max(1, _filled(control)))
            return _inconclusive(spec, limit, ratio, ceil(lacking * size))
        resampled = _by_blocks(case, control, share, np.random.default_rng(rng_seed), same_rounds=same_rounds)
    else:
        resampled = _by_requests(ours, theirs, share, np.random.default_rng(rng_seed))
    return _judged(spec, ratio, limit, resampled, min(ours.size, theirs.size))


def _filled(blocks: Blocks) -> int:
    return sum(len(block) > 0 for block in blocks)


def _inconclusive(spec: RegressionSpec, limit: float, ratio: float | None, more: int) -> Comparison:
    return Comparison(
        percentile=spec.percentile,
        ratio=ratio,
        low=None,
        high=None,
        limit=limit,
        p_value=1.0,
        finding=Finding.INCONCLUSIVE,
        more_requests=more,
    )


def _by_requests(case: Latencies, control: Latencies, share: float, rng: np.random.Generator) -> _Resampled:
    ours = requests_resampled(case, share, ROUNDS, rng)
    return _Resampled(np.sort(ours / requests_resampled(control, share, ROUNDS, rng)), None)


def _by_blocks(
    case: Blocks, control: Blocks, share: float, rng: np.random.Generator, *, same_rounds: bool
) -> _Resampled:
    ours, theirs = ([block for block in joined(arm) if block.size] for arm in (case, control))
    weights = block_weights(len(ours), ROUNDS, rng)
    # Equally many blocks, with and without empty ones: block i of both is taken to be of the same round.
    paired = same_rounds and len(ours) == len(theirs) and len(case) == len(control)
    control_weights: npt.NDArray[np.int64] = weights if paired else block_weights(len(theirs), ROUNDS, rng)
    ratios = blocks_resampled(ours, share, weights) / blocks_resampled(theirs, share, control_weights)
    return _Resampled(np.sort(ratios), min(len(ours), len(theirs)))


def _judged(spec: RegressionSpec, ratio: float, limit: float, resampled: _Resampled, requests: int) -> Comparison:
    low, high = resampled.bounds(1 - spec.confidence)
    if low > limit:
        finding = Finding.REGRESSION
    elif high < limit:
        finding = Finding.EQUIVALENT
    else:
        finding = Finding.INCONCLUSIVE
    more = None
    if finding is Finding.INCONCLUSIVE:
        more = _more_requests(log(ratio / limit), log(ratio / low), log(high / ratio), spec.confidence, requests)
    return Comparison(
        percentile=spec.percentile,
        ratio=ratio,
        low=low,
        high=high,
        limit=limit,
        p_value=resampled.p_value(ratio, limit),
        finding=finding,
        more_requests=more,
    )


def _more_requests(distance: float, below: float, above: float, confidence: float, requests: int) -> int | None:
    """Estimate how many more requests would decide.

    The distance of a bound shrinks with the square root of the number of requests. All distances are between
    logarithms: `distance` from the limit to the ratio, `below` and `above` from the ratio to its bounds.
    """
    width = below if distance > 0 else above
    z = float(ndtri(confidence))
    needed = abs(width) * (z + float(ndtri(DECIDES_WITH))) / z
    if abs(distance) * sqrt(1 + MOST_MORE / requests) <= needed:
        return None
    return max(1, ceil(requests * ((needed / distance) ** 2 - 1)))
