"""Report models for cases and pairs of services."""

from __future__ import annotations

from enum import StrEnum

from pydantic import ConfigDict

from domain.base import Contract
from domain.calls.model import FoundBy
from domain.measuring.comparison import Finding
from domain.measuring.load import CaseOutcome, CaseType
from domain.pairs.fidelity import PairOutcome
from domain.plans.slo import Percentile


class Part(Contract):
    """Base class of every part of the report.

    Attribute docstrings become descriptions in the JSON schema.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)


class CaseState(StrEnum):
    """What became of a case, in one word.

    This is what a cell of the matrix shows.
    """

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"
    """Measured, but whether it passes is unknown. There were too few requests, or `reason` names a doubt."""
    UNJUDGED = "unjudged"
    """Measured, but the run ended before a verdict was reached."""
    INVALID = "invalid"
    SKIPPED = "skipped"
    EXCLUDED = "excluded"
    """Skipped because the plan excludes it."""
    MISSING = "missing"
    """Not reached: the run ended before this case."""


class Ratio(Part):
    """A percentile of a case divided by the baseline's."""

    percentile: Percentile
    value: float | None = None
    """The ratio; 1.0 means equally slow. None without enough successes on both sides."""
    low: float | None = None
    """Lower bound of the true ratio, at the plan's confidence. None if there is no bound."""
    high: float | None = None
    """Upper bound of the true ratio. None if there is no bound."""
    limit: float | None = None
    """Largest ratio that `slo.regression` still allows. None if the plan makes no such comparison."""
    beside: bool = False
    """Whether the baseline's requests were interleaved with the case's, rather than sent earlier."""


class RealReport(Part):
    """Answers to the plan's request while the case's services were really broken."""

    requests: int
    """Number of requests sent while the services were really broken."""
    differs: list[str] = []
    """How these answers differ, in status or body, from the answer by rules. Empty: they agree."""
    status: int | None = None
    """Status of a differing answer. None if nothing differs, or if there was no HTTP answer."""
    body: str = ""
    """Body of the same answer, redacted and truncated."""
    error: str = ""
    """Kind of error if there was no HTTP answer."""


class CaseReport(Part):
    """One case: what became of it, why, and its measurements.

    Numbers are None if nothing counts as measured.
    """

    index: int
    case_id: str
    """`baseline`, or the sorted names of the failing services joined with `+`."""
    case_type: CaseType
    services: list[str]
    """The failing services: none, one or two."""
    state: CaseState
    outcome: CaseOutcome | None = None
    """The stored outcome. None for a case that the run did not reach."""
    reason: str = ""
    requests: int = 0
    successes: int = 0
    error_rate: float | None = None
    """Percent of requests that failed, 0 to 100."""
    errors_by_kind: dict[str, int] = {}
    """Number of errors of each kind: `status 503`, `timeout`, `connect`, ..."""
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    """Latency percentiles, in milliseconds. Each is shown only if the sample supports it: p50 needs 5 successes, p95
    59, p99 299."""
    max_ms: float | None = None
    """Latency of the slowest successful request."""
    unsupported: list[Percentile] = []
    """Percentiles that are None because too few requests succeeded. Empty if no request succeeded."""
    per_second: float | None = None
    """Requests per second over the time in which they were sent."""
    p50_ratio: float | None = None
    p95_ratio: float | None = None
    """p50 and p95 divided by the baseline's, if both samples support them. For the percentile that `ratio` compares,
    this is the value of `ratio`."""
    ratio: Ratio | None = None
    """Comparison with the baseline, including its interval. None unless the plan asks for it (`slo.regression`)."""
    finding: Finding | None = None
    """Finding of that comparison for this case alone."""
    answer_status: int | None = None
    """Status of the last answer."""
    answer_body: str = ""
    """Body of the last answer, redacted and truncated."""
    histogram: list[tuple[int, int]] | None = None
    """Latency distribution of the successful requests. Each entry is an upper bound in microseconds and the number of
    requests between the previous bound and this one. All cases share the same bounds, twenty to each power of ten.
    Empty bins are left out. None without samples."""
    control: int | None = None
    """Index in `controls` of the baseline measured beside this case. None: the case is compared with case 0."""
    found_by: FoundBy | None = None
    """What the verdict rests on: rules, or real faults if those answered differently. None without a verdict, and in
    runs that did not look for fallback calls."""
    real: RealReport | None = None
    """Answers under real faults. None if the request was never sent while the case's services were really broken."""
    substituted: list[str] = []
    """Services of the case whose captured failure was no HTTP answer. Their rules give the plan's substitute status."""


class ControlReport(Part):
    """Baseline requests that were sent among those of a group of cases."""

    first_case: int
    """Index of the first case of the group."""
    requests: int = 0
    successes: int = 0
    error_rate: float | None = None
    """Percent of requests that failed."""
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    histogram: list[tuple[int, int]] | None = None
    """Latency distribution, in the same form as that of a case."""


class Interaction(Part):
    """Whether a pair is worse than its two singles together."""

    error_points: float | None = None
    """Percentage points by which the pair fails more often than its worse single."""
    expected_error_rate: float | None = None
    """Error rate expected if the two failures are independent, in percent: 1 - (1-a)(1-b)."""
    error_points_unexpected: float | None = None
    """Percentage points by which the pair's error rate exceeds `expected_error_rate`."""
    percentile: Percentile | None = None
    """Percentile of the latencies below. p95 if baseline, both singles and the pair support it, otherwise p50."""
    expected_ms: float | None = None
    """Latency expected if delays add up. It is the baseline's, plus the time by which each single is slower than its
    baseline."""
    excess_ms: float | None = None
    """Milliseconds by which the pair is slower than expected. Negative if it is faster."""
    times_expected: float | None = None
    """Latency of the pair divided by the expected latency."""
    worse: bool = False
    """Whether the pair fails more often, or takes longer, than expected. The excess must be larger than chance explains
    for this many requests; `reports/build/interactions.py` has the criteria."""
    only_together: bool = False
    """Whether the pair fails although both singles pass, which no single failure shows."""


class PairCell(Part):
    """One cell of the matrix: two services that fail together.

    `pairs` lists the worst interaction first.
    """

    first: str
    second: str
    """The later of the two services in name order."""
    case_index: int
    state: CaseState
    error_rate: float | None = None
    """Percent of requests that failed, as in the case."""
    p50_ratio: float | None = None
    p95_ratio: float | None = None
    interaction: Interaction | None = None
    """None if the pair, or one of its singles, was not measured."""
    verified: PairOutcome | None = None
    """Outcome of the check with two real faults. None if the pair was not chosen for it."""
