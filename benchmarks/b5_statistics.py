"""How often verdicts on latency are wrong, and what early stopping saves: 2,000 simulated runs of 50 cases.

Latencies are log-normal (median 50 ms, scale 0.5), in groups of six cases that share a control, as the load test sends
them. Each run is simulated without any effect and with five of its fifty cases 30 % slower, where 10 % are allowed. The
two share their other cases: what is found about them does not depend on the five.

The code under test is the code that judges runs (`workflows/logic/statistics/`), called as the load test calls it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from benchmarks.campaigns import Counts, simulated
from benchmarks.frame import Row
from domain.measuring.comparison import Comparison, Finding
from domain.measuring.statistics.families import holm
from domain.measuring.statistics.regression import RegressionSpec, compare
from domain.measuring.statistics.resampling import Blocks
from domain.measuring.statistics.sequential import Decision, SequentialTest, Wald, look, thresholds
from domain.measuring.statistics.sizes import requests_needed

TITLE = "Statistics: wrong verdicts, and requests saved"

RUNS, CASES, GROUP, DEFECTS, EFFECT = 2_000, 50, 6, 5, 1.3
LEVEL, MISSES = 0.05, 0.10
"""False alarms over all cases of a run, and misses of a case: the plan's defaults."""
MOST, BLOCK = 4_000, 50
"""The plan's `max_requests`, and requests of an arm in a round."""
SPEC = RegressionSpec()
WALD = Wald(SPEC.percentile.share, LEVEL / CASES, MISSES)
SEARCH_RUNS, EXTRA_RUNS = 200, 100
"""To find a fixed size, and for what has no aim."""
DRIFT = 0.2
"""Scale of the logarithm of how fast the whole system is in a round, where drift is simulated."""


