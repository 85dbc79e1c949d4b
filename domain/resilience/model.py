"""A resilience test as a whole: its input, its phases and its result.

What every kind of execution has is in `domain/executions/`. Terms as in `docs/architecture.md`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from domain.base import Contract, StrictModel
from domain.executions.execution import ExecutionSummary, IfBusy, Leftovers, Verdict
from domain.pairs.fidelity import PairFidelity
from domain.units import ShareOfSome

RESILIENCE_TEST = "resilience-test"
"""Name of this kind of execution, in the store, in states and in workflow ids."""


class Phase(StrEnum):
    """Phase of a resilience test.

    These are the exact strings of the original orchestrator, except for CANCELLED, which is ours.
    """

    GENERATING_CASES = "GENERATING_CASES"
    ANALYZING_PATTERNS = "ANALYZING_PATTERNS"
    INJECTING_AND_REPLAYING = "INJECTING_AND_REPLAYING"
    RULES_READY = "RULES_READY"
    LOAD_TEST_BASELINE = "LOAD_TEST_BASELINE"
    DONE = "DONE"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class OldPhase(StrEnum):
    """Phases that may occur in rows of the original orchestrator.

    They are only read. All writing code takes a `Phase`.
    """

    INIT = "INIT"
    """Default of the original's entity, before it was first saved."""
    RECORDING_READY = "RECORDING_READY"
    """End of a stage that the original no longer has."""


AnyPhase = Phase | OldPhase
"""Phase of an execution in a stored row."""


class RunInput(StrictModel):
    """The JSON object that starts `ResilienceTest`.

    The plan is validated separately, so that every problem is reported.
    """

    plan: dict[str, Any]
    if_busy: IfBusy = IfBusy.REFUSE
    leftovers: Leftovers = Leftovers.REFUSE
    verify_pairs: ShareOfSome | None = None
    """Share of measured pairs that also run with two real faults. For example `"100%"`; None: no pairs."""
    requested_by: str = ""


class NewExecution(Contract):
    """Order to create the record of a run."""

    plan_json: str
    """The validated plan, as canonical JSON."""
    workflow_id: str
    run_id: str
    requested_by: str = ""
    verify_pairs: bool = False
    """Whether pairs run with two real faults, which the worker must allow."""


class PhaseChange(Contract):
    """Order to store the phase of a run."""

    execution_id: int
    phase: Phase
    analyze_task_id: str | None = None
    intercept_record_id: str | None = None


class CaseCounts(Contract):
    """Number of cases, and what became of them."""

    total: int = 0
    baseline: int = 0
    single: int = 0
    dual: int = 0
    measured: int = 0
    invalid: int = 0
    skipped: int = 0
    excluded: int = 0
    """Skipped cases that the plan excludes on purpose."""
    dispensable: int = 0
    """Other invalid and skipped cases that `coverage.may_lack` accepts."""
    passed: int = 0
    failed: int = 0
    inconclusive: int = 0
    """Measured cases with too few requests for a verdict, by `slo.regression`."""


class CaseVerdict(Contract):
    """One line of the result: a case, its outcome and the reason."""

    case_id: str
    outcome: str
    verdict: Verdict | None = None
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    """Percentiles of successful requests. None if those are too few (`unsupported`), or nothing was measured."""
    max_ms: float | None = None
    """The slowest successful request."""
    unsupported: list[str] = []
    """Percentiles that are None because too few requests succeeded. `p95` needs 59 and `p99` 299. Empty if none
    succeeded."""
    error_rate: float | None = None
    """Percent of requests, 0 to 100. What counts as an error is the peers' definition."""
    requests: int = 0
    successes: int = 0
    per_second: float | None = None
    """Requests per second, over the time in which they were sent."""
    reason: str = ""


class Judgement(Contract):
    """Judgement of all results by the SLO."""

    verdict: Verdict
    cases: CaseCounts
    failed_cases: list[CaseVerdict] = []
    """At most 50: highest error rate first, then slowest first."""
    inconclusive_cases: list[CaseVerdict] = []
    """At most 50, in the same order."""
    requests_saved: int = 0
    """Requests allowed by `load.max_requests` but not sent. Only of measured cases, which were decided earlier."""


class ResilienceSummary(ExecutionSummary):
    """Result of `ResilienceTest`, usable directly from `temporal workflow result`."""

    kind: str = RESILIENCE_TEST
    plan: str
    namespace: str
    phase: Phase = Phase.DONE
    verdict: Verdict
    cases: CaseCounts
    failed_cases: list[CaseVerdict] = []
    """At most 50, the worst failing cases first. All of them are in the store."""
    inconclusive_cases: list[CaseVerdict] = []
    """The same for cases with too few requests for a verdict."""
    requests_saved: int = 0
    """Requests allowed by `load.max_requests` but not sent. Only of measured cases, which were decided earlier."""
    pairs: PairFidelity | None = None
    """How well pairs made of rules match two real faults. None if no pair ran with real faults."""
