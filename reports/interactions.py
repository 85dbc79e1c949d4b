"""Whether a pair of failures is worse than its two singles together.

Errors: if two failures have nothing to do with each other, 1 - (1-a)(1-b) of the requests fail. Latency: what each
single takes more than the baseline adds up. Both are what is *expected* of a pair. With few requests a pair is above
that by chance, so it counts as worse only

* with an error rate at least five points above, and further above than twice the standard error of the difference
  (counts with one success and one failure added, so that none of 12 is not taken for never);
* with a latency above by more than the plan's margin (`slo.regression`, else 10 % and 5 ms), at a percentile that the
  samples of all of them support.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from math import sqrt

from reports.case_reports import Cases
from reports.model import CaseReport, CaseState, Interaction, PairCell
from workflows.contracts.fidelity import PairOutcome
from workflows.contracts.plan import Plan
from workflows.contracts.slo import Percentile, Regression

LEAST_POINTS = 5.0
"""Percentage points of error rate: less is not worth a look, however many requests tell it."""

Levels = Mapping[Percentile, float | None]


def pair_cells(cases: Cases, plan: Plan, verified: Mapping[int, PairOutcome]) -> list[PairCell]:
    """The cells of the matrix, the worst interaction first; `verified` is by case index."""
    singles = {one.services[0]: one for one in cases.reports if len(one.services) == 1}
    margin = plan.slo.regression or Regression()
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
                interaction=interaction(pair, parts, cases.normal, margin),
                verified=verified.get(pair.index),
            )
        )
    return sorted(cells, key=_worst_first)


def interaction(
    pair: CaseReport, singles: list[CaseReport], normal: Mapping[int, Levels], margin: Regression
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
        times = _latencies(percentile, [pair, *singles], normal)
        if times is None:
            continue
        found, sum_of_both = times
        excess = found - sum_of_both
        allowed = max(sum_of_both * margin.margin / 100, margin.at_least / timedelta(milliseconds=1))
        facts |= {
            "percentile": percentile,
            "expected_ms": round(sum_of_both, 3),
            "excess_ms": round(excess, 3),
            "times_expected": round(found / sum_of_both, 3),
        }
        worse = worse or excess > allowed
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
    percentile: Percentile, cases: list[CaseReport], normal: Mapping[int, Levels]
) -> tuple[float, float] | None:
    """What the pair takes, and what it would if delays added up; milliseconds. None without support for one of them.

    Each case is held against the baseline beside it: a system that grows slower during the run is no interaction.
    """
    own: list[float | None] = [getattr(one, f"{percentile}_ms") for one in cases]
    usual = [normal.get(one.index, {}).get(percentile) for one in cases]
    values, bases = [one for one in own if one is not None], [one for one in usual if one is not None]
    if len(values) < len(cases) or len(bases) < len(cases):
        return None
    expected = bases[0] + sum(value - base for value, base in zip(values[1:], bases[1:], strict=True))
    # Two singles that are faster than the baseline cannot make a pair take less than nothing.
    return values[0], max(expected, min(bases))


def _worst_first(cell: PairCell) -> tuple[bool, bool, float, float, bool, int]:
    found = cell.interaction
    if found is None:
        return True, True, 0, 0, cell.state is not CaseState.FAILED, cell.case_index
    notable = found.worse or found.only_together
    points, excess = max(found.error_points_unexpected or 0, 0), found.excess_ms or 0
    return False, not notable, -points, -excess, cell.state is not CaseState.FAILED, cell.case_index