class World:
    """Latencies of one group's arms in microseconds, round by round; all arms are slower in the same rounds."""

    def __init__(self, rng: np.random.Generator, requests: int, drift: float) -> None:
        self._rng = rng
        rounds = -(-requests // BLOCK)
        self._level = np.repeat(np.exp(drift * rng.standard_normal(rounds)), BLOCK)[:requests]

    def arm(self, factor: float = 1.0) -> Blocks:
        """One arm, so many times slower than its control."""
        found = 50_000 * factor * self._level * np.exp(0.5 * self._rng.standard_normal(self._level.size))
        return [found[start : start + BLOCK] for start in range(0, found.size, BLOCK)]


def groups() -> Iterator[tuple[int, int]]:
    """Size of each group of a run, and how many of the defects are in it: one in each of the first five."""
    for index, first in enumerate(range(0, CASES, GROUP)):
        yield min(GROUP, CASES - first), int(index < DEFECTS)


def stopped(arms: list[Blocks], control: Blocks) -> list[tuple[Decision | None, int]]:
    """Each case's decision and its requests, measured in rounds as the load test does it."""
    found: list[tuple[Decision | None, int]] = [(None, 0)] * len(arms)
    for rounds in range(1, len(control) + 1):
        beside = thresholds(control[:rounds], SPEC)
        for index, arm in enumerate(arms):
            if found[index][0] is None:
                found[index] = look(arm[:rounds], beside, WALD).decision, rounds * BLOCK
        if all(decision for decision, _ in found):
            break
    return found


def sequential_run(seed: int, factor: float = 1.0, drift: float = 0.0) -> Counts:
    """One run with early stopping, without defects and with them; `factor`: how slow the cases are that are none."""
    rng, counts = np.random.default_rng(seed), Counts(runs=1, cases=CASES)
    for size, defects in groups():
        world = World(rng, MOST, drift)
        arms = [world.arm(factor) for _ in range(size)] + [world.arm(EFFECT) for _ in range(defects)]
        found = stopped(arms, world.arm())
        for index, (decision, _) in enumerate(found):
            counts.add(decision or Finding.INCONCLUSIVE, defect=index >= size)
        # The defects stand in for the first of the group.
        sent = [requests for _, requests in found[defects:]]
        counts.requests += sum(sent)
        counts.control += max(sent)
    return counts.ended()


def fixed_run(seed: int, requests: int, factor: float = 1.0, drift: float = 0.0) -> Counts:
    """One run in which every case and every control is so many requests, judged by Holm over all cases."""
    rng, counts = np.random.default_rng(seed), Counts(runs=1, cases=CASES)
    like: list[Comparison] = []
    slower: list[Comparison] = []
    kept: list[Comparison] = []
    for size, defects in groups():
        world = World(rng, requests, drift)
        control = world.arm()
        here = [compare(world.arm(factor), control, SPEC, seed) for _ in range(size)]
        slower += [compare(world.arm(EFFECT), control, SPEC, seed) for _ in range(defects)]
        like += here
        kept += here[defects:]
        counts.requests += size * requests
        counts.control += requests
    for one, alarm in zip(like, holm([one.p_value for one in like], LEVEL), strict=True):
        counts.add(_finding(one, alarm), defect=False)
    alarms = holm([one.p_value for one in slower + kept], LEVEL)
    for one, alarm in zip(slower, alarms[: len(slower)], strict=True):
        counts.add(_finding(one, alarm), defect=True)
    return counts.ended()


def _finding(alone: Comparison, confirmed: bool) -> Finding:
    """A regression that the family does not confirm is inconclusive, not equivalent."""
    if confirmed:
        return Finding.REGRESSION
    return Finding.INCONCLUSIVE if alone.finding is Finding.REGRESSION else alone.finding


def one_threshold_run(seed: int, control: int) -> Counts:
    """The defects by one threshold, the upper one, beside a control of so many requests that was there before them."""
    rng, counts = np.random.default_rng(seed), Counts(runs=1, cases=DEFECTS)
    limit = thresholds(World(rng, control, 0.0).arm(), SPEC).regression_us or 0.0
    for _ in range(DEFECTS):
        test = SequentialTest(WALD.percentile, WALD.alpha, WALD.beta)
        for slow in (np.concatenate(World(rng, MOST, 0.0).arm(EFFECT)) > limit).tolist():
            if test.add(slow):
                break
        counts.add(test.decision or Finding.INCONCLUSIVE, defect=True)
        counts.requests += test.requests
    return counts.ended()


def equal_power(power: float) -> tuple[int, Counts]:
    """The smallest fixed size that finds the defects as often, from the formula on in steps of 5 %, and its runs."""
    size = round(0.9 * requests_needed(0.95, EFFECT - 1, margin=SPEC.margin, alpha=WALD.alpha, power=min(power, 0.995)))
    while size < 10 * MOST:
        quick = simulated(partial(fixed_run, requests=size), SEARCH_RUNS, f"fixed size {size}")
        if quick.share(Finding.REGRESSION) >= power:
            break
        size = round(1.05 * size)
    return size, simulated(partial(fixed_run, requests=size), RUNS, f"fixed size {size}")


def main() -> list[Row]:
    """Simulate, and say what came of it."""
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
    passed, open_ = (counts.share(one, defects=defects) for one in (Finding.EQUIVALENT, Finding.INCONCLUSIVE))
    return f"{what} {passed:.2%} passed (equivalent), {open_:.2%} inconclusive"


def _saved(early: Counts, fixed: Counts, size: int, power: float) -> Iterator[Row]:
    cases, both = fixed.per_case / early.per_case, fixed.with_control / early.with_control
    aim = "4 times fewer than a fixed size of equal power"
    yield Row(
        "early: requests of a case",
        f"{early.per_case:.0f}",
        cases,
        aim,
        cases >= 4,
        note=f"in runs with five defects. A fixed size that finds {power:.1%} of them needs {size} in each arm, by "
        f"simulation of the same judgement (in steps of 5 %, so the ratio may be as much too good); early stopping "
        f"sends at most {MOST}",
    )
    yield Row(
        "early: requests of a case, and its part of the control",
        f"{early.with_control:.0f}",
        both,
        aim,
        both >= 4,
        note="the control goes on for as long as any case of its group",
    )


def _at_the_limit(name: str, counts: Counts) -> Iterator[Row]:
    yield Row(
        f"{name}: runs with a false alarm, every case 10 % slower",
        f"{counts.false_alarms:.1%}",
        counts.false_alarms / LEVEL,
        note=f"the slowest that is no regression: here the level itself is tested. {counts.runs} runs; "
        + _split("of the cases", counts, defects=False),
    )


def _with_drift(name: str, counts: Counts) -> Iterator[Row]:
    yield Row(
        f"{name}: runs with a false alarm, no effect, with drift",
        f"{counts.false_alarms:.1%}",
        counts.false_alarms / LEVEL,
        note=f"the whole system is {DRIFT:.0%} slower or faster from round to round (one standard deviation), so that "
        f"requests depend on each other. {counts.runs} runs; {_split('of the cases', counts, defects=False)}; "
        f"{counts.share(Finding.REGRESSION):.1%} of the defects found, {_split('of them', counts, defects=True)}; "
        f"{counts.per_case:.0f} requests of a case",
    )


def _one_threshold() -> Iterator[Row]:
    for control in (600, 5_000):
        counts = simulated(partial(one_threshold_run, control=control), EXTRA_RUNS, f"one threshold, control {control}")
        yield Row(
            f"one threshold for both answers, control of {control}: defects passed",
            f"{counts.share(Finding.EQUIVALENT):.0%}",
            note=f"what `stopping.look` avoids with two: there the control grows with the case. {counts.runs} runs",
        )
