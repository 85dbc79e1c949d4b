"""A run's state as the store tells it: of a run that cannot be asked, or that the Temporal server has forgotten.

How long services took to be stable is not in the store; all else of the panels is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

from cli.verdict_table import as_shown
from clients.store.read_models import CaseResult, ExecutionRow
from clients.store.store import Store
from workflows.contracts.exchange import CapturedAnswer
from workflows.contracts.execution import RunStatus, Verdict
from workflows.contracts.faults import InjectionState
from workflows.contracts.fidelity import PairFidelity
from workflows.contracts.load import CaseOutcome, CaseRange, CaseType
from workflows.contracts.plan import Plan
from workflows.contracts.status import (
    AnalysisPanel,
    CasesPanel,
    InjectionRow,
    LoadPanel,
    RulesPanel,
    RunState,
    WindowRow,
)
from workflows.contracts.steady import SteadyReport
from workflows.contracts.traffic import RecordedService
from workflows.contracts.windows import SETTLED, LedgerEntry, LedgerState, WindowKind, WindowState
from workflows.logic import fidelity
from workflows.logic.board import SHOWN_TOKENS
from workflows.logic.capture import build_rules, has_effect
from workflows.logic.cases import BATCH_SIZE, batches_in, case_count
from workflows.logic.counting import count_cases
from workflows.logic.durations import rules_ttl
from workflows.logic.endings import counted
from workflows.logic.exclusions import ON_PURPOSE
from workflows.logic.metrics import SHOWN_CASES, metrics_of
from workflows.logic.window_rows import with_overlaps
from workflows.names import record_id

MOST_CASES = 5_000
"""Cases of which results are read at once."""

_WINDOWS = {
    LedgerState.INTENT: WindowState.OPENING,
    LedgerState.OPEN: WindowState.OPEN,
    LedgerState.CLOSING: WindowState.CLOSING,
    LedgerState.CLOSED: WindowState.CLOSED,
    LedgerState.NEVER_OPENED: WindowState.CLOSED,
    LedgerState.UNVERIFIED: WindowState.UNVERIFIED,
}
_STEADY = "steady state "

Captured = Mapping[str, list[CapturedAnswer]]


async def stored_state(store: Store, row: ExecutionRow) -> RunState:
    """Everything that the store knows of a run; without its results when there are more cases than can be read."""
    run = row.execution_id
    plan, ledger = await store.plan(run), await store.ledger_of(run)
    answers = sorted(await store.captured(run), key=lambda one: (one.service, one.position))
    captured = {name: list(found) for name, found in groupby(answers, key=lambda one: one.service)}
    kinds = await store.case_counts(run)
    total = sum(kinds.values())
    results = await store.results(run) if total <= MOST_CASES else []
    counts = count_cases(plan, kinds, {one.case_index: (one.outcome, one.verdict) for one in results})
    injections = _injections(plan, ledger, captured, results)
    load = _load(total, results, begun=any(one.kind is WindowKind.RULES for one in ledger))
    tokens = await store.tokens(run)
    state = _header(row, await _steady(store, run)).model_copy(
        update={
            "analysis": await _analysis(store, row, plan, ledger),
            "generated": CasesPanel(
                **counts.model_dump(include={"total", "baseline", "single", "dual"}),
                baggage_tokens=len(tokens),
                tokens=dict(list(tokens.items())[:SHOWN_TOKENS]),
            ),
            "cases": counts,
            "rules": _rules(plan, ledger, captured, injections, tokens),
            "load": load,
            "pairs": await _pairs(store, run, results),
            "windows": [_window(one) for one in ledger],
            "failed_cases": [one for one in load.cases if one.verdict is Verdict.FAILED],
            "inconclusive_cases": [one for one in load.cases if one.verdict is Verdict.INCONCLUSIVE],
        }
    )
    return state.model_copy(update=counted(injections))


def _header(row: ExecutionRow, steady: Sequence[SteadyReport]) -> RunState:
    facts = row.model_dump(
        include={
            "execution_id", "task_id", "req_def_id", "plan", "environment", "namespace", "verdict", "recovery",
            "started_at", "updated_at", "finished_at", "error_code", "error_message",
        }
    )  # fmt: skip
    before, after = [*steady, None, None][:2]
    # Copied, not validated: a row of the original may have a phase that is none of ours.
    more = {"status": row.run_status, "phase": row.status, "steady_before": before, "steady_after": after}
    return RunState().model_copy(update=facts | more)


async def _steady(store: Store, run: int) -> list[SteadyReport]:
    """From the log: what was seen before the run, and then after it."""
    said = [one.message for one in await store.log_entries(run) if one.message.startswith(_STEADY)]
    found = [one.removeprefix(_STEADY) for one in said]
    return [
        SteadyReport(met=one == "met", detail=one.removeprefix("not met: ") if one != "met" else "") for one in found
    ]


async def _analysis(store: Store, row: ExecutionRow, plan: Plan, ledger: Sequence[LedgerEntry]) -> AnalysisPanel:
    reached = await store.propagation(row.execution_id)
    begun = any(one.kind is WindowKind.RECORDING for one in ledger)
    state = "completed" if reached else _unfinished(row.run_status) if begun else "pending"
    recorded = [
        RecordedService(
            service=name,
            patterns=len(await store.exchanges(row.execution_id, name)),
            baggage_forwarded=reached.get(name, False),
        )
        for name in (plan.service_names if reached else [])
    ]
    return AnalysisPanel(
        services=len(plan.services),
        state=state,
        error=row.error_message if state == "failed" else "",
        analyze_task_id=row.analyze_task_id or "",
        record_id=record_id(row.execution_id),
        recorded=recorded,
    )


def _unfinished(status: RunStatus) -> str:
    if status in (RunStatus.PENDING, RunStatus.RUNNING):
        return "recording"
    return "cancelled" if status is RunStatus.CANCELLED else "failed"


def _injections(
    plan: Plan, ledger: Sequence[LedgerEntry], captured: Captured, results: Sequence[CaseResult]
) -> list[InjectionRow]:
    windows = {one.service: one for one in ledger if one.kind is WindowKind.FAULT}
    reasons = {one.case_id: one.reason for one in results if one.outcome is not CaseOutcome.MEASURED}
    rows = [
        _injection(name, windows.get(name), captured.get(name, []), reasons.get(name, ""))
        for name in plan.service_names
    ]
    several = plan.safety.max_active_faults > 1
    return with_overlaps(rows, [_window(one) for one in ledger]) if several else rows


def _injection(
    service: str, window: LedgerEntry | None, captured: Sequence[CapturedAnswer], reason: str
) -> InjectionRow:
    """A service's fault: on as long as its window is not settled, and useless without a captured failure."""
    if window is None:
        state = InjectionState.FAILED if reason else InjectionState.PENDING
        return InjectionRow(service=service, state=state, error=reason)
    row = InjectionRow(
        service=service,
        fault_name=window.peer_name,
        replay_status=captured[0].status if captured else None,
        no_effect=bool(captured) and not has_effect(captured),
    )
    match window.state:
        case LedgerState.CLOSED if captured or not reason:
            return row.model_copy(update={"state": InjectionState.RECOVERED})
        case LedgerState.CLOSED | LedgerState.NEVER_OPENED:
            why = f"{service} has no captured failure" if reason.startswith(ON_PURPOSE) else reason or window.detail
            return row.model_copy(update={"state": InjectionState.FAILED, "error": why})
        case LedgerState.UNVERIFIED:
            return row.model_copy(update={"state": InjectionState.FAILED, "error": window.detail})
    return row.model_copy(update={"state": InjectionState.RUNNING})


