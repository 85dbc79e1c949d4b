"""Cases that could not be measured, and how many of them a plan accepts."""

from __future__ import annotations

from typing import Any

import pytest

from domain.executions.execution import Verdict
from tests.support.runs.bench import Bench, unseen
from tests.support.tiers import mostly_exhaustive


@pytest.mark.parametrize(
    ("coverage", "verdict", "dispensable"),
    mostly_exhaustive(
        [
            ({"may_lack": ["reviews", "reviews+*"]}, Verdict.PASSED, 2),
            ({"may_lack": ["reviews"]}, Verdict.INCONCLUSIVE, 1),
            ({}, Verdict.INCONCLUSIVE, 0),
            ({"at_least": "50%"}, Verdict.PASSED, 0),
            ({"at_least": "51%"}, Verdict.INCONCLUSIVE, 0),
        ]
    ),
)
async def test_a_run_passes_with_the_coverage_its_plan_asks_for(
    bench: Bench, coverage: dict[str, Any], verdict: Verdict, dispensable: int
) -> None:
    """Nothing is recorded of one of two services, so half of the four cases are skipped and counted as such."""
    bench.lab.misbehave(unseen("reviews"))
    summary = await bench.run(bench.small_plan(coverage=coverage, slo={"error_rate": "1%"}))
    counts = summary.cases
    assert (counts.total, counts.measured, counts.passed, counts.skipped) == (4, 2, 2, 2)
    assert (summary.verdict, counts.dispensable) == (verdict, dispensable)
