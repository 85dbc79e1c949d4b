"""Permits: whether a caller may act now, decided without I/O.

To act is to switch something on, to send load or to write results. Every activity that acts asks for a permit at the
moment it acts (`activities/permit.py`), because anyone who can reach Temporal can call an activity or start a window
without going through a run.
"""

from __future__ import annotations

from datetime import datetime

from domain.base import Contract
from domain.executions.permit_facts import Caller, Standing
from domain.executions.windows import LedgerEntry, LedgerState, WindowKind

UNDER_WAY = (LedgerState.INTENT, LedgerState.OPEN)
"""Ledger states in which a window may switch something on. Not while it closes, or if its closing is unverified."""
MOST_OF_A_PAIR = 2


class Need(Contract):
    """What an activity requires of its caller and of the execution."""

    callers: list[str]
    """Workflow types that may call the activity. Empty for writing: the execution's own workflow, whatever its type."""
    kinds: list[WindowKind] = []
    """The caller must have a row of one of these kinds. Empty, without `covered_by`: it must be the run itself."""
    covered_by: WindowKind | None = None
    """Kind of window that covers the caller. A row of this kind replaces a row of the caller's own."""
    states: list[LedgerState] = list(UNDER_WAY)
    """Ledger states in which that row may be."""
    of_the_run: bool = False
    """Whether the caller must be the run itself, despite a covering window."""
    under_lock: bool = True
    """Whether the lock must be open. False only for the preflight, with which the lock itself is taken."""
    checks_halt_itself: bool = False
    """Whether the activity checks for a halt itself."""


class Decision(Contract):
    """Result of asking for a permit, with the window that covers it."""

    refused: str = ""
    """Why it is refused. Empty if it is permitted."""
    halted: bool = False
    """Whether a halt is the only reason to refuse. A halt also cancels every run."""
    row: LedgerEntry | None = None
    """Window that covers it. None if the run itself asks without one."""


def decide(need: Need, caller: Caller, standing: Standing, lock_id: str, now: datetime) -> Decision:
    """Decide by caller, execution, window, time and lock.

    A halt is the last reason, because it is temporary.
    """
    row = _covering(need, caller, standing)
    reason = (
        _caller(need, caller)
        or _execution(standing)
        or _window(need, caller, standing, row, now)
        or (_lock(standing, lock_id) if need.under_lock else "")
    )
    if not reason and standing.halted and not need.checks_halt_itself:
        return Decision(refused=f"everything is halted: {standing.halted}", halted=True)
    return Decision(refused=reason, row=None if reason else row)


def is_of(caller: Caller, standing: Standing) -> bool:
    """Return whether the caller is the run of this execution."""
    mine = (caller.workflow_id, caller.run_id)
    return all(mine) and mine == (standing.workflow_id, standing.run_id)


def why_foreign_caller(callers: list[str], caller: Caller, standing: Standing) -> str:
    """Explain why this caller may not write for this execution.

    Empty if it may. Without types, only the execution's own workflow may. Whether the execution has ended is not
    checked here but by the store.
    """
    if not callers:
        own = f"only the workflow of execution {standing.execution_id} may ask for it"
        return "" if is_of(caller, standing) else own
    if caller.workflow_type not in callers:
        return _caller(Need(callers=callers), caller)
    has_row = any((row.window_id, row.run_id) == (caller.workflow_id, caller.run_id) for row in standing.rows)
    if has_row or is_of(caller, standing):
        return ""
    return f"{caller.workflow_id} is not a workflow of execution {standing.execution_id}"


def _covering(need: Need, caller: Caller, standing: Standing) -> LedgerEntry | None:
    if need.covered_by is not None:
        return next((row for row in standing.rows if row.kind is need.covered_by and row.state in need.states), None)
    mine = (caller.workflow_id, caller.run_id)
    return next((row for row in standing.rows if (row.window_id, row.run_id) == mine), None)


def _caller(need: Need, caller: Caller) -> str:
    if not caller.workflow_id or not caller.run_id:
        return "it was called from outside any workflow"
    if caller.workflow_type not in need.callers:
        return f"only a workflow of type {' or '.join(need.callers)} may ask for it, not {caller.workflow_type[:100]}"
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
    """Explain why the execution does not hold its lock.

    Empty if it does.
    """
    mine = next(
        (row for row in standing.rows if row.kind is WindowKind.LOCK and row.window_id == lock_id and _is_open(row)),
        None,
    )
    if mine is None:
        return f"execution {standing.execution_id} does not hold the lock {lock_id}"
    # A lock can be ended from outside, and then taken by another run.
    for lock in standing.locks:
        if lock.window_id == lock_id and lock.run_id != mine.run_id and _taken_after(lock, mine):
            return f"the lock {lock_id} is held by execution {lock.execution_id}"
    return ""


def _is_open(row: LedgerEntry) -> bool:
    return row.state is LedgerState.OPEN


def _taken_after(lock: LedgerEntry, mine: LedgerEntry) -> bool:
    if lock.created_at is None or mine.created_at is None:
        # Without both times the order is unknown: assume that the other run has taken the lock since.
        return True
    return lock.created_at > mine.created_at


def why_too_many_faults(standing: Standing, row: LedgerEntry, most: int) -> str:
    """Explain why too many faults of this execution would be active.

    Empty if the number is allowed. Faults that are about to be switched on count as well.
    """
    if row.kind not in (WindowKind.FAULT, WindowKind.PAIR_FAULT):
        return ""
    allowed = MOST_OF_A_PAIR if row.kind is WindowKind.PAIR_FAULT else most
    count = sum(entry.kind is row.kind for entry in standing.rows)
    return (
        f"{count} faults of this execution would be on at once; at most {allowed} are allowed"
        if count > allowed
        else ""
    )
