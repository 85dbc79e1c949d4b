"""Cases that could not be measured: what a plan accepts, and what it does not."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.bench import Bench, unseen
from workflows.contracts.execution import Verdict


@pytest.mark.parametrize(
    ("coverage", "verdict", "dispensable"),
    [
        ({}, Verdict.INCONCLUSIVE, 0),
        ({"at_least": "50%"}, Verdict.PASSED, 0),
        ({"at_least": "51%"}, Verdict.INCONCLUSIVE, 0),
        ({"may_lack": ["reviews", "reviews+*"]}, Verdict.PASSED, 2),
        ({"may_lack": ["reviews"]}, Verdict.INCONCLUSIVE, 1),
    ],
)
async def test_a_run_passes_with_as_much_as_its_plan_asks_for(
    bench: Bench, coverage: dict[str, Any], verdict: Verdict, dispensable: int
) -> None:
    """Nothing was recorded of one of two services: half of the four cases are skipped, and that is told."""
    bench.lab.misbehave(unseen("reviews"))
    summary = await bench.run(bench.small_plan(coverage=coverage, slo={"error_rate": "1%"}))
    counts = summary.cases
    assert (counts.total, counts.measured, counts.passed, counts.skipped) == (4, 2, 2, 2)
    assert (summary.verdict, counts.dispensable) == (verdict, dispensable)
