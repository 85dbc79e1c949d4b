"""The report of a run: every fact that any of its forms shows, as values. What renders it computes nothing.

JSON is this model as it stands (`docs/report.schema.json`), so fields are only ever added; what changes the meaning of
one, or takes one away, needs another `version`. Times are UTC. Latencies are of successful requests only.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import ConfigDict

from workflows.contracts.base import Contract
from workflows.contracts.comparison import Finding
from workflows.contracts.execution import Phase
from workflows.contracts.faults import InjectionState
from workflows.contracts.fidelity import PairOutcome
from workflows.contracts.load import CaseOutcome, CaseType
from workflows.contracts.slo import Percentile
from workflows.contracts.status import RunState
from workflows.contracts.windows import WindowKind, WindowState

REPORT_VERSION: Literal[1] = 1
"""The version of the report that this code writes."""


class Part(Contract):
    """A part of the report; what its fields mean is in its schema as well."""

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)


class CaseState(StrEnum):
    """What became of a case, in one word: what a cell of the matrix shows."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"
    """Measured, and the requests do not suffice to say."""
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


class ControlReport(Part):
    """The baseline's requests that were sent among those of a group of cases."""

    first_case: int
    """Index of the first case of its group."""
    requests: int = 0
    successes: int = 0
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
    """Whether the pair fails although both singles pass, or is clearly above what is expected of it
    (`reports/interactions.py` says what is clear)."""


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


class CapturedReport(Part):
    """How a service answered one recorded request while its fault was on, and when healthy."""

    method: str
    path: str
    """Without the query."""
    status: int
    content_type: str = ""
    body: str = ""
    """Redacted as stored, and cut."""
    substituted: bool = False
    """No HTTP answer was seen: the status is the plan's substitute."""
    no_effect: bool = False
    """Equal to the healthy answer."""
    error_message: str = ""
    healthy_status: int | None = None
    healthy_body: str = ""
    """Redacted as stored, and cut."""


class ServiceReport(Part):
    """One service: what was done to it, and what its failure looks like."""

    service: str
    fault: str
    """As the plan says it, in words: `remove`, `delay 3s`, `pod cpu fullload`."""
    fault_type: str = ""
    """As in the baggage token."""
    fault_name: str = ""
    """The fault service's name of it; empty when there was none."""
    experiment: dict[str, str] = {}
    """Scope, target, action and each matcher, as it was injected."""
    state: InjectionState = InjectionState.PENDING
    error: str = ""
    """Why there is no captured failure."""
    recorded_requests: int | None = None
    """Distinct requests recorded; None when the run did not come so far."""
    baggage_forwarded: bool | None = None
    token: str = ""
    """Its baggage token."""
    overlapped: list[str] = []
    """Services that were broken at the same time."""
    broken_seconds: float | None = None
    """From the intent to inject until the fault was seen to be gone."""
    case_index: int | None = None
    """The case of this service alone."""
    captured: list[CapturedReport] = []
    captured_left_out: int = 0
    """More of them, which are in the store."""


class PhaseSpan(Part):
    """A phase of the run."""

    phase: Phase
    started_at: datetime
    finished_at: datetime | None = None
    seconds: float | None = None


class WindowSpan(Part):
    """Something that was switched on: from the intent, written before anything was done, to its verified end."""

    window_id: str
    kind: WindowKind
    service: str = ""
    peer_name: str = ""
    state: WindowState
    intent_at: datetime | None = None
    recovered_at: datetime | None = None
    """When it was seen to be off. None while it was not."""
    seconds: float | None = None
    """From one to the other."""
    detail: str = ""


class Notice(Part):
    """A line of the run's log."""

    at: datetime
    level: str
    """`WARN` or `ERROR`, of those in the report."""
    message: str


class Timeline(Part):
    """What happened when."""

    started_at: datetime
    finished_at: datetime | None = None
    """None: it was still under way when the report was written."""
    seconds: float | None = None
    phases: list[PhaseSpan] = []
    windows: list[WindowSpan] = []
    """By the time of their intent."""
    windows_left_out: int = 0
    """More of them, all closed, which are in the store."""
    notices: list[Notice] = []
    """Warnings and errors, in order; at most 200."""


class ReasonCount(Part):
    """Cases without a result that have the same reason."""

    state: CaseState
    reason: str
    cases: int
    examples: list[str] = []
    """Ids of some of them, at most five."""


class CoverageReport(Part):
    """How much of what the plan asks for was measured."""

    total: int
    measured: int
    wanted: int
    """Cases that the plan does not leave out, nor accepts as lacking."""
    share: float
    """Percent of the wanted ones that were measured."""
    at_least: float
    """Percent that the plan asks for, else the run is inconclusive."""
    enough: bool
    invalid: int = 0
    skipped: int = 0
    """Those that the plan leaves out are not among them."""
    excluded: int = 0
    missing: int = 0
    """The run ended before it came to them."""
    reasons: list[ReasonCount] = []
    """Why cases lack, the most frequent first; at most 50."""


class EnvironmentReport(Part):
    """Where the run took place, and what did it."""

    environment: str
    namespace: str
    proxy: str = ""
    fault_service: str = ""
    request: str = ""
    """Method and URL of the plan's request, without the query."""
    load: str = ""
    """How much was sent, in words."""
    slo: list[str] = []
    """What a case must meet, in words."""
    workflow_id: str = ""
    workflow_run_id: str = ""
    requested_by: str = ""
    plan_sha256: str = ""
    """Of the plan's canonical JSON: equal plans have the same."""
    python: str = ""
    """Version of what wrote the report."""
    platform: str = ""
    """Operating system and machine of what wrote the report."""


class Report(Part):
    """Everything that is known of a run when it is written, also of one that failed, was aborted, or goes on."""

    version: Literal[1] = REPORT_VERSION
    holdfast_version: str
    """Of what wrote the report."""
    written_at: datetime
    title: str
    """`shop, 2026-11-21 20:15 UTC`."""
    verdict_sentence: str
    """What came of the run, for somebody who reads nothing else."""
    recovery_sentence: str
    """Whether the system is known to be as it was."""
    run: RunState
    """As the `status` query has it, made of what is stored: the five panels."""
    services: list[ServiceReport]
    """By name: the order of the matrix."""
    cases: list[CaseReport]
    """Every case, by index; of very large runs the baseline, the singles and the worst pairs."""
    cases_left_out: int = 0
    """More of them, which are in the store. `run.cases` counts all."""
    controls: list[ControlReport] = []
    pairs: list[PairCell]
    """The matrix without its diagonal, which is the cases of one service; the worst interaction first."""
    shown_percentile: Percentile = Percentile.P95
    """Whose ratio to the baseline a matrix should show: p50 when no case has successes enough for a p95."""
    timeline: Timeline
    coverage: CoverageReport
    environment: EnvironmentReport
    plan_yaml: str
    """The plan as it was stored, secrets by the names of their variables and never by value."""
