"""Whether a pair of failures is worse than its two singles together.

Errors: if two failures have nothing to do with each other, 1 - (1-a)(1-b) of the requests fail. Latency: what each
single takes more than the baseline adds up; one that is faster than the baseline takes nothing off, because a pair that
is as slow as the slower of its two is no interaction. Both are what is *expected* of a pair. With few requests a pair
is above that by chance, so it counts as worse only

* with an error rate at least five points above, and further above than twice the standard error of the difference
  (counts with one success and one failure added, so that none of 12 is not taken for never);
* with a latency above by more than the plan's margin (`slo.regression`, else 10 % and 5 ms), at a percentile that the
  samples of all of them support, and by more than these percentiles may be off (`percentile_bounds.py`; what each may
  be off is squared and added, as the errors of independent measurements are). Without samples nothing is said.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from math import hypot, sqrt

from domain.pairs.fidelity import PairOutcome
from domain.plans.plan import Plan
from domain.plans.slo import Percentile, Regression
from reports.build.cases import Cases
from reports.build.percentile_bounds import Histogram, percentile_bounds
from reports.model.report import CaseReport, CaseState, Interaction, PairCell

LEAST_POINTS = 5.0
"""Percentage points of error rate: less is not worth a look, however many requests tell it."""

Levels = Mapping[Percentile, float | None]

Baselines = Mapping[int | None, Histogram | None]
"""The latencies of the baseline beside a group of cases, by `CaseReport.control`; under None those of case 0."""


_Term = tuple[int, float, Histogram | None]
"""How often a percentile is added, or below zero taken away; itself, in milliseconds; and what it was taken from."""


@dataclass(frozen=True)
class _Latencies:
    """Of a pair, in milliseconds."""

    found: float
    expected: float
    """If delays add up."""
    may_be_off: float | None
    """How much of the difference may be chance; None without samples."""


def pair_cells(cases: Cases, plan: Plan, verified: Mapping[int, PairOutcome]) -> list[PairCell]:
    """The cells of the matrix, the worst interaction first; `verified` is by case index."""
    singles = {one.services[0]: one for one in cases.reports if len(one.services) == 1}
    margin = plan.slo.regression or Regression()
    baselines: dict[int | None, Histogram | None] = {place: one.histogram for place, one in enumerate(cases.controls)}
    baselines[None] = next((one.histogram for one in cases.reports if not one.services), None)
    cells = []
    for pair in cases.reports:
        if len(pair.services) != 2:
            continue
        first, second = pair.services
        parts = [singles[name] for name in pair.services if name in singles]
        cells.append(
            PairCell(
                first=first,
                second=second,
                case_index=pair.index,
                state=pair.state,
                error_rate=pair.error_rate,
                p50_ratio=pair.p50_ratio,
                p95_ratio=pair.p95_ratio,
                interaction=interaction(pair, parts, cases.normal, margin, baselines),
                verified=verified.get(pair.index),
            )
        )
    return sorted(cells, key=_worst_first)


def interaction(
    pair: CaseReport,
    singles: list[CaseReport],
    normal: Mapping[int, Levels],
    margin: Regression,
    baselines: Baselines,
) -> Interaction | None:
    """What the pair adds to its two singles; None where one of the three was not measured."""
    rates = [one.error_rate for one in singles if one.error_rate is not None]
    if pair.error_rate is None or len(rates) != 2:
        return None
    expected = 100 * (1 - (1 - rates[0] / 100) * (1 - rates[1] / 100))
    unexpected = pair.error_rate - expected
    facts: dict[str, object] = {
        "error_points": round(pair.error_rate - max(rates), 2),
        "expected_error_rate": round(expected, 2),
        "error_points_unexpected": round(unexpected, 2),
    }
    worse = unexpected >= LEAST_POINTS and unexpected > 2 * 100 * _standard_error(pair, singles)
    for percentile in (Percentile.P95, Percentile.P50):
        times = _latencies(percentile, pair, singles, normal, baselines)
        if times is None:
            continue
        excess = times.found - times.expected
        allowed = max(times.expected * margin.margin / 100, margin.at_least / timedelta(milliseconds=1))
        facts |= {
            "percentile": percentile,
            "expected_ms": round(times.expected, 3),
            "excess_ms": round(excess, 3),
            "times_expected": round(times.found / times.expected, 3),
        }
        worse = worse or (times.may_be_off is not None and excess > max(allowed, times.may_be_off))
        break
    passed = all(one.state is CaseState.PASSED for one in singles)
    together = passed and pair.state is CaseState.FAILED
    return Interaction.model_validate(facts | {"worse": worse, "only_together": together})


def _standard_error(pair: CaseReport, singles: list[CaseReport]) -> float:
    """Of the difference between the pair's share of errors and the expected one, as shares."""
    (a, from_a), (b, from_b), (_, from_pair) = (_smoothed(one) for one in [*singles, pair])
    # The expected share is 1 - (1-a)(1-b), which moves with a by 1-b, and with b by 1-a.
    return sqrt(from_pair + (1 - b) ** 2 * from_a + (1 - a) ** 2 * from_b)


def _smoothed(case: CaseReport) -> tuple[float, float]:
    """The share of errors with one success and one failure added, and its variance."""
    requests = case.requests + 2
    share = (case.requests - case.successes + 1) / requests
    return share, share * (1 - share) / requests


def _latencies(
    percentile: Percentile,
    pair: CaseReport,
    singles: list[CaseReport],
    normal: Mapping[int, Levels],
    baselines: Baselines,
) -> _Latencies | None:
    """What the pair takes, and what it would if delays added up. None without support for one of them.

    Each case is held against the baseline beside it: a system that grows slower during the run is no interaction.
    """
    own: list[float | None] = [getattr(one, f"{percentile}_ms") for one in (pair, *singles)]
    usual = [normal.get(one.index, {}).get(percentile) for one in (pair, *singles)]
    values, bases = [one for one in own if one is not None], [one for one in usual if one is not None]
    if len(values) < len(own) or len(bases) < len(own):
        return None
    slower = [one for one in zip(singles, values[1:], bases[1:], strict=True) if one[1] > one[2]]
    expected = bases[0] + sum(value - base for _, value, base in slower)
    # The difference, as what is added and taken away: a baseline that is in it twice may cancel out.
    levels = {pair.control: bases[0]} | {single.control: base for single, _, base in slower}
    counted = Counter([single.control for single, *_ in slower])
    counted.subtract([pair.control])
    terms: list[_Term] = [
        (1, values[0], pair.histogram),
        *((-1, value, single.histogram) for single, value, _ in slower),
    ]
    terms += [(times, levels[place], baselines.get(place)) for place, times in counted.items()]
    return _Latencies(values[0], expected, _may_be_off(terms, percentile.share))


def _may_be_off(terms: list[_Term], share: float) -> float | None:
    """By how much chance may have made a sum too large: what is added too high, and what is taken away too low."""
    off = []
    for times, value, histogram in terms:
        bounds = percentile_bounds(histogram, share)
        if bounds is None and times:
            return None
        if bounds is not None:
            off.append(times * max(value - bounds[0] if times > 0 else bounds[1] - value, 0.0))
    return hypot(*off)


def _worst_first(cell: PairCell) -> tuple[bool, bool, float, float, bool, int]:
    found = cell.interaction
    if found is None:
        return True, True, 0, 0, cell.state is not CaseState.FAILED, cell.case_index
    notable = found.worse or found.only_together
    points, excess = max(found.error_points_unexpected or 0, 0), found.excess_ms or 0
    return False, not notable, -points, -excess, cell.state is not CaseState.FAILED, cell.case_index
