"""The comparison of two runs: what became of every case.

The JSON form is the output of `holdfast compare --json`, so fields are only ever added. Times are UTC. Latencies are of
successful requests only.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import computed_field

from domain.calls.model import FoundBy
from domain.executions.execution import RunStatus, Verdict
from domain.measuring.comparison import Comparison
from domain.measuring.load import CaseOutcome
from domain.plans.slo import Percentile
from domain.resilience.model import AnyPhase
from reports.model.report import Part


class Change(StrEnum):
    """What became of a case from one run to the next."""

    WORSE = "worse"
    """Surely slower, or failing more often, than the margins allow."""
    UNCERTAIN = "uncertain"
    """Too few requests to decide, or not measured in one of the runs."""
    BETTER = "better"
    """Surely faster, or failing less often, by more than the margins."""
    NEW = "new"
    """Measured for the first time, and it passes."""
    EXCLUDED = "excluded"
    """The later plan excludes it on purpose."""
    SAME = "same"
    """Surely within the margins."""
    UNMEASURED = "unmeasured"
    """Measured in neither run, so nothing was known before either."""


class Conclusion(StrEnum):
    """How the later run compares with the earlier one."""

    REGRESSION = "regression"
    UNCERTAIN = "uncertain"
    NO_REGRESSION = "no_regression"


class Margins(Part):
    """What counts as a change."""

    percentile: Percentile = Percentile.P95
    """Percentile of the successful requests that is compared."""
    slower: float = 10.0
    """Percent by which the percentile may be slower."""
    at_least_ms: float = 5.0
    """Smallest margin, in milliseconds. For fast requests, a tenth of the latency is noise."""
    errors: float = 5.0
    """Percentage points by which the error rate may rise."""
    confidence: float = 95.0
    """Confidence of each bound, in percent."""
    false_alarms: float = 5.0
    """How often a change may be found where there is none, in percent. This holds over all cases together."""


class ComparedRun(Part):
    """One of the two runs."""

    execution_id: int
    plan: str
    started_at: datetime
    status: RunStatus
    phase: AnyPhase
    verdict: Verdict | None = None
    cases: int = 0
    """Number of cases compared. This is the number of cases of the later run."""
    measured: int = 0


class CaseSide(Part):
    """A case in one of the runs.

    Numbers are None if nothing was measured.
    """

    outcome: CaseOutcome | None = None
    """None for a case that the run did not reach."""
    verdict: Verdict | None = None
    reason: str = ""
    requests: int | None = None
    successes: int | None = None
    error_rate: float | None = None
    """Percent of all requests that failed."""
    percentile_ms: float | None = None
    """The compared percentile. None without enough successes to support it."""
    found_by: FoundBy | None = None
    """What the verdict rests on; the numbers are always those by rules. None without a verdict, and in older runs."""


class ErrorRise(Part):
    """Rise of the error rate, in percentage points.

    Negative if it has fallen.
    """

    points: float
    low: float
    """Lower bound of the rise, at the confidence of the margins."""
    high: float
    """Upper bound of the rise."""
    p_value: float
    """Probability of seeing this rise or more if the true rise is within the margin."""


class ComparedCase(Part):
    """One case in both runs."""

    index: int
    case_id: str
    change: Change
    why: str = ""
    before: CaseSide = CaseSide()
    after: CaseSide = CaseSide()
    errors: ErrorRise | None = None
    latency: Comparison | None = None
    """The compared percentile of the later run over that of the earlier run. None without a success on both sides."""
    more_requests: int | None = None
    """About how many more requests in each run would decide an uncertain case. None if that cannot be estimated."""


class RunComparison(Part):
    """The comparison of two runs."""

    version: Literal[1] = 1
    before: ComparedRun
    after: ComparedRun
    margins: Margins
    remarks: list[str] = []
    """Other differences between the runs that do not prevent a comparison."""
    cases: list[ComparedCase] = []
    """Every case, the worse ones first, in the order of `Change`."""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def counts(self) -> dict[Change, int]:
        """Number of cases by change."""
        counter = Counter(case.change for case in self.cases)
        return {change: counter[change] for change in Change}

    @computed_field  # type: ignore[prop-decorator]
    @property
    def conclusion(self) -> Conclusion:
        """Regression if any case is worse.

        Otherwise uncertain if any case is uncertain or nothing was compared.
        """
        if self.counts[Change.WORSE]:
            return Conclusion.REGRESSION
        compared = self.counts[Change.SAME] + self.counts[Change.BETTER]
        uncertain = self.counts[Change.UNCERTAIN] or not compared
        return Conclusion.UNCERTAIN if uncertain else Conclusion.NO_REGRESSION
