"""Rows for the windows of a run: how a signal changes them, and what they show together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from domain.executions.execution import Recovery
from domain.executions.state import WindowRow
from domain.executions.windows import WindowChanged, WindowInput, WindowKind, WindowState
from domain.faults.model import FaultReport

TERSE_FROM = 300
"""Number of services from which on fault windows are terse: they send their run no signals unless something is wrong,
and the run derives their rows itself (`window_change_for`). Each signal costs four events in the run's history, and a
window sends four signals. With a thousand services these alone would exceed the 10,000 events a history should have.
"""


def window_change_for(
    order: WindowInput, window_id: str, now: datetime, report: FaultReport | None = None
) -> WindowChanged:
    """Build the signal that a terse fault window does not send.

    Without a report the window begins, with a report it has ended.
    """
    state = WindowState.OPENING
    if report is not None:
        state = WindowState.CLOSED if report.recovery_verified else WindowState.UNVERIFIED
    return WindowChanged(
        window_id=window_id,
        kind=WindowKind.FAULT,
        state=state,
        service=order.service,
        peer_name=report.fault_name if report else "",
        detail="" if report is None or report.recovery_verified else report.error,
        at=now,
    )


def with_change(rows: Sequence[WindowRow], change: WindowChanged) -> list[WindowRow]:
    """Update the rows with a window's change. A new window comes last."""
    known = next((old for old in rows if old.window_id == change.window_id), None)
    row = WindowRow(
        window_id=change.window_id,
        kind=change.kind,
        state=change.state,
        service=change.service,
        peer_name=change.peer_name,
        detail=change.detail,
        began_at=(known.began_at if known else None) or change.at,
        ended_at=change.at if change.state is WindowState.CLOSED else None,
    )
    if known is None:
        return [*rows, row]
    return [row if old.window_id == change.window_id else old for old in rows]


def recovery_of(rows: Iterable[WindowRow]) -> Recovery | None:
    """Derive the recovery from all windows. None while anything is open."""
    # The lock holds nothing at the peers.
    states = {row.state for row in rows if row.kind is not WindowKind.LOCK}
    if WindowState.UNVERIFIED in states:
        return Recovery.UNVERIFIED
    if states - {WindowState.CLOSED}:
        return None
    return Recovery.VERIFIED if states else Recovery.NOT_NEEDED
