"""Two runs held against each other: every case, what became of it, and how sure that is.

As JSON it is what `holdfast compare --json` says, so fields are only ever added. Times are UTC, latencies of successful
requests only.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import computed_field

from reports.model import Part
from workflows.contracts.calls import FoundBy
from workflows.contracts.comparison import Comparison
from workflows.contracts.execution import AnyPhase, RunStatus, Verdict
from workflows.contracts.load import CaseOutcome
from workflows.contracts.slo import Percentile


class Change(StrEnum):
    """What became of a case from one run to the next."""

    WORSE = "worse"
    """Surely slower, or failing more, than the margins allow."""
    UNCERTAIN = "uncertain"
    """The requests do not suffice to say, or one of the runs did not measure it."""
    BETTER = "better"
    """Surely faster, or failing less, by more than the margins."""
    NEW = "new"
    """Measured for the first time, and it passes."""
    EXCLUDED = "excluded"
    """The later plan leaves it out on purpose."""
    SAME = "same"
    """Surely within the margins."""
    UNMEASURED = "unmeasured"
    """In neither run: nothing was known of it before, either."""


class Conclusion(StrEnum):
    """What the later run is, beside the earlier one."""

    REGRESSION = "regression"
    UNCERTAIN = "uncertain"
    NO_REGRESSION = "no_regression"


class Margins(Part):
    """What counts as a change."""

    percentile: Percentile = Percentile.P95
    """Which percentile of the successful requests is compared."""
    slower: float = 10.0
    """Percent by which it may be slower."""
    at_least_ms: float = 5.0
    """The margin is no less than this, in milliseconds: of fast requests a tenth is noise."""
    errors: float = 5.0
    """Percentage points by which the error rate may rise."""
    confidence: float = 95.0
    """Percent, with which each bound holds."""
    false_alarms: float = 5.0
    """Percent: how often a change may be found where there is none, over all cases."""


class ComparedRun(Part):
    """One of the two runs."""

    execution_id: int
    plan: str
    started_at: datetime
    status: RunStatus
    phase: AnyPhase
    verdict: Verdict | None = None
    cases: int = 0
    """As many as there are."""
    measured: int = 0


class CaseSide(Part):
    """A case in one of the runs. Numbers are None where nothing was measured."""

    outcome: CaseOutcome | None = None
    """None for a case that the run did not come to."""
    verdict: Verdict | None = None
    reason: str = ""
    requests: int | None = None
    successes: int | None = None
    error_rate: float | None = None
    """Percent, of all requests."""
    percentile_ms: float | None = None
    """The compared percentile; None without successes enough to speak of it."""
    found_by: FoundBy | None = None
    """What its verdict rests on; the numbers are always those by rules. None where it has none, and in older runs."""


class ErrorRise(Part):
    """By how much the error rate has risen, in percentage points; negative when it has fallen."""

    points: float
    low: float
    """At least so much, with the confidence of the margins."""
    high: float
    """At most so much."""
    p_value: float
    """Of seeing this, or more, without a rise by more than the margin."""


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
    """The later run's percentile over the earlier one's; None without a success on both sides."""
    more_requests: int | None = None
    """Of an uncertain case: about so many more in each run would decide. None where that cannot be told."""


class RunComparison(Part):
    """Two runs held against each other."""

    version: Literal[1] = 1
    before: ComparedRun
    after: ComparedRun
    margins: Margins
    remarks: list[str] = []
    """What else differs, and does not keep them from being compared."""
    cases: list[ComparedCase] = []
    """Every case, those that are worse first, then as in `Change`."""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def counts(self) -> dict[Change, int]:
        """How many cases changed in which way."""
        found = Counter(one.change for one in self.cases)
        return {change: found[change] for change in Change}

    @computed_field  # type: ignore[prop-decorator]
    @property
    def conclusion(self) -> Conclusion:
        """A regression when any case is worse; else uncertain when any case is, or nothing was compared."""
        if self.counts[Change.WORSE]:
            return Conclusion.REGRESSION
        compared = self.counts[Change.SAME] + self.counts[Change.BETTER]
        uncertain = self.counts[Change.UNCERTAIN] or not compared
        return Conclusion.UNCERTAIN if uncertain else Conclusion.NO_REGRESSION
