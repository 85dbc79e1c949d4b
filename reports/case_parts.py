"""The parts of a report that are about cases and pairs of services."""

from __future__ import annotations

from enum import StrEnum

from pydantic import ConfigDict

from workflows.contracts.base import Contract
from workflows.contracts.calls import FoundBy
from workflows.contracts.comparison import Finding
from workflows.contracts.fidelity import PairOutcome
from workflows.contracts.load import CaseOutcome, CaseType
from workflows.contracts.slo import Percentile


class Part(Contract):
    """A part of the report; what its fields mean is in its schema as well."""

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)


class CaseState(StrEnum):
    """What became of a case, in one word: what a cell of the matrix shows."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"
    """Measured, but whether it passes is not known: too few requests, or a doubt that `reason` names."""
    UNJUDGED = "unjudged"
    """Measured, but the run ended before it was judged."""
    INVALID = "invalid"
    SKIPPED = "skipped"
    EXCLUDED = "excluded"
    """Skipped because the plan leaves it out."""
    MISSING = "missing"
    """The run ended before it came to this case."""


class Ratio(Part):
    """A percentile of a case over the same of the baseline."""

    percentile: Percentile
    value: float | None = None
    """1.0 for equally slow. None without enough successes on both sides."""
    low: float | None = None
    """Lower bound of the true ratio, with the plan's confidence; None where there is no bound."""
    high: float | None = None
    """Upper bound of the true ratio."""
    limit: float | None = None
    """The ratio that is just allowed by `slo.regression`; None where the plan does not compare so."""
    beside: bool = False
    """Whether the baseline's requests were sent among those of the case, and not before."""


class RealReport(Part):
    """What the plan's request got while the services of a case were really broken."""

    requests: int
    """How many were sent then."""
    differs: list[str] = []
    """In what the answers differ, in status or body, from the one by rules. Empty: they agree."""
    status: int | None = None
    """Of an answer, where they differ; None also where there was no HTTP answer."""
    body: str = ""
    """Of the same answer, redacted and cut."""
    error: str = ""
    """Kind of error, when there was no answer."""


class CaseReport(Part):
    """One case: what became of it, why, and what was measured. Numbers are None where nothing counts as measured."""

    index: int
    case_id: str
    """`baseline`, or the sorted names of the failing services joined with `+`."""
    case_type: CaseType
    services: list[str]
    """The failing services: none, one or two."""
    state: CaseState
    outcome: CaseOutcome | None = None
    """As it is stored; None for a case that the run did not come to."""
    reason: str = ""
    requests: int = 0
    successes: int = 0
    error_rate: float | None = None
    """Percent of requests, 0 to 100."""
    errors_by_kind: dict[str, int] = {}
    """`status 503`, `timeout`, `connect`, ...: how many of each."""
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    """Percentiles only where the sample supports them: p50 needs 5 successes, p95 59, p99 299."""
    max_ms: float | None = None
    """The slowest successful request."""
    unsupported: list[Percentile] = []
    """The percentiles that are None because so few requests succeeded. Empty when none succeeded."""
    per_second: float | None = None
    """Requests per second of the time in which they were sent."""
    p50_ratio: float | None = None
    p95_ratio: float | None = None
    """Over the baseline's, where both are supported; that of `ratio` where that is of the same percentile."""
    ratio: Ratio | None = None
    """With its interval, where the plan compares with the baseline (`slo.regression`)."""
    finding: Finding | None = None
    """What that comparison says of this case alone."""
    answer_status: int | None = None
    """Status of the last answer."""
    answer_body: str = ""
    """Body of the last answer, redacted and cut."""
    histogram: list[tuple[int, int]] | None = None
    """Upper bound of a latency in microseconds, and how many successful requests lie between the bound before and this
    one. All cases share the same bounds, twenty to each power of ten; empty ones are left out. None without samples."""
    control: int | None = None
    """The place in `controls` of the baseline's requests beside this case; None: it stands against case 0."""
    found_by: FoundBy | None = None
    """What its verdict rests on: rules, or real faults where these answered otherwise. None without a verdict, and in
    runs that looked for no fallback calls."""
    real: RealReport | None = None
    """None where its services were never really broken and asked."""
    substituted: list[str] = []
    """Its services whose captured failure was no HTTP answer, so that a rule gives the plan's substitute status."""


class ControlReport(Part):
    """The baseline's requests that were sent among those of a group of cases."""

    first_case: int
    """Index of the first case of its group."""
    requests: int = 0
    successes: int = 0
    error_rate: float | None = None
    """Percent of requests."""
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    histogram: list[tuple[int, int]] | None = None
    """As in a case."""


class Interaction(Part):
    """Whether a pair is worse than its two singles together."""

    error_points: float | None = None
    """Percentage points by which the pair's error rate is above the larger of its two singles'."""
    expected_error_rate: float | None = None
    """Percent that would fail if the two failures had nothing to do with each other: 1 - (1-a)(1-b)."""
    error_points_unexpected: float | None = None
    """Percentage points by which the pair's error rate is above that."""
    percentile: Percentile | None = None
    """The percentile of the latencies below: p95 where baseline, both singles and the pair support it, else p50."""
    expected_ms: float | None = None
    """The baseline's, and what each single takes more than that: as slow as the pair is if delays add up."""
    excess_ms: float | None = None
    """Milliseconds that the pair takes more than expected; below zero when it takes less."""
    times_expected: float | None = None
    """The pair's latency over the expected one."""
    worse: bool = False
    """Whether it fails more, or takes longer, than expected, beyond what chance does to so few requests
    (`reports/interactions.py` says how that is told)."""
    only_together: bool = False
    """Whether the pair fails although both singles pass: what no single failure shows."""


class PairCell(Part):
    """One cell of the matrix: two services that fail together. Worst interaction first in `pairs`."""

    first: str
    second: str
    """The later one by name."""
    case_index: int
    state: CaseState
    error_rate: float | None = None
    """Percent, as in the case."""
    p50_ratio: float | None = None
    p95_ratio: float | None = None
    interaction: Interaction | None = None
    """None where the pair, or one of its singles, was not measured."""
    verified: PairOutcome | None = None
    """With two real faults, where that was asked for."""
