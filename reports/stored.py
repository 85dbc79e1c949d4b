"""A run's state as the store tells it: of a run that cannot be asked, or that the Temporal server has forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from clients.store.read_models import ExecutionRow, LogEntry
from clients.store.store import Store
from reports.reading import CHUNK, StoredRun, read_run
from reports.stored_faults import injections, window_row
from workflows.contracts.calls import NEVER_READ
from workflows.contracts.execution import Phase, RunStatus, Verdict
from workflows.contracts.faults import InjectionState
from workflows.contracts.fidelity import PairFidelity
from workflows.contracts.load import CaseOutcome, CaseRange
from workflows.contracts.status import (
    AnalysisPanel,
    CasesPanel,
    InjectionRow,
    LoadPanel,
    PhaseTime,
    RulesPanel,
    RunState,
)
from workflows.contracts.steady import SteadyReport
from workflows.contracts.traffic import RecordedService
from workflows.contracts.windows import LedgerState, StabilityMoment, WindowKind
from workflows.logic import fidelity
from workflows.logic.board import SHOWN_TOKENS
from workflows.logic.calls import only_when_broken
from workflows.logic.capture import build_rules, has_effect
from workflows.logic.cases import BATCH_SIZE, batches_in, case_count, pair_count
from workflows.logic.counting import count_cases
from workflows.logic.durations import rules_ttl
from workflows.logic.endings import counted
from workflows.names import record_id

MOST_CASES = CHUNK
"""Cases of which a state has results: more would take longer than somebody who asks for it waits."""

_STEADY = "steady state "
_PHASE = "phase "
_ENDS = (Phase.DONE, Phase.FAILED, Phase.CANCELLED)


async def stored_state(store: Store, row: ExecutionRow) -> RunState:
    """Everything that the store knows of a run; without its results when there are more cases than can be read."""
    return state_of(await read_run(store, row, most_cases=MOST_CASES, worst_of_more=False))


def state_of(run: StoredRun) -> RunState:
    """The state of a run, made of what was read of it."""
    plan, results = run.plan, run.results
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
            "windows": [window_row(one) for one in run.ledger],
            "failed_cases": [one for one in load.cases if one.verdict is Verdict.FAILED],
            "inconclusive_cases": [one for one in load.cases if one.verdict is Verdict.INCONCLUSIVE],
        }
    )
    return state.model_copy(update=counted(rows))


def _fallback_calls(run: StoredRun) -> int | None:
    read = any(one.detail != NEVER_READ for one in run.rounds)
    return len(only_when_broken(run.calls)) if read else None


def _header(run: StoredRun) -> RunState:
    facts = run.row.model_dump(
        include={
            "execution_id", "task_id", "req_def_id", "plan", "environment", "namespace", "verdict", "recovery",
            "started_at", "updated_at", "finished_at", "error_code", "error_message",
        }
    )  # fmt: skip
    before, after = [*_steady(run.log), None, None][:2]
    # Copied, not validated: a row of the original may have a phase that is none of ours.
    more = {"status": run.row.run_status, "phase": run.row.status, "steady_before": before, "steady_after": after}
    return RunState().model_copy(update=facts | more)


def _steady(log: Sequence[LogEntry]) -> list[SteadyReport]:
    """From the log: what was seen before the run, and then after it."""
    found = [one.message.removeprefix(_STEADY) for one in log if one.message.startswith(_STEADY)]
    return [
        SteadyReport(met=one == "met", detail=one.removeprefix("not met: ") if one != "met" else "") for one in found
    ]


def phases_of(run: StoredRun) -> list[PhaseTime]:
    """From the log: it has a line when a phase is entered, but for the first one, which begins with the run.

    The last one of a run that is over ends nothing: nobody is in it.
    """
    entered = [(Phase.GENERATING_CASES, run.row.started_at)]
    for one in run.log:
        name = one.message.removeprefix(_PHASE)
        if one.message.startswith(_PHASE) and name in list(Phase) and name != entered[-1][0]:
            entered.append((Phase(name), one.ts))
    if run.row.finished_at is not None and run.row.status in _ENDS and run.row.status != entered[-1][0]:
        entered.append((Phase(run.row.status), run.row.finished_at))
    ends = [began for _, began in entered[1:]]
    return [
        PhaseTime(phase=phase, started_at=began, finished_at=end) for (phase, began), end in zip_longest(entered, ends)
    ]


def _analysis(run: StoredRun) -> AnalysisPanel:
    row, reached = run.row, run.propagation
    begun = any(one.kind is WindowKind.RECORDING for one in run.ledger)
    state = "completed" if reached else _unfinished(row.run_status) if begun else "pending"
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


def _unfinished(status: RunStatus) -> str:
    if status in (RunStatus.PENDING, RunStatus.RUNNING):
        return "recording"
    return "cancelled" if status is RunStatus.CANCELLED else "failed"


def _rules(run: StoredRun, rows: Sequence[InjectionRow]) -> RulesPanel:
    window = next((one for one in run.ledger if one.kind is WindowKind.RULES), None)
    if window is None:
        return RulesPanel()
    usable = [
        one.service
        for one in rows
        if one.state is InjectionState.RECOVERED and has_effect(run.captured.get(one.service, []))
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
    total, finished, found = run.total, run.results.found, run.results.metrics
    batches = batches_in(CaseRange(first=0, end=total), BATCH_SIZE)
    panel = LoadPanel(batches_total=len(batches), batch_size=BATCH_SIZE if total else 0, cases_total=total)
    if not any(one.kind is WindowKind.RULES for one in run.ledger):
        return panel
    return panel.model_copy(
        update={
            "batches_done": sum(all(index in finished for index in range(one.first, one.end)) for one in batches),
            "cases_done": len(finished),
            "worst_p95_ms": found.worst_p95_ms,
            "worst_p95_case": found.worst_p95_case,
            "worst_max_ms": found.worst_max_ms,
            "worst_max_case": found.worst_max_case,
            "mean_error_rate": found.mean_error_rate,
            "cases": found.cases,
        }
    )


def _pairs(run: StoredRun) -> PairFidelity | None:
    """Of the pairs that are stored; the share that was asked for is not, so it is made of them."""
    if not run.checked:
        return None
    in_doubt = next((found for one in run.log if (found := fidelity.measured_in_doubt(one.message)) is not None), None)
    if in_doubt is not None:
        blank = PairFidelity(share=0, measured=in_doubt, chosen=len(run.checked), asked_for=False)
        return fidelity.counted(blank, [one.finding for one in run.checked])
    first_pair = case_count(len(run.plan.services)) - pair_count(len(run.plan.services))
    measured = sum(
        index >= first_pair and outcome is CaseOutcome.MEASURED for index, (outcome, _) in run.results.found.items()
    )
    share = 100 * len(run.checked) / measured if measured else 100
    blank = PairFidelity(share=min(share, 100), measured=max(measured, len(run.checked)), chosen=len(run.checked))
    return fidelity.counted(blank, [one.finding for one in run.checked])
