"""The report of a run: every fact that any of its forms shows, as values. What renders it computes nothing.

JSON is this model as it stands (`docs/report.schema.json`), so fields are only ever added; what changes the meaning of
one, or takes one away, needs another `version`. Times are UTC. Latencies are of successful requests only.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from reports.call_parts import CallStanding, FallbackCallReport, FallbackReport, GroundsReport
from reports.case_parts import CaseReport, CaseState, ControlReport, Interaction, PairCell, Part, Ratio, RealReport
from workflows.contracts.execution import Phase
from workflows.contracts.faults import InjectionState
from workflows.contracts.slo import Percentile
from workflows.contracts.status import RunState
from workflows.contracts.windows import WindowKind, WindowState

__all__ = [
    "CallStanding", "CapturedReport", "CaseReport", "CaseState", "ControlReport", "CoverageReport", "EnvironmentReport",
    "FallbackCallReport", "FallbackReport", "GroundsReport", "Interaction", "Notice", "PairCell", "Part", "PhaseSpan",
    "Ratio", "RealReport", "ReasonCount", "Report", "ServiceReport", "Timeline", "WindowSpan",
]  # fmt: skip

REPORT_VERSION: Literal[1] = 1
"""The version of the report that this code writes."""


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
    """From the intent to inject until the fault was seen to be gone; of all of its own faults together."""
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
    notices_left_out: int = 0
    """More of them, which are in the store."""


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
    fallback: FallbackReport | None = None
    """Calls that services receive only, or more often, while something is broken. None: nobody looked for them."""
    grounds: GroundsReport | None = None
    """What the verdicts rest on. None as for `fallback`, and in reports without the store."""
    shown_percentile: Percentile = Percentile.P95
    """Whose ratio to the baseline a matrix should show: p50 when no case has successes enough for a p95."""
    timeline: Timeline
    coverage: CoverageReport
    environment: EnvironmentReport
    plan_yaml: str
    """The plan as it was stored, secrets by the names of their variables and never by value."""
