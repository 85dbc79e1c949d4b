"""The windows of a run, as rows: how a signal moves them, what they say together, and which were open at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime

from domain.executions.execution import Recovery
from domain.executions.status import InjectionRow, WindowRow
from domain.executions.windows import WindowChanged, WindowInput, WindowKind, WindowState
from domain.faults.model import FaultReport

TERSE_FROM = 300
"""Services from which on fault windows are terse. Each signal costs the run four events of its history, and its windows
send four: with a thousand services they alone would be more than the 10,000 that a history should have.
"""


def told_for(order: WindowInput, window_id: str, now: datetime, report: FaultReport | None = None) -> WindowChanged:
    """What a terse fault window would have told its run: when it begins, and with a report when it has ended."""
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


def moved(rows: Sequence[WindowRow], change: WindowChanged) -> list[WindowRow]:
    """The rows after a window has told its state; a new one comes last."""
    began = next((old.began_at for old in rows if old.window_id == change.window_id), None)
    row = WindowRow(
        window_id=change.window_id,
        kind=change.kind,
        state=change.state,
        service=change.service,
        peer_name=change.peer_name,
        detail=change.detail,
        began_at=began or change.at,
        ended_at=change.at if change.state is WindowState.CLOSED else None,
    )
    found = [row if old.window_id == change.window_id else old for old in rows]
    return found if row in found else [*found, row]


def recovery_of(rows: Iterable[WindowRow]) -> Recovery | None:
    """What the windows say together; the lock holds nothing at the peers. None while anything is open."""
    states = {row.state for row in rows if row.kind is not WindowKind.LOCK}
    if WindowState.UNVERIFIED in states:
        return Recovery.UNVERIFIED
    if states - {WindowState.CLOSED}:
        return None
    return Recovery.VERIFIED if states else Recovery.NOT_NEEDED


def with_overlaps(injections: Sequence[InjectionRow], windows: Iterable[WindowRow]) -> list[InjectionRow]:
    """The injections with those that were on at once: as long as a fault's window is open, the fault may be on."""
    together: defaultdict[str, set[str]] = defaultdict(set)
    still_open: list[WindowRow] = []
    faults = [row for row in windows if row.kind is WindowKind.FAULT]
    for began, row in sorted(((row.began_at, row) for row in faults if row.began_at), key=lambda one: one[0]):
        still_open = [other for other in still_open if other.ended_at is None or other.ended_at > began]
        for other in still_open:
            together[other.service].add(row.service)
            together[row.service].add(other.service)
        still_open.append(row)
    return [row.model_copy(update={"overlapped": sorted(together[row.service])}) for row in injections]
