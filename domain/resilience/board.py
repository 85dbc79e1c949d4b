"""The board of a resilience test: its state, as stages and windows report it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from domain.calls.model import CallsFound
from domain.cases.cases import BATCH_SIZE
from domain.cases.tokens import token_of
from domain.errors import ErrorCode
from domain.executions.board import ExecutionBoard
from domain.executions.execution import Execution, RunStatus
from domain.executions.windows import WindowChanged, WindowKind, WindowState
from domain.faults.model import FaultReport, InjectionState
from domain.measuring.load import GeneratedCases
from domain.measuring.merging import SHOWN_CASES, merged
from domain.measuring.metrics import JudgedCases, LoadMetrics
from domain.measuring.steady_report import SteadyMoment, SteadyReport
from domain.pairs import comparing as fidelity
from domain.pairs.fidelity import PairFidelity, PairFinding
from domain.plans.environments import environment_in
from domain.plans.plan import Plan
from domain.resilience.ended import injection_fields, over
from domain.resilience.model import CaseCounts, Phase
from domain.resilience.overlaps import with_overlaps
from domain.resilience.progress import message_of, percent_of
from domain.resilience.state import CasesPanel, InjectionRow, LoadPanel, PhaseTime, ResilienceState
from domain.traffic.summary import AnalysisReport

SHOWN_TOKENS = 50


class ResilienceBoard(ExecutionBoard[ResilienceState]):
    """A resilience test's state, and the rules by which it changes."""

    def __init__(self) -> None:
        super().__init__(ResilienceState())
        self._metrics = LoadMetrics()
        self._tokens: dict[str, str] = {}
        self._faults_overlap = False

    def accepted(self, plan: Plan, now: datetime) -> None:
        """Start the run: its input is valid."""
        rows = [InjectionRow(service=name) for name in plan.service_names]
        self._tokens = {name: token_of(plan, name) for name in plan.service_names[:SHOWN_TOKENS]}
        self._faults_overlap = plan.safety.max_active_faults > 1
        self.begun(plan.name, now)
        self._set(
            plan=plan.name,
            environment=environment_in(plan),
            namespace=plan.system.namespace,
            team=plan.team or "",
            injections=rows,
            analysis=self.state.analysis.model_copy(update={"services": len(rows), "state": "pending"}),
        )
        self.enter(Phase.GENERATING_CASES, now)

    def refused(self, code: ErrorCode, message: str, now: datetime) -> None:
        """End the run before it begins: its input is invalid."""
        self.enter(Phase.GENERATING_CASES, now)
        super().refused(code, message, now)

    def recorded(self, execution: Execution) -> None:
        """Take over the ids of the run's new record."""
        analysis = self.state.analysis.model_copy(update={"record_id": execution.record_id})
        self._set(
            execution_id=execution.execution_id,
            task_id=execution.task_id,
            req_def_id=execution.req_def_id,
            environment=execution.environment,
            analysis=analysis,
        )

    def enter(self, step: str, now: datetime, message: str = "") -> None:
        """Begin a phase, and end the one before it."""
        phase = Phase(step)
        phases = list(self.state.phases)
        if phases and phases[-1].finished_at is None:
            phases[-1] = phases[-1].model_copy(update={"finished_at": now})
        phases.append(PhaseTime(phase=phase, started_at=now))
        self._set(phase=phase, phases=phases)
        super().enter(step, now, message)

    def window_changed(self, change: WindowChanged, now: datetime) -> None:
        """Record a window's change of state."""
        super().window_changed(change, now)
        match change.kind:
            case WindowKind.RECORDING:
                self._recording_changed(change)
            case WindowKind.FAULT:
                self._fault_changed(change)
            case WindowKind.RULES:
                self._rules_changed(change)
            case WindowKind.LOCK | WindowKind.CALLS | WindowKind.PAIRS | WindowKind.PAIR_FAULT:
                pass

    def _recording_changed(self, change: WindowChanged) -> None:
        facts: dict[str, Any] = {
            "state": "recording" if change.state is WindowState.OPEN else self.state.analysis.state
        }
        if change.analyze_task_id:
            facts["analyze_task_id"] = change.analyze_task_id
        if change.stability:
            facts["stability"] = change.stability
        self._set(analysis=self.state.analysis.model_copy(update=facts))

    def _fault_changed(self, change: WindowChanged) -> None:
        running = {WindowState.OPENING, WindowState.OPEN, WindowState.CLOSING}
        facts: dict[str, Any] = {"fault_name": change.peer_name}
        if change.state in running:
            facts["state"] = InjectionState.RUNNING
        if change.stability:
            # A run that ends during a fault gets no report of it: this signal is all it has.
            facts["stable"] = all(stability.stable for stability in change.stability)
        self._update_injection(change.service, facts)

    def _rules_changed(self, change: WindowChanged) -> None:
        facts: dict[str, Any] = {}
        if change.rules:
            facts["rules"] = change.rules
        if change.stability and change.state is WindowState.OPENING:
            # Only while opening: what closing finds does not show how the services took the rules.
            facts["stability"] = change.stability
        if change.state is WindowState.OPEN:
            facts["ready"] = True
        elif change.state in (WindowState.CLOSING, WindowState.CLOSED, WindowState.UNVERIFIED):
            facts["ready"] = False
        self._set(rules=self.state.rules.model_copy(update=facts))
        if change.batches_done:
            self._merge_metrics(change)

    def _merge_metrics(self, change: WindowChanged) -> None:
        """Merge the metrics of a finished page of the load test."""
        self._metrics = merged(self._metrics, change.metrics or LoadMetrics(), SHOWN_CASES)
        self._update_load(batches_done=change.batches_done, cases_done=change.cases_done)

    def _update_load(self, **facts: Any) -> None:
        """Update the load panel with the current metrics."""
        facts |= {
            "worst_p95_ms": self._metrics.worst_p95_ms,
            "worst_p95_case": self._metrics.worst_p95_case,
            "worst_max_ms": self._metrics.worst_max_ms,
            "worst_max_case": self._metrics.worst_max_case,
            "mean_error_rate": self._metrics.mean_error_rate,
            "cases": self._metrics.cases,
        }
        self._set(load=self.state.load.model_copy(update=facts))

    def _update_injection(self, service: str, facts: dict[str, Any]) -> None:
        rows = [row.model_copy(update=facts) if row.service == service else row for row in self.state.injections]
        self._set(**injection_fields(rows))

    def analyzed(self, report: AnalysisReport) -> None:
        """Record the result of the recording window."""
        facts = {"state": "completed", "recorded": report.services, "stability": report.stability}
        self._set(analysis=self.state.analysis.model_copy(update=facts))

    def generated(self, cases: GeneratedCases) -> None:
        """Record that cases and tokens are stored."""
        counts = CaseCounts(total=cases.total, baseline=cases.baseline, single=cases.single, dual=cases.dual)
        batches = -(-cases.total // BATCH_SIZE)
        load = LoadPanel(batches_total=batches, batch_size=BATCH_SIZE, cases_total=cases.total)
        panel = CasesPanel(
            **counts.model_dump(include={"total", "baseline", "single", "dual"}),
            baggage_tokens=cases.tokens,
            tokens=self._tokens,
        )
        self._set(cases=counts, generated=panel, load=load)

    def injected(self, report: FaultReport) -> None:
        """Record the result of a fault window."""
        captured = report.captured
        self._update_injection(
            report.service,
            {
                "state": report.state,
                "fault_name": report.fault_name,
                "replay_status": captured.status if captured else None,
                "no_effect": captured.no_effect if captured else False,
                "stable": report.stable_after,
                "error": report.error,
            },
        )

    def injected_again(self, report: FaultReport) -> None:
        """Record the result of a further fault window of a service.

        Discovery opened it to capture how more of the service's calls fail. Trouble with it takes nothing away from
        what was captured before.
        """
        before = next(row for row in self.state.injections if row.service == report.service)
        captured = report.captured
        known = before.replay_status is not None
        facts: dict[str, Any] = {"stable": report.stable_after, "fault_name": report.fault_name}
        if not report.recovery_verified:
            facts |= {"state": InjectionState.FAILED, "error": report.error}
        elif captured is None and not known:
            facts |= {"state": InjectionState.FAILED, "error": before.error or report.error}
        else:
            facts |= {"state": InjectionState.RECOVERED, "error": ""}
        if captured is not None:
            facts["no_effect"] = captured.no_effect and (before.no_effect or not known)
            facts["replay_status"] = before.replay_status if known else captured.status
        self._update_injection(report.service, facts)

    def calls_read(self, found: CallsFound) -> None:
        """Record the calls found by a round of discovery."""
        self._set(fallback_calls=found.new)

    def uninjected(self, service: str, reason: str) -> None:
        """Mark a service as failed: its cases could not be measured.

        It gets no fault.
        """
        self._update_injection(service, {"state": InjectionState.FAILED, "error": reason})

    def rules_planned(self, ttl_seconds: int) -> None:
        """Record the TTL of the rules."""
        self._set(rules=self.state.rules.model_copy(update={"ttl_seconds": ttl_seconds}))

    def pairs_chosen(self, share: float | None, measured: int, chosen: int) -> None:
        """Record how many pairs are verified with two real faults."""
        self._set(pairs=PairFidelity(share=share or 0, measured=measured, chosen=chosen, asked_for=share is not None))

    def pairs_verified(self, findings: Sequence[PairFinding]) -> None:
        """Add the findings of verified pairs."""
        if self.state.pairs is not None:
            self._set(pairs=fidelity.add_findings(self.state.pairs, findings))

    def judged(self, judgement: JudgedCases) -> None:
        """Record the verdict.

        Judging may make some measured cases invalid. Therefore it also replaces metrics and counts.
        """
        if judgement.load is not None:
            self._metrics = judgement.load
            self._update_load()
        cases = {"failed_cases": judgement.failed_cases, "inconclusive_cases": judgement.inconclusive_cases}
        self._set(verdict=judgement.verdict, cases=judgement.cases, **cases)

    def steady(self, moment: SteadyMoment, report: SteadyReport) -> None:
        """Record a check of the steady state.

        If it is not met after the test, recovery is unverified, even if everything is switched off.
        """
        self._set(**{f"steady_{moment}": report})
        if moment is SteadyMoment.AFTER and not report.met:
            self.doubted()

    def ended(self, status: RunStatus, now: datetime, code: ErrorCode | None = None, message: str = "") -> None:
        """End the run."""
        self._set(**over(self.state, status, message))
        super().ended(status, now, code, message)

    def snapshot(self, now: datetime) -> ResilienceState:
        """Return the state, with an estimate of the time left.

        It also shows which faults were active at once, if the plan allows several.
        """
        facts: dict[str, Any] = {
            "eta_seconds": _eta(self.state, now),
            "progress": percent_of(self.state),
            "message": message_of(self.state),
        }
        if self._faults_overlap:
            facts["injections"] = with_overlaps(self.state.injections, self.state.windows)
        return self.state.model_copy(update=facts)


def _eta(state: ResilienceState, now: datetime) -> float | None:
    """Estimate the seconds until the load test is over.

    From its rate up to now. None before its first batch, and outside the load test.
    """
    started = next(
        (phase_time.started_at for phase_time in state.phases if phase_time.phase is Phase.LOAD_TEST_BASELINE), None
    )
    if state.phase is not Phase.LOAD_TEST_BASELINE or started is None or not state.load.cases_done:
        return None
    per_case = (now - started).total_seconds() / state.load.cases_done
    return round(per_case * (state.load.cases_total - state.load.cases_done), 1)