def _rules(
    plan: Plan,
    ledger: Sequence[LedgerEntry],
    captured: Captured,
    injections: Sequence[InjectionRow],
    tokens: Mapping[str, str],
) -> RulesPanel:
    window = next((one for one in ledger if one.kind is WindowKind.RULES), None)
    if window is None:
        return RulesPanel()
    usable = [
        one.service
        for one in injections
        if one.state is InjectionState.RECOVERED and has_effect(captured.get(one.service, []))
    ]
    rules = [
        rule for name in usable for rule in build_rules(window.peer_name, name, tokens.get(name, ""), captured[name])
    ]
    return RulesPanel(
        rules=len(rules),
        ready=window.state is LedgerState.OPEN,
        ttl_seconds=int(rules_ttl(plan, case_count(len(plan.services))).total_seconds()),
    )


def _load(total: int, results: Sequence[CaseResult], *, begun: bool) -> LoadPanel:
    batches = batches_in(CaseRange(first=0, end=total), BATCH_SIZE)
    panel = LoadPanel(batches_total=len(batches), batch_size=BATCH_SIZE if total else 0, cases_total=total)
    if not begun:
        return panel
    found = metrics_of([as_shown(one) for one in results])
    finished = {one.case_index for one in results}
    return panel.model_copy(
        update={
            "batches_done": sum(finished.issuperset(range(one.first, one.end)) for one in batches),
            "cases_done": len(results),
            "worst_p95_ms": found.worst_p95_ms,
            "worst_p95_case": found.worst_p95_case,
            "worst_max_ms": found.worst_max_ms,
            "worst_max_case": found.worst_max_case,
            "mean_error_rate": found.mean_error_rate,
            "cases": found.cases[:SHOWN_CASES],
        }
    )


async def _pairs(store: Store, run: int, results: Sequence[CaseResult]) -> PairFidelity | None:
    """Of the pairs that are stored; the share that was asked for is not, so it is made of them."""
    pairs = await store.pairs(run)
    if not pairs:
        return None
    measured = sum(one.case_type is CaseType.DUAL and one.outcome is CaseOutcome.MEASURED for one in results)
    share = 100 * len(pairs) / measured if measured else 100
    blank = PairFidelity(share=min(share, 100), measured=max(measured, len(pairs)), chosen=len(pairs))
    return fidelity.counted(blank, [one.finding for one in pairs])


def _window(row: LedgerEntry) -> WindowRow:
    return WindowRow(
        window_id=row.window_id,
        kind=row.kind,
        state=_WINDOWS[row.state],
        service=row.service,
        peer_name=row.peer_name,
        detail=row.detail,
        began_at=row.created_at,
        ended_at=row.updated_at if row.state in SETTLED else None,
    )
