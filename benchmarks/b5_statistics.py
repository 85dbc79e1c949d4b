"""Measures how often verdicts on latency are wrong, and how many requests early stopping saves.

It simulates 2,000 runs of 50 cases. Latencies are log-normal (median 50 ms, scale 0.5). As in the load test, groups of
six cases share a control. Each run is simulated twice: without any effect, and with five of its fifty cases 30 %
slower, where 10 % are allowed. Both simulations share the other 45 cases: their measurements do not depend on the five.

The code under test is the code that judges runs (`domain/measuring/statistics/`), called as the load test calls it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from benchmarks.support.campaigns import Counts, simulated
from benchmarks.support.frame import Row
from domain.measuring.comparison import Comparison, Finding
from domain.measuring.statistics.families import holm
from domain.measuring.statistics.regression import RegressionSpec, compare
from domain.measuring.statistics.resampling import Blocks
from domain.measuring.statistics.sequential import Decision, SequentialTest, Wald, look, thresholds
from domain.measuring.statistics.sizes import requests_needed

TITLE = "Statistics: wrong verdicts, and requests saved"

RUNS = 2_000
CASES = 50
GROUP = 6
"""Cases that share a control."""
DEFECTS = 5
EFFECT = 1.3
"""Slowness of a defect."""
LEVEL = 0.05
"""Chance of a false alarm in a run, over all its cases: the plan's default."""
MISSES = 0.10
"""Chance of a miss in one case: the plan's default."""
MOST_REQUESTS = 4_000
"""The plan's `max_requests`."""
BLOCK = 50
"""Requests of an arm (a case or its control) per round."""
SPEC = RegressionSpec()
WALD = Wald(SPEC.percentile.share, LEVEL / CASES, MISSES)
SEARCH_RUNS, EXTRA_RUNS = 200, 100
"""Runs for finding a fixed size, and runs for each figure without an aim."""
DRIFT = 0.2
"""Simulated drift: standard deviation of the logarithm of the whole system's slowness in a round."""


