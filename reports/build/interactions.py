"""Whether a pair of failures is worse than its two singles together.

What is *expected* of a pair:

* Errors: if the two failures are independent, 1 - (1-a)(1-b) of the requests fail.
* Latency: the delays of both singles over the baseline add up. A single that is faster than the baseline subtracts
  nothing, because a pair that is just as slow as its slower single is no interaction.

With few requests, a pair exceeds that by chance. It counts as worse only with one of these:

* An error rate at least five points above the expected one, and above it by more than twice the standard error of the
  difference. One success and one failure are added to the counts, so that 0 of 12 is not taken for "never".
* A latency above the expected one by more than the plan's margin (`slo.regression`, otherwise 10 % and 5 ms), and by
  more than the percentiles may be off. The percentile must be supported by the samples of all cases involved.
  `percentile_bounds.py` gives the error of each percentile. The squares of the errors add up, as for independent
  measurements. Without samples, no pair counts as slower.
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
"""Smallest reported excess of the error rate, in percentage points. Less is not worth a look, however many requests
confirm it."""

Levels = Mapping[Percentile, float | None]

Baselines = Mapping[int | None, Histogram | None]
"""Latencies of the baseline beside a group of cases, by `CaseReport.control`. The key None has those of case 0."""


_Term = tuple[int, float, Histogram | None]
"""One term of a sum of percentiles: factor, value in milliseconds, and source. A negative factor subtracts the
value."""


@dataclass(frozen=True)
class _Latencies:
    """Latencies of a pair, in milliseconds."""

    found: float
    expected: float
    """Latency if delays add up."""
    may_be_off: float | None
    """How much of the difference may be chance. None without samples."""


def pair_cells(cases: Cases, plan: Plan, verified: Mapping[int, PairOutcome]) -> list[PairCell]:
    """Build the cells of the matrix, the worst interaction first.

    `verified` has the outcomes of verified pairs by case index.
    """
    singles = {case.services[0]: case for case in cases.reports if len(case.services) == 1}
    margin = plan.slo.regression or Regression()
    baselines: dict[int | None, Histogram | None] = {
        place: control.histogram for place, control in enumerate(cases.controls)
    }
    baselines[None] = next((case.histogram for case in cases.reports if not case.services), None)
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
    """Compare a pair with its two singles.

    None if one of the three was not measured.
    """
    rates = [single.error_rate for single in singles if single.error_rate is not None]
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
        latencies = _latencies(percentile, pair, singles, normal, baselines)
        if latencies is None:
            continue
        excess = latencies.found - latencies.expected
        allowed = max(latencies.expected * margin.margin / 100, margin.at_least / timedelta(milliseconds=1))
        facts |= {
            "percentile": percentile,
            "expected_ms": round(latencies.expected, 3),
            "excess_ms": round(excess, 3),
            "times_expected": round(latencies.found / latencies.expected, 3),
        }
        worse = worse or (latencies.may_be_off is not None and excess > max(allowed, latencies.may_be_off))
        break
    passed = all(single.state is CaseState.PASSED for single in singles)
    together = passed and pair.state is CaseState.FAILED
    return Interaction.model_validate(facts | {"worse": worse, "only_together": together})


def _standard_error(pair: CaseReport, singles: list[CaseReport]) -> float:
    """Return the standard error of the pair's excess share of errors.

    The excess is the difference between the pair's share and the expected one.
    """
    (a, from_a), (b, from_b), (_, from_pair) = (_smoothed(case) for case in [*singles, pair])
    # The expected share is 1 - (1-a)(1-b). Its derivative is 1-b with respect to a, and 1-a with respect to b.
    return sqrt(from_pair + (1 - b) ** 2 * from_a + (1 - a) ** 2 * from_b)


def _smoothed(case: CaseReport) -> tuple[float, float]:
    """Return the smoothed share of errors, and its variance.

    Smoothing adds one success and one failure.
    """
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
    """Return the pair's latency, and the latency if delays added up.

    None unless all samples support the percentile.
    """
    own: list[float | None] = [getattr(case, f"{percentile}_ms") for case in (pair, *singles)]
    usual = [normal.get(case.index, {}).get(percentile) for case in (pair, *singles)]
    # Each case is compared with the baseline beside it: a system that slows down during the run is no interaction.
    values = [latency for latency in own if latency is not None]
    bases = [latency for latency in usual if latency is not None]
    if len(values) < len(own) or len(bases) < len(own):
        return None
    slower = [
        (single, value, base)
        for single, value, base in zip(singles, values[1:], bases[1:], strict=True)
        if value > base
    ]
    expected = bases[0] + sum(value - base for _, value, base in slower)
    levels = {pair.control: bases[0]} | {single.control: base for single, _, base in slower}
    # How often each baseline enters found - expected: once for each slower single, minus once for the pair itself.
    baseline_uses = Counter([single.control for single, *_ in slower])
    baseline_uses.subtract([pair.control])
    terms: list[_Term] = [
        (1, values[0], pair.histogram),
        *((-1, value, single.histogram) for single, value, _ in slower),
    ]
    terms += [(uses, levels[control], baselines.get(control)) for control, uses in baseline_uses.items()]
    return _Latencies(values[0], expected, _uncertainty(terms, percentile.share))


def _uncertainty(terms: list[_Term], share: float) -> float | None:
    """Return how much of a sum may be due to chance.

    Added percentiles may be too high, and subtracted ones too low. None if any of them has no samples.
    """
    deviations = []
    for factor, value, histogram in terms:
        if not factor:
            continue  # A baseline that cancels out.
        bounds = percentile_bounds(histogram, share)
        if bounds is None:
            return None
        low, high = bounds
        deviation = value - low if factor > 0 else high - value
        deviations.append(factor * max(deviation, 0.0))
    return hypot(*deviations)


def _worst_first(cell: PairCell) -> tuple[bool, bool, float, float, bool, int]:
    found = cell.interaction
    if found is None:
        return True, True, 0, 0, cell.state is not CaseState.FAILED, cell.case_index
    notable = found.worse or found.only_together
    points = max(found.error_points_unexpected or 0, 0)
    excess = found.excess_ms or 0
    return False, not notable, -points, -excess, cell.state is not CaseState.FAILED, cell.case_index
