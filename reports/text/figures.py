"""Cases and pairs in a few words, for the text forms."""

from __future__ import annotations

from domain.plans.slo import Percentile
from reports.model.report import CaseReport, Interaction, PairCell
from reports.text.values import FEW, milliseconds


def latency(case: CaseReport, percentile: Percentile) -> str:
    """Format a percentile of a case.

    A placeholder shows if the sample is too small for it, or if there is no value.
    """
    value: float | None = getattr(case, f"{percentile}_ms")
    return FEW if value is None and percentile in case.unsupported else milliseconds(value)


def ratio(cell: PairCell | CaseReport, percentile: Percentile) -> float | None:
    """Return the ratio to the baseline that a matrix shows."""
    return cell.p50_ratio if percentile is Percentile.P50 else cell.p95_ratio


def interaction_in_words(interaction: Interaction | None) -> str:
    """Describe in one clause what a pair adds to its singles."""
    if interaction is None:
        return "not known: one of the three was not measured"
    parts = []
    if interaction.only_together:
        parts.append("fails only together")
    if interaction.error_points_unexpected and interaction.error_points_unexpected > 0:
        parts.append(f"{interaction.error_points_unexpected:g} points more errors than expected")
    if interaction.percentile is not None and interaction.excess_ms is not None and interaction.expected_ms is not None:
        took = milliseconds(interaction.expected_ms + interaction.excess_ms)
        expected = milliseconds(interaction.expected_ms)
        parts.append(f"{interaction.percentile} {took} where the two add up to {expected}")
    return ", ".join(parts) or "no more than its singles"


def notable(pairs: list[PairCell]) -> list[PairCell]:
    """Return the pairs that show more than their singles, worst first."""
    return [pair for pair in pairs if pair.interaction and (pair.interaction.worse or pair.interaction.only_together)]
