"""May this caller switch something on, send load, or write results, as things stand now? Decided without I/O.

Asked by every activity that acts, at the moment when it acts (`activities/permit.py`), because anyone who reaches
Temporal can call an activity, or start a window, without going through a run.
"""

from __future__ import annotations

from datetime import datetime

from workflows.contracts.base import Contract
from workflows.contracts.permits import Caller, Standing
from workflows.contracts.windows import LedgerEntry, LedgerState, WindowKind

UNDER_WAY = (LedgerState.INTENT, LedgerState.OPEN)
"""Where a window may switch something on. One that is closing, or was not seen to close, may not."""
MOST_OF_A_PAIR = 2


class Need(Contract):
    """What an activity asks of its caller and of the execution."""

    callers: list[str]
    """Workflow types that may ask for it."""
    kinds: list[WindowKind] = []
    """The caller has a row of one of these kinds. Empty: the caller is the run itself."""
    covered_by: WindowKind | None = None
    """Instead of a row of the caller's own: one of its execution, of this kind."""
    states: list[LedgerState] = list(UNDER_WAY)
    """Where that row must be."""
    of_the_run: bool = False
    """Whether the caller must be the run itself, although a window covers it."""
    under_lock: bool = True
    """Whether the lock must be open. Not for the look with which the lock itself is taken."""
    halt_is_its_own: bool = False
    """Whether the activity looks for a halt itself."""


class Decision(Contract):
    """Whether, and in which window."""

    refused: str = ""
    """Why not; empty when it may."""
    halted: bool = False
    """Whether it is refused for nothing but a halt, which also asks every run to end."""
    row: LedgerEntry | None = None
    """The window that covers it; None for what the run itself asks."""


def decide(need: Need, caller: Caller, standing: Standing, lock_id: str, now: datetime) -> Decision:
    """Decide by caller, execution, lock, window and time; a halt is the last reason, because it passes."""
    row = _covering(need, caller, standing)
    reason = (
        _caller(need, caller)
        or _execution(standing)
        or _window(need, caller, standing, row, now)
        or (_lock(standing, lock_id) if need.under_lock else "")
    )
    if not reason and standing.halted and not need.halt_is_its_own:
        return Decision(refused=f"everything is halted: {standing.halted}", halted=True)
    return Decision(refused=reason, row=None if reason else row)


def is_of(caller: Caller, standing: Standing) -> bool:
    """Whether the caller is the run of this execution itself."""
    return (caller.workflow_id, caller.run_id) == (standing.workflow_id, standing.run_id)


def stranger(callers: list[str], caller: Caller, standing: Standing) -> str:
    """Why this caller may not write for this execution; empty when it may. Ended or not is the store's to see to."""
    if caller.workflow_type not in callers:
        return _caller(Need(callers=callers), caller)
    has_row = any((row.window_id, row.run_id) == (caller.workflow_id, caller.run_id) for row in standing.rows)
    if has_row or is_of(caller, standing):
        return ""
    return f"{caller.workflow_id} is no workflow of execution {standing.execution_id}"


def _covering(need: Need, caller: Caller, standing: Standing) -> LedgerEntry | None:
    if need.covered_by is not None:
        return next((row for row in standing.rows if row.kind is need.covered_by and row.state in need.states), None)
    mine = (caller.workflow_id, caller.run_id)
    return next((row for row in standing.rows if (row.window_id, row.run_id) == mine), None)


def _caller(need: Need, caller: Caller) -> str:
    if not caller.workflow_id or not caller.run_id:
        return "it was called from outside any workflow"
    if caller.workflow_type not in need.callers:
        return f"a workflow of type {' or '.join(need.callers)} may ask for it, not {caller.workflow_type[:100]}"
    return ""


def _execution(standing: Standing) -> str:
    return f"execution {standing.execution_id} has ended" if standing.ended else ""


def _window(need: Need, caller: Caller, standing: Standing, row: LedgerEntry | None, now: datetime) -> str:
    alone = need.covered_by is None and not need.kinds
    if (alone or need.of_the_run) and not is_of(caller, standing):
        return f"{caller.workflow_id[:200]} is not the run of execution {standing.execution_id}"
    if alone:
        return ""
    if row is None or (need.kinds and row.kind not in need.kinds):
        wanted = " or ".join(need.kinds or [str(need.covered_by)])
        return f"the ledger has no unsettled {wanted} window for {caller.workflow_id[:200]} and this run of it"
    if row.state not in need.states:
        return f"window {row.window_id} is {row.state} in the ledger"
    if now > row.close_by:
        return f"window {row.window_id} had to close by {row.close_by:%Y-%m-%d %H:%M:%S}Z"
    return ""


def _lock(standing: Standing, lock_id: str) -> str:
    """The lock of this very plan is open, and nobody has taken it since: a lock may be ended from outside."""
    mine = next(
        (row for row in standing.rows if row.kind is WindowKind.LOCK and row.window_id == lock_id and _is_open(row)),
        None,
    )
    if mine is None:
        return f"execution {standing.execution_id} does not hold the lock {lock_id}"
    for other in standing.locks:
        if other.window_id == lock_id and other.run_id != mine.run_id and _after(other, mine):
            return f"the lock {lock_id} is held by execution {other.execution_id}"
    return ""


def _is_open(row: LedgerEntry) -> bool:
    return row.state is LedgerState.OPEN


def _after(other: LedgerEntry, mine: LedgerEntry) -> bool:
    if other.created_at is None or mine.created_at is None:
        return True
    return other.created_at > mine.created_at


def too_many_faults(standing: Standing, row: LedgerEntry, most: int) -> str:
    """Whether more faults of this execution are on, or about to be, than may be at once."""
    if row.kind not in (WindowKind.FAULT, WindowKind.PAIR_FAULT):
        return ""
    allowed = MOST_OF_A_PAIR if row.kind is WindowKind.PAIR_FAULT else most
    count = sum(other.kind is row.kind for other in standing.rows)
    return f"{count} faults of this execution would be on at once; at most {allowed} may be" if count > allowed else ""
