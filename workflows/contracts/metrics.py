"""What the load test has found so far, small enough to travel: aggregates, and the worst cases."""

from __future__ import annotations

from workflows.contracts.base import Contract
from workflows.contracts.execution import CaseVerdict, Judgement


class LoadMetrics(Contract):
    """Metrics of a batch, a page, or a whole run. They are merged by `logic/metrics.py`."""

    measured: int = 0
    error_rate_sum: float = 0
    """Percent, summed over the measured cases: the mean is this over `measured`."""
    worst_p95_ms: float | None = None
    """Of successful requests, over all measured cases; None while no case had a success."""
    worst_p95_case: str = ""
    """None and empty also while no case had successes enough for a p95."""
    worst_max_ms: float | None = None
    """The slowest successful request of all measured cases."""
    worst_max_case: str = ""
    cases: list[CaseVerdict] = []
    """Cases with their metrics, the highest error rate and then the slowest first: all of them where they are few."""

    @property
    def mean_error_rate(self) -> float | None:
        """Percent, over the measured cases; None before the first."""
        return round(self.error_rate_sum / self.measured, 2) if self.measured else None


class JudgedCases(Judgement):
    """What the SLO and real faults make of all results."""

    load: LoadMetrics | None = None
    """The metrics of the load test once more, where judging has made measured cases invalid: they count no longer."""
