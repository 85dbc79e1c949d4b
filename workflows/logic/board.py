"""The run's board: one state, moved by what stages and windows report, read by the `status` query.

Pure: time comes from the caller, so that a replay gives the same board.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from workflows.contracts.calls import CallsFound
from workflows.contracts.errors import ErrorCode
from workflows.contracts.execution import CaseCounts, Execution, Phase, Recovery, RunStatus
from workflows.contracts.faults import FaultReport, InjectionState
from workflows.contracts.fidelity import PairFidelity, PairFinding
from workflows.contracts.load import GeneratedCases
from workflows.contracts.metrics import JudgedCases, LoadMetrics
from workflows.contracts.plan import Plan
from workflows.contracts.status import CasesPanel, InjectionRow, LoadPanel, PhaseTime, RunState
from workflows.contracts.steady import SteadyMoment, SteadyReport
from workflows.contracts.traffic import AnalysisReport
from workflows.contracts.windows import WindowChanged, WindowKind, WindowState
from workflows.logic import fidelity
from workflows.logic.cases import BATCH_SIZE
from workflows.logic.endings import counted, over
from workflows.logic.environments import environment_in
from workflows.logic.metrics import SHOWN_CASES, merged
from workflows.logic.tokens import token_of
from workflows.logic.window_rows import moved, recovery_of, with_overlaps

SHOWN_TOKENS = 50


class Board:
    """Holds the run's state and the rules by which it moves."""

    def __init__(self) -> None:
        self.state = RunState()
        self._metrics = LoadMetrics()
        self._tokens: dict[str, str] = {}
        self._ill = False
        self._several = False

    def _set(self, **facts: Any) -> None:
        self.state = self.state.model_copy(update=facts)

    def accepted(self, plan: Plan, now: datetime) -> None:
        """The input was valid."""
        rows = [InjectionRow(service=name) for name in plan.service_names]
        self._tokens = {name: token_of(plan, name) for name in plan.service_names[:SHOWN_TOKENS]}
        self._several = plan.safety.max_active_faults > 1
        self._set(
            plan=plan.name,
            environment=environment_in(plan),
            namespace=plan.system.namespace,
            status=RunStatus.RUNNING,
            started_at=now,
            injections=rows,
            analysis=self.state.analysis.model_copy(update={"services": len(rows), "state": "pending"}),
        )
        self.enter(Phase.GENERATING_CASES, now)

    def refused(self, code: ErrorCode, message: str, now: datetime) -> None:
        """The input was wrong: the run ends before it begins."""
        self._set(started_at=now)
        self.enter(Phase.GENERATING_CASES, now)
        self.ended(RunStatus.FAILED, Phase.FAILED, now, code, message)

    def created(self, execution: Execution) -> None:
        """The record exists."""
        analysis = self.state.analysis.model_copy(update={"record_id": execution.record_id})
        self._set(
            execution_id=execution.execution_id,
            task_id=execution.task_id,
            req_def_id=execution.req_def_id,
            environment=execution.environment,
            analysis=analysis,
        )

    def enter(self, phase: Phase, now: datetime) -> None:
        """A phase begins, and the one before it ends."""
        phases = list(self.state.phases)
        if phases and phases[-1].finished_at is None:
            phases[-1] = phases[-1].model_copy(update={"finished_at": now})
        phases.append(PhaseTime(phase=phase, started_at=now))
        self._set(phase=phase, phases=phases, updated_at=now)

    def window_changed(self, change: WindowChanged, now: datetime) -> None:
        """A window has told its state."""
        rows = moved(self.state.windows, change)
        self._set(windows=rows, updated_at=now, recovery=Recovery.UNVERIFIED if self._ill else recovery_of(rows))
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
        if change.captured_status is not None:
            facts["replay_status"] = change.captured_status
        if change.stability:
            # A run that is ended during a fault gets no report of it.
            facts["stable"] = all(one.stable for one in change.stability)
        self._injection(change.service, facts)

    def _rules_changed(self, change: WindowChanged) -> None:
        facts: dict[str, Any] = {}
        if change.rules:
            facts["rules"] = change.rules
        if change.stability and change.state is WindowState.OPENING:
            # What closing finds is no word on how the services took the rules.
            facts["stability"] = change.stability
        if change.state is WindowState.OPEN:
            facts["ready"] = True
        elif change.state in (WindowState.CLOSING, WindowState.CLOSED, WindowState.UNVERIFIED):
            facts["ready"] = False
        self._set(rules=self.state.rules.model_copy(update=facts))
        if change.batches_done:
            self._measured(change)

    def _measured(self, change: WindowChanged) -> None:
        """A page of the load test is done."""
        self._metrics = merged(self._metrics, change.metrics or LoadMetrics(), SHOWN_CASES)
        self._load(batches_done=change.batches_done, cases_done=change.cases_done)

    def _load(self, **facts: Any) -> None:
        """Show the metrics as they are now."""
        facts |= {
            "worst_p95_ms": self._metrics.worst_p95_ms,
            "worst_p95_case": self._metrics.worst_p95_case,
            "worst_max_ms": self._metrics.worst_max_ms,
            "worst_max_case": self._metrics.worst_max_case,
            "mean_error_rate": self._metrics.mean_error_rate,
            "cases": self._metrics.cases,
        }
        self._set(load=self.state.load.model_copy(update=facts))

    def _injection(self, service: str, facts: dict[str, Any]) -> None:
        rows = [row.model_copy(update=facts) if row.service == service else row for row in self.state.injections]
        self._set(**counted(rows))

    def analyzed(self, report: AnalysisReport) -> None:
        """The recording window has ended."""
        facts = {"state": "completed", "recorded": report.services, "stability": report.stability}
        self._set(analysis=self.state.analysis.model_copy(update=facts))

    def generated(self, cases: GeneratedCases) -> None:
        """Cases and tokens are stored."""
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
        """A fault window has ended."""
        captured = report.captured
        self._injection(
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
        """A further fault window of a service has ended, in which discovery captured how more of its calls fail.

        Trouble with it takes nothing away from what was captured before.
        """
        before = next(row for row in self.state.injections if row.service == report.service)
        captured, known = report.captured, before.replay_status is not None
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
        self._injection(report.service, facts)

    def calls_read(self, found: CallsFound) -> None:
        """A round of discovery is over."""
        self._set(fallback_calls=found.new)

    def uninjected(self, service: str, reason: str) -> None:
        """A service gets no fault, because its cases could not be measured."""
        self._injection(service, {"state": InjectionState.FAILED, "error": reason})

    def rules_planned(self, ttl_seconds: int) -> None:
        """The rules' life is settled."""
        self._set(rules=self.state.rules.model_copy(update={"ttl_seconds": ttl_seconds}))

    def pairs_chosen(self, share: float | None, measured: int, chosen: int) -> None:
        """Which pairs are verified with two real faults is settled."""
        self._set(pairs=PairFidelity(share=share or 0, measured=measured, chosen=chosen, asked_for=share is not None))

    def pairs_verified(self, findings: Sequence[PairFinding]) -> None:
        """Some of them have been."""
        if self.state.pairs is not None:
            self._set(pairs=fidelity.counted(self.state.pairs, findings))

    def judged(self, judgement: JudgedCases) -> None:
        """The verdict is in, and some measured cases may have become invalid."""
        if judgement.load is not None:
            self._metrics = judgement.load
            self._load()
        cases = {"failed_cases": judgement.failed_cases, "inconclusive_cases": judgement.inconclusive_cases}
        self._set(verdict=judgement.verdict, cases=judgement.cases, **cases)

    def steady(self, moment: SteadyMoment, report: SteadyReport) -> None:
        """The steady state was asked for. Afterwards, one that is not met is no recovery, whatever is off."""
        self._set(**{f"steady_{moment}": report})
        if moment is SteadyMoment.AFTER and not report.met:
            self._ill = True
            self._set(recovery=Recovery.UNVERIFIED)

    def waiting_for(self, holder: str) -> None:
        """Another run holds the namespace; empty: not any more."""
        self._set(waiting_for=holder)

    def paused(self, paused: bool) -> None:
        """An operator has paused or resumed the run."""
        self._set(paused=paused)

    def ended(
        self, status: RunStatus, phase: Phase, now: datetime, code: ErrorCode | None = None, message: str = ""
    ) -> None:
        """The run is over."""
        self.enter(phase, now)
        self._set(**over(self.state, status, message))
        self._set(status=status, finished_at=now, error_code=code, error_message=message)

    def is_open(self, window_id: str) -> bool:
        """Whether a window has said that it is open."""
        return any(row.window_id == window_id and row.state is WindowState.OPEN for row in self.state.windows)

    def snapshot(self, now: datetime) -> RunState:
        """The state with an estimate of the time left, and with which faults were on at once."""
        facts: dict[str, Any] = {"eta_seconds": _eta(self.state, now)}
        if self._several:
            facts["injections"] = with_overlaps(self.state.injections, self.state.windows)
        return self.state.model_copy(update=facts)


def _eta(state: RunState, now: datetime) -> float | None:
    """Seconds until the load test is over at the rate so far; None before its first batch."""
    started = next((one.started_at for one in state.phases if one.phase is Phase.LOAD_TEST_BASELINE), None)
    if state.phase is not Phase.LOAD_TEST_BASELINE or started is None or not state.load.cases_done:
        return None
    per_case = (now - started).total_seconds() / state.load.cases_done
    return round(per_case * (state.load.cases_total - state.load.cases_done), 1)
