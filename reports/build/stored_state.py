"""The state of a run, rebuilt from the store.

Used if a run cannot be queried, or if the Temporal server has forgotten it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from clients.store.read_models import ExecutionRow
from clients.store.store import Store
from domain.calls.discovery import only_when_broken
from domain.calls.model import NEVER_READ
from domain.cases.cases import BATCH_SIZE, batches_in, case_count
from domain.cases.counting import count_cases
from domain.executions.execution import RunStatus, Verdict
from domain.executions.windows import LedgerState, StabilityMoment, WindowKind
from domain.faults.capture import build_rules, has_effect
from domain.faults.model import InjectionState
from domain.measuring.load import CaseRange
from domain.measuring.steady_report import SteadyMoment
from domain.names import record_id
from domain.pairs import comparing as fidelity
from domain.pairs.fidelity import PairFidelity
from domain.plans.durations import rules_ttl
from domain.resilience.board import SHOWN_TOKENS
from domain.resilience.ended import injection_fields
from domain.resilience.model import Phase
from domain.resilience.progress import message_of, percent_of
from domain.resilience.state import (
    AnalysisPanel,
    CasesPanel,
    InjectionRow,
    LoadPanel,
    PhaseTime,
    ResilienceState,
    RulesPanel,
)
from domain.traffic.summary import RecordedService
from reports.build.reading import CHUNK, StoredRun, read_run
from reports.build.stored_faults import injections, window_row

MOST_STATE_CASES = CHUNK
"""Cases up to which a state has results. Reading more would keep the caller waiting too long."""

_ENDS = (Phase.DONE, Phase.FAILED, Phase.CANCELLED)


async def stored_state(store: Store, row: ExecutionRow) -> ResilienceState:
    """Return everything the store knows of a run.

    Results are left out if there are more than `MOST_STATE_CASES` cases.
    """
    return state_of(await read_run(store, row, most_cases=MOST_STATE_CASES, worst_of_more=False))


def state_of(run: StoredRun) -> ResilienceState:
    """Build the state of a run from what was read of it."""
    plan = run.plan
    results = run.results
    counts = count_cases(plan, run.kinds, results.found)
    rows = injections(run)
    load = _load(run)
    state = _header(run).model_copy(
        update={
            "phases": phases_of(run),
            "analysis": _analysis(run),
            "generated": CasesPanel(
                **counts.model_dump(include={"total", "baseline", "single", "dual"}),
                baggage_tokens=len(run.tokens),
                tokens=dict(list(run.tokens.items())[:SHOWN_TOKENS]),
            ),
            "cases": counts,
            "rules": _rules(run, rows),
            "load": load,
            "pairs": _pairs(run),
            "fallback_calls": _fallback_calls(run),
            "windows": [window_row(entry) for entry in run.ledger],
            "failed_cases": [case for case in load.cases if case.verdict is Verdict.FAILED],
            "inconclusive_cases": [case for case in load.cases if case.verdict is Verdict.INCONCLUSIVE],
        }
    )
    state = state.model_copy(update=injection_fields(rows))
    return state.model_copy(update={"progress": percent_of(state), "message": message_of(state)})


def _fallback_calls(run: StoredRun) -> int | None:
    read = any(call_round.detail != NEVER_READ for call_round in run.rounds)
    return len(only_when_broken(run.calls)) if read else None


def _header(run: StoredRun) -> ResilienceState:
    facts = run.row.model_dump(
        include={
            "execution_id", "task_id", "req_def_id", "plan", "environment", "namespace", "verdict", "recovery",
            "started_at", "updated_at", "finished_at", "error_code", "error_message",
        }
    )  # fmt: skip
    before = run.steady.get(SteadyMoment.BEFORE)
    after = run.steady.get(SteadyMoment.AFTER)
    # Copied, not validated: a row of the original orchestrator may have a phase that `Phase` does not know.
    phase = run.row.status
    more = {
        "name": run.row.plan,
        "status": run.row.run_status,
        "phase": phase,
        "step": phase,
        "steady_before": before,
        "steady_after": after,
    }
    return ResilienceState().model_copy(update=facts | more)


def phases_of(run: StoredRun) -> list[PhaseTime]:
    """Return when each phase was entered and left.

    The first begins with the run. A finished run also gets its final phase (DONE, FAILED or CANCELLED), which has no
    end.
    """
    entered = [(Phase.GENERATING_CASES, run.row.started_at)]
    entered += [(phase, at) for phase, at in run.phases if phase is not Phase.GENERATING_CASES]
    if run.row.finished_at is not None and run.row.status in _ENDS and run.row.status != entered[-1][0]:
        entered.append((Phase(run.row.status), run.row.finished_at))
    ends = [began for _, began in entered[1:]]
    return [
        PhaseTime(phase=phase, started_at=began, finished_at=end) for (phase, began), end in zip_longest(entered, ends)
    ]


def _analysis(run: StoredRun) -> AnalysisPanel:
    row = run.row
    reached = run.propagation
    begun = any(entry.kind is WindowKind.RECORDING for entry in run.ledger)
    state = "completed" if reached else _state_of_begun_analysis(row.run_status) if begun else "pending"
    recorded = [
        RecordedService(service=name, patterns=patterns, baggage_forwarded=reached.get(name, False))
        for name, patterns in run.analyzed.items()
    ]
    return AnalysisPanel(
        services=len(run.plan.services),
        state=state,
        error=row.error_message if state == "failed" else "",
        analyze_task_id=row.analyze_task_id or "",
        record_id=record_id(row.execution_id),
        recorded=recorded,
        stability=run.stability.get(StabilityMoment.AFTER_ANALYSIS, []),
    )


def _state_of_begun_analysis(status: RunStatus) -> str:
    if status in (RunStatus.PENDING, RunStatus.RUNNING):
        return "recording"
    return "cancelled" if status is RunStatus.CANCELLED else "failed"


def _rules(run: StoredRun, rows: Sequence[InjectionRow]) -> RulesPanel:
    window = next((entry for entry in run.ledger if entry.kind is WindowKind.RULES), None)
    if window is None:
        return RulesPanel()
    usable = [
        row.service
        for row in rows
        if row.state is InjectionState.RECOVERED and has_effect(run.captured.get(row.service, []))
    ]
    rules = [
        rule
        for name in usable
        for rule in build_rules(window.peer_name, name, run.tokens.get(name, ""), run.captured[name])
    ]
    return RulesPanel(
        rules=len(rules),
        ready=window.state is LedgerState.OPEN,
        ttl_seconds=int(rules_ttl(run.plan, case_count(len(run.plan.services))).total_seconds()),
        stability=run.stability.get(StabilityMoment.WITH_RULES, []),
    )


def _load(run: StoredRun) -> LoadPanel:
    total = run.total
    finished = run.results.found
    metrics = run.results.metrics
    batches = batches_in(CaseRange(first=0, end=total), BATCH_SIZE)
    panel = LoadPanel(batches_total=len(batches), batch_size=BATCH_SIZE if total else 0, cases_total=total)
    if not any(entry.kind is WindowKind.RULES for entry in run.ledger):
        return panel
    return panel.model_copy(
        update={
            "batches_done": sum(all(index in finished for index in range(batch.first, batch.end)) for batch in batches),
            "cases_done": len(finished),
            "worst_p95_ms": metrics.worst_p95_ms,
            "worst_p95_case": metrics.worst_p95_case,
            "worst_max_ms": metrics.worst_max_ms,
            "worst_max_case": metrics.worst_max_case,
            "mean_error_rate": metrics.mean_error_rate,
            "cases": metrics.cases,
        }
    )


def _pairs(run: StoredRun) -> PairFidelity | None:
    """Rebuild the pair fidelity from the stored pairs."""
    choice = run.pair_choice
    if choice is None:
        return None
    # Earlier runs did not store the requested share, so it is derived from what came of it.
    derived = 100 * choice.chosen / choice.measured if choice.measured else 100
    share = (derived if choice.share is None else choice.share) if choice.asked_for else 0
    blank = PairFidelity(share=share, measured=choice.measured, chosen=choice.chosen, asked_for=choice.asked_for)
    return fidelity.add_findings(blank, [pair.finding for pair in run.checked])
