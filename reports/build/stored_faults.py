"""What the store knows of a run's faults and windows."""

from __future__ import annotations

from collections.abc import Sequence

from domain.executions.state import WindowRow
from domain.executions.windows import SETTLED, LedgerEntry, LedgerState, StabilityMoment, WindowKind, WindowState
from domain.faults.capture import has_effect
from domain.faults.model import InjectionState
from domain.measuring.load import CaseOutcome
from domain.plans.exclusions import ON_PURPOSE
from domain.resilience.overlaps import with_overlaps
from domain.resilience.state import InjectionRow
from domain.traffic.exchange import CapturedAnswer
from reports.build.reading import StoredRun

_WINDOWS = {
    LedgerState.INTENT: WindowState.OPENING,
    LedgerState.OPEN: WindowState.OPEN,
    LedgerState.CLOSING: WindowState.CLOSING,
    LedgerState.CLOSED: WindowState.CLOSED,
    LedgerState.UNVERIFIED: WindowState.UNVERIFIED,
}


def injections(run: StoredRun) -> list[InjectionRow]:
    """Return the injection of each service of the plan, by name."""
    # The last round's window: discovery may have broken a service again.
    latest_windows = {entry.service: entry for entry in run.ledger if entry.kind is WindowKind.FAULT}
    # By case id, which for a single case is its service's name.
    unmeasured_reasons = {
        result.case_id: result.reason for result in run.results.kept if result.outcome is not CaseOutcome.MEASURED
    }
    stable = {stability.service: stability.stable for stability in run.stability.get(StabilityMoment.AFTER_FAULT, [])}
    rows = [
        _injection(
            name, latest_windows.get(name), run.captured.get(name, []), unmeasured_reasons.get(name, "")
        ).model_copy(update={"stable": stable.get(name)})
        for name in run.plan.service_names
    ]
    several = run.plan.safety.max_active_faults > 1
    return with_overlaps(rows, [window_row(entry) for entry in run.ledger]) if several else rows


def _injection(
    service: str, window: LedgerEntry | None, captured: Sequence[CapturedAnswer], reason: str
) -> InjectionRow:
    """Return the state of a service's fault.

    It is RUNNING until its window is settled. Then it is RECOVERED, or FAILED if its end is unverified, or if nothing
    was captured and its case was not measured.
    """
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
        case LedgerState.CLOSED:
            why = f"{service} has no captured failure" if reason.startswith(ON_PURPOSE) else reason
            return row.model_copy(update={"state": InjectionState.FAILED, "error": why})
        case LedgerState.UNVERIFIED:
            return row.model_copy(update={"state": InjectionState.FAILED, "error": window.detail})
    return row.model_copy(update={"state": InjectionState.RUNNING})


def window_row(row: LedgerEntry) -> WindowRow:
    """Build the row of a window from the ledger."""
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