class World:
    """Latencies of one group's arms, in microseconds, round by round. Drift slows all arms in the same rounds."""

    def __init__(self, rng: np.random.Generator, requests: int, drift: float) -> None:
        self._rng = rng
        rounds = -(-requests // BLOCK)
        self._level = np.repeat(np.exp(drift * rng.standard_normal(rounds)), BLOCK)[:requests]

    def arm(self, factor: float = 1.0) -> Blocks:
        """Return one arm, slower than its control by this factor."""
        latencies = 50_000 * factor * self._level * np.exp(0.5 * self._rng.standard_normal(self._level.size))
        return [latencies[start : start + BLOCK] for start in range(0, latencies.size, BLOCK)]


def groups() -> Iterator[tuple[int, int]]:
    """Yield the size of each group and its number of defects: one in each of the first five groups."""
    for index, first in enumerate(range(0, CASES, GROUP)):
        yield min(GROUP, CASES - first), int(index < DEFECTS)


def measure_until_decided(arms: list[Blocks], control: Blocks) -> list[tuple[Decision | None, int]]:
    """Return each case's decision and number of requests, measured in rounds as in the load test."""
    results: list[tuple[Decision | None, int]] = [(None, 0)] * len(arms)
    for rounds in range(1, len(control) + 1):
        beside = thresholds(control[:rounds], SPEC)
        for index, arm in enumerate(arms):
            if results[index][0] is None:
                results[index] = look(arm[:rounds], beside, WALD).decision, rounds * BLOCK
        if all(decision for decision, _ in results):
            break
    return results


def sequential_run(seed: int, factor: float = 1.0, drift: float = 0.0) -> Counts:
    """Simulate one run with early stopping, without defects and with them.

    `factor`: slowness of the cases without a defect.
    """
    rng, counts = np.random.default_rng(seed), Counts(runs=1, cases=CASES)
    for size, defects in groups():
        world = World(rng, MOST_REQUESTS, drift)
        arms = [world.arm(factor) for _ in range(size)] + [world.arm(EFFECT) for _ in range(defects)]
        results = measure_until_decided(arms, world.arm())
        for index, (decision, _) in enumerate(results):
            counts.add(decision or Finding.INCONCLUSIVE, defect=index >= size)
        # With defects, each defect replaces one of the first cases of the group.
        sent = [requests for _, requests in results[defects:]]
        counts.requests += sum(sent)
        counts.control += max(sent)
    return counts.ended()


def fixed_run(seed: int, requests: int, factor: float = 1.0, drift: float = 0.0) -> Counts:
    """Simulate one run in which every case and every control has `requests` requests.

    Holm's method judges all cases together.
    """
    rng, counts = np.random.default_rng(seed), Counts(runs=1, cases=CASES)
    unaffected: list[Comparison] = []
    defective: list[Comparison] = []
    beside_defects: list[Comparison] = []
    for size, defects in groups():
        world = World(rng, requests, drift)
        control = world.arm()
        of_group = [compare(world.arm(factor), control, SPEC, seed) for _ in range(size)]
        defective += [compare(world.arm(EFFECT), control, SPEC, seed) for _ in range(defects)]
        unaffected += of_group
        beside_defects += of_group[defects:]
        counts.requests += size * requests
        counts.control += requests
    alarms = holm([comparison.p_value for comparison in unaffected], LEVEL)
    for comparison, alarm in zip(unaffected, alarms, strict=True):
        counts.add(_finding(comparison, alarm), defect=False)
    alarms = holm([comparison.p_value for comparison in defective + beside_defects], LEVEL)
    for comparison, alarm in zip(defective, alarms[: len(defective)], strict=True):
        counts.add(_finding(comparison, alarm), defect=True)
    return counts.ended()


def _finding(alone: Comparison, confirmed: bool) -> Finding:
    """Return the finding about a case. A regression that the family does not confirm is inconclusive."""
    if confirmed:
        return Finding.REGRESSION
    return Finding.INCONCLUSIVE if alone.finding is Finding.REGRESSION else alone.finding


def one_threshold_run(seed: int, control: int) -> Counts:
    """Judge the defects by one threshold, the upper one.

    The control, of `control` requests, is complete before the cases begin.
    """
    rng, counts = np.random.default_rng(seed), Counts(runs=1, cases=DEFECTS)
    limit = thresholds(World(rng, control, 0.0).arm(), SPEC).regression_us or 0.0
    for _ in range(DEFECTS):
        test = SequentialTest(WALD.percentile, WALD.alpha, WALD.beta)
        for slow in (np.concatenate(World(rng, MOST_REQUESTS, 0.0).arm(EFFECT)) > limit).tolist():
            if test.add(slow):
                break
        counts.add(test.decision or Finding.INCONCLUSIVE, defect=True)
        counts.requests += test.requests
    return counts.ended()


def equal_power(power: float) -> tuple[int, Counts]:
    """Return the smallest fixed size that finds the defects with this power, and its runs.

    The search starts slightly below the size by the formula, and goes up in steps of 5 %.
    """
    size = round(0.9 * requests_needed(0.95, EFFECT - 1, margin=SPEC.margin, alpha=WALD.alpha, power=min(power, 0.995)))
    while size < 10 * MOST_REQUESTS:
        quick = simulated(partial(fixed_run, requests=size), SEARCH_RUNS, f"fixed size {size}")
        if quick.share(Finding.REGRESSION) >= power:
            break
        size = round(1.05 * size)
    return size, simulated(partial(fixed_run, requests=size), RUNS, f"fixed size {size}")


def main() -> list[Row]:
    """Simulate all runs, and return the rows."""
    early = simulated(sequential_run, RUNS, "early stopping")
    power = early.share(Finding.REGRESSION)
    size, fixed = equal_power(power)
    fixed_size = partial(fixed_run, requests=size)
    rows = [*_wrong("early", early), *_wrong("fixed", fixed), *_saved(early, fixed, size, power)]
    for name, run in (("early", partial(sequential_run)), ("fixed", fixed_size)):
        limit = simulated(partial(run, factor=1 + SPEC.margin), EXTRA_RUNS, f"{name}, at the limit")
        drift = simulated(partial(run, drift=DRIFT), EXTRA_RUNS, f"{name}, with drift")
        rows += [*_at_the_limit(name, limit), *_with_drift(name, drift)]
    return [*rows, *_one_threshold()]


def _wrong(name: str, counts: Counts) -> Iterator[Row]:
    rate, power = counts.false_alarms, counts.share(Finding.REGRESSION)
    yield Row(
        f"{name}: runs with a false alarm, no effect",
        f"{rate:.2%}",
        rate / LEVEL,
        f"at most {LEVEL:.0%}",
        rate <= LEVEL,
        note=_split("of the cases", counts, defects=False),
    )
    yield Row(
        f"{name}: defects of +30 % found",
        f"{power:.1%}",
        power / 0.8,
        "at least 80 %",
        power >= 0.8,
        note=_split("of the defects", counts, defects=True),
    )


def _split(what: str, counts: Counts, *, defects: bool) -> str:
    passed, open_ = (counts.share(finding, defects=defects) for finding in (Finding.EQUIVALENT, Finding.INCONCLUSIVE))
    return f"{what} {passed:.2%} passed (equivalent), {open_:.2%} inconclusive"


def _saved(early: Counts, fixed: Counts, size: int, power: float) -> Iterator[Row]:
    cases, both = fixed.per_case / early.per_case, fixed.with_control / early.with_control
    aim = "4 times fewer than a fixed size of equal power"
    yield Row(
        "early: requests per case",
        f"{early.per_case:.0f}",
        cases,
        aim,
        cases >= 4,
        note=f"in runs with five defects. A fixed size needs {size} requests in each arm (a case or its control) to "
        f"find {power:.1%} of them. That size comes from simulating the same judgement in steps of 5 %, so the ratio "
        f"may be up to 5 % too good. Early stopping sends at most {MOST_REQUESTS}",
    )
    yield Row(
        "early: requests per case, with its share of the control",
        f"{early.with_control:.0f}",
        both,
        aim,
        both >= 4,
        note="the control continues until the last case of its group ends",
    )


def _at_the_limit(name: str, counts: Counts) -> Iterator[Row]:
    yield Row(
        f"{name}: runs with a false alarm, every case 10 % slower",
        f"{counts.false_alarms:.1%}",
        counts.false_alarms / LEVEL,
        note=f"10 % is the largest slowdown that is no regression, so this tests the level itself. {counts.runs} runs; "
        + _split("of the cases", counts, defects=False),
    )


def _with_drift(name: str, counts: Counts) -> Iterator[Row]:
    yield Row(
        f"{name}: runs with a false alarm, no effect, with drift",
        f"{counts.false_alarms:.1%}",
        counts.false_alarms / LEVEL,
        note=f"the whole system becomes {DRIFT:.0%} slower or faster from round to round (one standard deviation), so "
        f"requests depend on each other. {counts.runs} runs; {_split('of the cases', counts, defects=False)}; "
        f"of the defects {counts.share(Finding.REGRESSION):.1%} found,{_split('', counts, defects=True)}; "
        f"{counts.per_case:.0f} requests per case",
    )


def _one_threshold() -> Iterator[Row]:
    for control in (600, 5_000):
        counts = simulated(partial(one_threshold_run, control=control), EXTRA_RUNS, f"one threshold, control {control}")
        yield Row(
            f"one threshold for both answers, control of {control}: defects passed",
            f"{counts.share(Finding.EQUIVALENT):.0%}",
            note=f"`sequential.look` avoids this: it has two thresholds, and its control grows with the case. "
            f"{counts.runs} runs",
        )
