"""The report of a resilience test: every fact that its forms show.

The forms render these values and compute nothing.

The JSON form is this model as it stands (`docs/report.schema.json`). Fields are therefore only ever added: changing the
meaning of a field, or removing one, needs a new `version`. Times are UTC. Latencies are of successful requests only.
"""

from __future__ import annotations

from domain.faults.model import InjectionState
from domain.plans.slo import Percentile
from domain.resilience.state import ResilienceState
from reports.model.calls import CallStanding, FallbackCallReport, FallbackReport, GroundsReport
from reports.model.cases import CaseReport, CaseState, ControlReport, Interaction, PairCell, Part, Ratio, RealReport
from reports.model.execution import REPORT_VERSION, ExecutionReport, Notice, PhaseSpan, Timeline, WindowSpan

# The door to all report models: forms and builders import them from here, wherever they are defined.
__all__ = [
    "REPORT_VERSION",
    "CallStanding",
    "CapturedReport",
    "CaseReport",
    "CaseState",
    "ControlReport",
    "CoverageReport",
    "EnvironmentReport",
    "ExecutionReport",
    "FallbackCallReport",
    "FallbackReport",
    "GroundsReport",
    "Interaction",
    "Notice",
    "PairCell",
    "Part",
    "PhaseSpan",
    "Ratio",
    "RealReport",
    "ReasonCount",
    "Report",
    "ServiceReport",
    "Timeline",
    "WindowSpan",
]  # fmt: skip


class CapturedReport(Part):
    """A service's answer to one recorded request, when broken and when healthy.

    The request was replayed while the service's fault was active.
    """

    method: str
    path: str
    """Path without the query."""
    status: int
    content_type: str = ""
    body: str = ""
    """Body of the answer, redacted as stored and truncated."""
    substituted: bool = False
    """Whether no HTTP answer was seen, and the status is the plan's substitute."""
    no_effect: bool = False
    """Whether the answer equals the healthy one."""
    error_message: str = ""
    healthy_status: int | None = None
    healthy_body: str = ""
    """Body of the healthy answer, redacted as stored and truncated."""


class ServiceReport(Part):
    """One service: its fault, and what its failure looks like."""

    service: str
    fault: str
    """Fault from the plan, in words: `remove`, `delay 3s`, `pod cpu fullload`."""
    fault_type: str = ""
    """Type of the fault, as in the baggage token."""
    fault_name: str = ""
    """Name of the fault at the fault service. Empty if there was no fault."""
    experiment: dict[str, str] = {}
    """Scope, target, action and each matcher, as injected."""
    state: InjectionState = InjectionState.PENDING
    error: str = ""
    """Why there is no captured failure."""
    recorded_requests: int | None = None
    """Number of distinct requests recorded. None if the run did not get that far."""
    baggage_forwarded: bool | None = None
    token: str = ""
    """Baggage token of the service."""
    overlapped: list[str] = []
    """Services that were broken at the same time."""
    broken_seconds: float | None = None
    """Seconds from the intent to inject until the fault was verified gone. This is the sum over all of the service's
    own faults, without those of pairs."""
    case_index: int | None = None
    """Index of the case in which this service fails alone."""
    captured: list[CapturedReport] = []
    captured_left_out: int = 0
    """Further captured answers, which are only in the store."""


class ReasonCount(Part):
    """Cases without a result that share a reason."""

    state: CaseState
    reason: str
    cases: int
    examples: list[str] = []
    """Ids of some of these cases, at most five."""


class CoverageReport(Part):
    """How much of what the plan asks for was measured."""

    total: int
    measured: int
    wanted: int
    """Cases that count: all but those the plan excludes or accepts as unmeasured."""
    share: float
    """Percent of the wanted cases that were measured."""
    at_least: float
    """Percent that the plan requires. With less, a run without failed cases is inconclusive."""
    enough: bool
    invalid: int = 0
    skipped: int = 0
    """Skipped cases, without those that the plan excludes."""
    excluded: int = 0
    missing: int = 0
    """Cases that the run did not reach before it ended."""
    reasons: list[ReasonCount] = []
    """Why cases have no result, the most frequent reason first; at most 50."""


class EnvironmentReport(Part):
    """Where the run took place, and what ran it."""

    environment: str
    namespace: str
    proxy: str = ""
    fault_service: str = ""
    request: str = ""
    """Method and URL of the plan's request, without the query."""
    load: str = ""
    """How much load was sent, in words."""
    slo: list[str] = []
    """What a case must meet, in words."""
    workflow_id: str = ""
    workflow_run_id: str = ""
    requested_by: str = ""
    plan_sha256: str = ""
    """Digest of the plan's canonical JSON: equal plans have equal digests."""
    python: str = ""
    """Python version of the process that wrote the report."""
    platform: str = ""
    """Operating system and machine architecture on which the report was written."""


class Report(ExecutionReport):
    """Everything known about a resilience test when the report is written."""

    run: ResilienceState
    """State of the run, as the `status` query returns it: the five panels. It is rebuilt from what is stored."""
    services: list[ServiceReport]
    """Services by name, which is the order of the matrix."""
    cases: list[CaseReport]
    """Every case, by index. Very large runs list only the baseline, the singles and the worst pairs; without the store,
    only failed and inconclusive cases are known."""
    cases_left_out: int = 0
    """Further cases, which are only in the store. `run.cases` counts all of them."""
    controls: list[ControlReport] = []
    pairs: list[PairCell]
    """The matrix without its diagonal, the worst interaction first. The diagonal holds the cases of single services."""
    fallback: FallbackReport | None = None
    """Calls that services receive only, or more often, while something is broken. None: the run did not look for
    them."""
    grounds: GroundsReport | None = None
    """Evidence behind the verdicts. None if `fallback` is None, and in reports made without the store."""
    shown_percentile: Percentile = Percentile.P95
    """Percentile whose ratio to the baseline a matrix should show. p50 if no case has enough successes for a p95."""
    coverage: CoverageReport
    environment: EnvironmentReport
    plan_yaml: str
    """The plan as stored. Secrets appear as the names of their variables, never by value."""
