"""Load test metrics so far, small enough to travel.

Aggregates, and the worst cases.
"""

from __future__ import annotations

from domain.base import Contract
from domain.resilience.model import CaseVerdict, Judgement


class LoadMetrics(Contract):
    """Metrics of a batch, a page or a whole run.

    Merged by `domain/measuring/merging.py`.
    """

    measured: int = 0
    error_rate_sum: float = 0
    """Percent, summed over the measured cases. Divided by `measured` it is the mean."""
    worst_p95_ms: float | None = None
    """Highest p95 of all measured cases, of successful requests. None while no case has enough successes for a p95."""
    worst_p95_case: str = ""
    """The case with that p95. Empty while there is none."""
    worst_max_ms: float | None = None
    """Slowest successful request of all measured cases."""
    worst_max_case: str = ""
    cases: list[CaseVerdict] = []
    """Cases with their metrics: highest error rate first, then slowest. All cases if they are few."""

    @property
    def mean_error_rate(self) -> float | None:
        """Mean error rate in percent; None before the first measured case."""
        return round(self.error_rate_sum / self.measured, 2) if self.measured else None


class JudgedCases(Judgement):
    """What the SLO and real faults make of all results."""

    load: LoadMetrics | None = None
    """Recomputed metrics, if judging made measured cases invalid: those no longer count. Else None."""
