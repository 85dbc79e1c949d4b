"""The answer of the `status` query: everything a person would ask, panel by panel (`stages` section 3)."""

from __future__ import annotations

from datetime import datetime

from workflows.contracts.base import Contract
from workflows.contracts.errors import ErrorCode
from workflows.contracts.execution import CaseCounts, CaseVerdict, Phase, Recovery, RunStatus, Verdict
from workflows.contracts.faults import InjectionState
from workflows.contracts.fidelity import PairFidelity
from workflows.contracts.steady import SteadyReport
from workflows.contracts.traffic import RecordedService
from workflows.contracts.windows import ServiceStability, WindowKind, WindowState


class PhaseTime(Contract):
    """When a phase was entered and left."""

    phase: Phase
    started_at: datetime
    finished_at: datetime | None = None


class AnalysisPanel(Contract):
    """ANALYZING_PATTERNS."""

    services: int = 0
    """Services to analyse."""
    state: str = ""
    """`pending`, `recording`, `completed`, `failed` or `cancelled`."""
    error: str = ""
    """Why it failed."""
    analyze_task_id: str = ""
    record_id: str = ""
    recorded: list[RecordedService] = []
    stability: list[ServiceStability] = []


class InjectionRow(Contract):
    """One service in INJECTING_AND_REPLAYING."""

    service: str
    fault_name: str = ""
    state: InjectionState = InjectionState.PENDING
    replay_status: int | None = None
    no_effect: bool = False
    overlapped: list[str] = []
    """Services whose fault window was open at the same time, by `safety.max_active_faults`: on no call path with it."""
    stable: bool | None = None
    error: str = ""


class RulesPanel(Contract):
    """RULES_READY."""

    rules: int = 0
    ready: bool = False
    """True only after every service's rules were seen to act."""
    ttl_seconds: int = 0
    stability: list[ServiceStability] = []
    """How the services took the rules: the waits after the upsert."""


class CasesPanel(Contract):
    """Cases and baggage tokens, generated at the end of ANALYZING_PATTERNS."""

    total: int = 0
    baseline: int = 0
    single: int = 0
    dual: int = 0
    baggage_tokens: int = 0
    tokens: dict[str, str] = {}
    """The baggage token of each service; of the first fifty of them."""


class LoadPanel(Contract):
    """LOAD_TEST_BASELINE."""

    batches_total: int = 0
    batches_done: int = 0
    batch_size: int = 0
    """Cases of a batch; the last one may be shorter."""
    cases_total: int = 0
    cases_done: int = 0
    worst_p95_ms: float | None = None
    worst_p95_case: str = ""
    """None and empty while no case had successes enough for a p95."""
    worst_max_ms: float | None = None
    """The slowest successful request of all measured cases."""
    worst_max_case: str = ""
    mean_error_rate: float | None = None
    """Percent, over the measured cases."""
    cases: list[CaseVerdict] = []
    """Cases with their metrics, the worst first: all of up to 200, and the 200 worst of more."""


class WindowRow(Contract):
    """One window that this run has opened."""

    window_id: str
    kind: WindowKind
    state: WindowState
    service: str = ""
    peer_name: str = ""
    detail: str = ""
    began_at: datetime | None = None
    """UTC, by the window's clock: when its intent was written, before anything was switched on."""
    ended_at: datetime | None = None
    """UTC, by the same clock: when it had seen that all is off. None while it has not."""


class RunState(Contract):
    """A run as it stands: the result of the query `status`."""

    execution_id: int | None = None
    plan: str = ""
    task_id: int | None = None
    """Id of the stored plan."""
    req_def_id: int | None = None
    """Id of the stored request."""
    environment: str = ""
    namespace: str = ""
    status: RunStatus = RunStatus.PENDING
    phase: Phase = Phase.GENERATING_CASES
    verdict: Verdict | None = None
    recovery: Recovery | None = Recovery.NOT_NEEDED
    """None while something is switched on."""
    paused: bool = False
    waiting_for: str = ""
    """The holder of the namespace, while waiting for it."""
    started_at: datetime | None = None
    updated_at: datetime | None = None
    finished_at: datetime | None = None
    error_code: ErrorCode | None = None
    error_message: str = ""
    phases: list[PhaseTime] = []
    eta_seconds: float | None = None
    """Estimate until DONE, from the cases done so far; None while nothing is known."""
    analysis: AnalysisPanel = AnalysisPanel()
    generated: CasesPanel = CasesPanel()
    cases: CaseCounts = CaseCounts()
    """What became of the cases; complete with the verdict."""
    injections: list[InjectionRow] = []
    injections_completed: int = 0
    injections_running: int = 0
    rules: RulesPanel = RulesPanel()
    load: LoadPanel = LoadPanel()
    steady_before: SteadyReport | None = None
    steady_after: SteadyReport | None = None
    pairs: PairFidelity | None = None
    """Pairs with two real faults, as far as they have come; None when they were not asked for."""
    fallback_calls: int | None = None
    """Different calls that only failures cause, as far as they have been read; None before that."""
    windows: list[WindowRow] = []
    failed_cases: list[CaseVerdict] = []
    inconclusive_cases: list[CaseVerdict] = []
