"""What the samples of two runs show about one case.

This module only computes numbers. `reports/compare/changes.py` decides on all cases together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from clients.load.histograms import Histogram
from clients.store.packing import unpacked
from clients.store.read_models import StoredSamples
from domain.measuring.comparison import Comparison, Finding
from domain.measuring.statistics import proportions
from domain.measuring.statistics.proportions import Failures
from domain.measuring.statistics.regression import RegressionSpec, compare
from domain.measuring.statistics.resampling import MOST_BLOCKS, Blocks
from domain.traffic.exchange import Measurement
from reports.compare.model import ErrorRise, Margins


@dataclass(frozen=True)
class Sampled:
    """The samples of one case in one run."""

    failures: Failures
    blocks: Blocks
    """Latencies of the successful requests in microseconds, block by block, in the order sent."""

    @property
    def successes(self) -> int:
        """Number of successful requests."""
        return sum(len(block) for block in self.blocks)


def samples_of_case(
    measurement: Measurement, stored: StoredSamples | None, sizes: Sequence[int], seed: int
) -> Sampled | None:
    """Return a case's samples, or None if they are not stored.

    Args:
        measurement: what the run computed from the samples.
        stored: the samples as stored. Beyond the number kept one by one, only their distribution is stored. Requests
            then count as independent, in a random order.
        sizes: requests of each block that the samples are cut into, in the order sent.
        seed: of that random order.
    """
    if stored is None or not measurement.requests:
        return None
    if stored.raw is None:
        counted = Histogram.decode(stored.histogram).value_counts()
        values = np.repeat([value for value, _ in counted], [count for _, count in counted])
        np.random.default_rng(seed).shuffle(values)
        return Sampled(Failures(measurement.errors, measurement.requests), list(np.array_split(values, MOST_BLOCKS)))
    taken = unpacked(stored.raw)
    blocks: Blocks = []
    begin = 0
    for size in sizes:
        block = taken[begin : begin + size]
        blocks.append(np.array([latency for latency, failed in block if not failed], dtype=np.float64))
        begin += size
    return Sampled(Failures.of([failed for _, failed in taken]), blocks)


@dataclass(frozen=True)
class Evidence:
    """What the samples show about one case, regardless of the others."""

    errors: ErrorRise
    errors_within: bool
    """Whether the error rate has surely not risen by more than the margin."""
    latency: Comparison | None
    """None if either run had no successful request. Only the errors can then show a change."""
    worse: dict[str, float] = field(default_factory=dict)
    """P-values of `errors` and `latency` being worse by more than their margins, or at all if the case newly fails."""
    better: dict[str, float] = field(default_factory=dict)
    more_requests: int | None = None
    """Number of further requests that would settle what is uncertain.

    None: nothing is uncertain, or no allowed number would settle it.
    """

    @property
    def latency_within(self) -> bool:
        """Whether the case is surely no slower than the margin allows.

        True without latencies on both sides, because nothing can then be slower.
        """
        return self.latency is None or self.latency.finding is Finding.EQUIVALENT


def evidence(before: Sampled, after: Sampled, margins: Margins, seed: int, *, newly_failing: bool) -> Evidence:
    """Compare the samples of a case in two runs.

    `newly_failing`: whether the case has begun to miss its limits. Any rise then counts as worse, however small.
    """
    alpha = 1 - margins.confidence / 100
    margin = margins.errors / 100
    low, high = (
        bound(before.failures, after.failures, alpha) for bound in (proportions.rise_at_least, proportions.rise_at_most)
    )
    counts_from = 0.0 if newly_failing else margin
    worse = {"errors": proportions.rise_p_value(before.failures, after.failures, counts_from)}
    better = {"errors": proportions.rise_p_value(after.failures, before.failures, margin)}
    more = [] if high < margin else [proportions.more_requests(before.failures, after.failures, margin, alpha)]
    latency = None
    if before.successes and after.successes:
        spec = _spec(margins)
        latency = compare(after.blocks, before.blocks, spec, seed, same_rounds=False)
        strict = RegressionSpec(percentile=spec.percentile, margin=0, at_least_us=0, confidence=spec.confidence)
        strictly = compare(after.blocks, before.blocks, strict, seed, same_rounds=False) if newly_failing else latency
        worse["latency"] = strictly.p_value
        better["latency"] = compare(before.blocks, after.blocks, spec, seed, same_rounds=False).p_value
        more += [latency.more_requests] if latency.finding is Finding.INCONCLUSIVE else []
    return Evidence(
        errors=ErrorRise(
            points=100 * (after.failures.rate - before.failures.rate),
            low=100 * low,
            high=100 * high,
            p_value=worse["errors"],
        ),
        errors_within=high < margin,
        latency=latency,
        worse=worse,
        better=better,
        more_requests=_most(more),
    )


def _spec(margins: Margins) -> RegressionSpec:
    return RegressionSpec(
        percentile=margins.percentile,
        margin=margins.slower / 100,
        at_least_us=1_000 * margins.at_least_ms,
        confidence=margins.confidence / 100,
    )


def _most(numbers: Sequence[int | None]) -> int | None:
    """Return the largest number, or None if any is unknown."""
    known = [number for number in numbers if number is not None]
    return max(known) if known and len(known) == len(numbers) else None
