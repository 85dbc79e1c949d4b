"""State of a resilience test, panel by panel (`stages` section 3).

It contains everything that a person would ask.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import model_validator

from domain.base import Contract
from domain.executions.state import ExecutionState
from domain.executions.windows import ServiceStability
from domain.faults.model import InjectionState
from domain.measuring.steady_report import SteadyReport
from domain.pairs.fidelity import PairFidelity
from domain.resilience.model import RESILIENCE_TEST, CaseCounts, CaseVerdict, Phase
from domain.traffic.summary import RecordedService


class PhaseTime(Contract):
    """Times at which a phase was entered and left."""

    phase: Phase
    started_at: datetime
    finished_at: datetime | None = None


class AnalysisPanel(Contract):
    """Panel of the phase ANALYZING_PATTERNS."""

    services: int = 0
    """Services to analyse."""
    state: str = ""
    """`pending`, `recording`, `completed`, `failed` or `cancelled`."""
    error: str = ""
    """Why the analysis failed."""
    analyze_task_id: str = ""
    record_id: str = ""
    recorded: list[RecordedService] = []
    stability: list[ServiceStability] = []


class InjectionRow(Contract):
    """Row of a service in the phase INJECTING_AND_REPLAYING."""

    service: str
    fault_name: str = ""
    state: InjectionState = InjectionState.PENDING
    replay_status: int | None = None
    no_effect: bool = False
    overlapped: list[str] = []
    """Services whose fault windows were open at once (`safety.max_active_faults`). They share no call path."""
    stable: bool | None = None
    error: str = ""


class RulesPanel(Contract):
    """Panel of the phase RULES_READY."""

    rules: int = 0
    ready: bool = False
    """Whether every service's rules were seen to act. False again when they are removed."""
    ttl_seconds: int = 0
    stability: list[ServiceStability] = []
    """How the services took the rules, from the waits after the upsert."""


class CasesPanel(Contract):
    """Panel of cases and baggage tokens, generated at the end of ANALYZING_PATTERNS."""

    total: int = 0
    baseline: int = 0
    single: int = 0
    dual: int = 0
    baggage_tokens: int = 0
    tokens: dict[str, str] = {}
    """Baggage token of each service, for the first fifty services."""


class LoadPanel(Contract):
    """Panel of the phase LOAD_TEST_BASELINE."""

    batches_total: int = 0
    batches_done: int = 0
    batch_size: int = 0
    """Cases in a batch. The last batch may be shorter."""
    cases_total: int = 0
    cases_done: int = 0
    worst_p95_ms: float | None = None
    worst_p95_case: str = ""
    """None and empty until a case has enough successes for a p95."""
    worst_max_ms: float | None = None
    """The slowest successful request of all measured cases."""
    worst_max_case: str = ""
    mean_error_rate: float | None = None
    """Mean error rate of the measured cases, in percent."""
    cases: list[CaseVerdict] = []
    """Cases with their metrics, worst first. Only the 200 worst if there are more."""


class ResilienceState(ExecutionState):
    """Current state of a resilience test: the result of the query `status`."""

    kind: str = RESILIENCE_TEST
    plan: str = ""
    task_id: int | None = None
    """Id of the stored plan."""
    req_def_id: int | None = None
    """Id of the stored request."""
    step: str = Phase.GENERATING_CASES.value
    phase: Phase = Phase.GENERATING_CASES
    phases: list[PhaseTime] = []
    eta_seconds: float | None = None
    """Estimated seconds until the load test ends, from the cases done. None outside it and before its first batch."""
    analysis: AnalysisPanel = AnalysisPanel()
    generated: CasesPanel = CasesPanel()
    cases: CaseCounts = CaseCounts()
    """What became of the cases. Complete once there is a verdict."""
    injections: list[InjectionRow] = []
    injections_completed: int = 0
    injections_running: int = 0
    rules: RulesPanel = RulesPanel()
    load: LoadPanel = LoadPanel()
    steady_before: SteadyReport | None = None
    steady_after: SteadyReport | None = None
    pairs: PairFidelity | None = None
    """Pairs already verified with two real faults. None if no pairs were chosen."""
    fallback_calls: int | None = None
    """Different fallback calls already read. None before the first reading."""
    failed_cases: list[CaseVerdict] = []
    inconclusive_cases: list[CaseVerdict] = []

    @model_validator(mode="before")
    @classmethod
    def _of_an_older_worker(cls, values: Any) -> Any:
        """Fill in what older workers do not know."""
        if not isinstance(values, dict):
            return values
        return {"step": values.get("phase", Phase.GENERATING_CASES), "name": values.get("plan", "")} | values
