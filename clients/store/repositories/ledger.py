"""The ledger of windows.

The intent is inserted, states only move forward, and a settled row stays settled.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import ColumnElement, select, update
from sqlmodel import col

from clients.store.changes import Change
from clients.store.decoding import Damage, Rows, facts_of
from clients.store.engine import reading, writing
from clients.store.repositories.ended import has_ended
from clients.store.repositories.reported import never_failing, window_ended
from clients.store.repository import Repository
from clients.store.schema.columns import utc_now
from clients.store.schema.tables import Ledger
from clients.store.uncancellable import uncancellable
from clients.store.upsert import insert_missing
from domain.errors import ErrorCode, HoldfastError
from domain.executions.windows import SETTLED, LedgerEntry, LedgerState, LedgerUpdate, WindowKind
from domain.names import named_fault

_SETTLED = [state.value for state in SETTLED]
_ORDER = {
    LedgerState.INTENT: 0,
    LedgerState.OPEN: 1,
    LedgerState.CLOSING: 2,
    LedgerState.UNVERIFIED: 3,
    LedgerState.CLOSED: 4,
}
"""Order of the states.

A delayed call must not move a row backward.
"""


_KINDS = {
    "environment": WindowKind.LOCK,
    "recording": WindowKind.RECORDING,
    "calls": WindowKind.CALLS,
    "fault": WindowKind.FAULT,
    "rules": WindowKind.RULES,
    "pairs": WindowKind.PAIRS,
    "pair": WindowKind.PAIR_FAULT,
}
"""Kind of a window, by the prefix of its id (`domain/names.py`)."""

_FAR = datetime(9000, 1, 1, tzinfo=UTC)


class LedgerRows(Repository):
    """Repository of windows."""

    @uncancellable
    async def intent(self, entry: LedgerEntry) -> None:
        """Record that a window will open; an existing row stays.

        Raises:
            HoldfastError: NOT_FOUND for an unknown execution. STORE_CONFLICT when the execution has ended, when this
                run of the window is settled (its names are used up), or when the ledger has the window for another
                execution or kind, or under another name at the peer (nothing would look for that name).
        """
        now = entry.created_at or utc_now()
        row = entry.model_dump() | {"kind": entry.kind.value, "state": entry.state.value}
        row |= {"created_at": now, "updated_at": now}
        async with writing(self._engine) as work:
            if await has_ended(work, entry.execution_id):
                raise HoldfastError(
                    ErrorCode.STORE_CONFLICT, f"execution {entry.execution_id} has ended, so no window of it opens"
                )
            await insert_missing(work, Ledger, [row], "window_id", "run_id")
            found = await work.get_one(Ledger, (entry.window_id, entry.run_id))
            if found.state in _SETTLED:
                raise HoldfastError(
                    ErrorCode.STORE_CONFLICT, f"window {entry.window_id} is already in the ledger, {found.state}"
                )
            if (found.execution_id, found.kind) != (entry.execution_id, entry.kind.value):
                raise HoldfastError(
                    ErrorCode.STORE_CONFLICT, f"window {entry.window_id} is in the ledger for another execution"
                )
            if entry.peer_name and found.peer_name not in ("", entry.peer_name):
                raise HoldfastError(
                    ErrorCode.STORE_CONFLICT,
                    f"window {entry.window_id} is in the ledger as {found.peer_name}, not as {entry.peer_name}",
                )

    @uncancellable
    async def update(self, change: LedgerUpdate) -> None:
        """Move a row forward: intent, open, closing, unverified, closed.

        A call that would move it backward is ignored. An empty detail leaves that column as it is.

        Raises:
            HoldfastError: NOT_FOUND when the intent was never recorded.
        """
        reached = [state.value for state in LedgerState if _ORDER[state] <= _ORDER[change.state]]
        facts: dict[str, Any] = {"state": change.state.value, "updated_at": change.at or utc_now()}
        if change.detail:
            facts["detail"] = change.detail
        open_row = update(Ledger).where(
            col(Ledger.window_id) == change.window_id,
            col(Ledger.run_id) == change.run_id,
            # An unknown state is damage: replace it with the state that is known to be true.
            col(Ledger.state).in_(reached) | col(Ledger.state).not_in(list(LedgerState)),
            col(Ledger.state).not_in(_SETTLED),
        )
        ended: list[Change] = []
        async with writing(self._engine) as work:
            if self._reports:
                # In a transaction of its own: on PostgreSQL, a statement that fails ends the one that it is in.
                with never_failing():
                    async with work.begin_nested():
                        ended = await window_ended(work, change)
            await work.execute(open_row.values(**facts))
            if await work.get(Ledger, (change.window_id, change.run_id)) is None:
                raise HoldfastError(
                    ErrorCode.NOT_FOUND, f"the ledger has no window {change.window_id}, run {change.run_id}"
                )
        self._report(*ended)

    async def of(self, execution_id: int) -> Rows[LedgerEntry]:
        """Return a run's windows, oldest first; none for an unknown run."""
        return await self._select(col(Ledger.execution_id) == execution_id)

    async def unsettled(self) -> Rows[LedgerEntry]:
        """Return every window that is or may be active, oldest first."""
        return await self._select(col(Ledger.state).is_(None) | col(Ledger.state).not_in(_SETTLED), may_be_on=True)

    @uncancellable
    async def _select(self, condition: ColumnElement[bool], *, may_be_on: bool = False) -> Rows[LedgerEntry]:
        wanted = select(Ledger).where(condition).order_by(col(Ledger.created_at), col(Ledger.window_id))
        async with reading(self._engine) as work:
            rows = (await work.execute(wanted)).scalars()
            return entries_in(rows, self._damage, may_be_on=may_be_on)


def entries_in(rows: Iterable[Ledger], damage: Damage, *, may_be_on: bool = False) -> Rows[LedgerEntry]:
    """Decode ledger rows; of a damaged row, keep what closing needs."""
    return damage.all(rows, _entry, salvage=_salvaged, may_be_on=may_be_on)


def _entry(row: Ledger) -> LedgerEntry:
    return LedgerEntry.model_validate(facts_of(row))


def _salvaged(row: Ledger) -> LedgerEntry:
    """Read from a damaged row what closing needs, and guess the rest.

    Closing needs the window's run, the kind of thing it held, and its name at the peer.

    Raises:
        ValueError: when not even that is readable; a person has to look.
    """
    facts = facts_of(row)
    legible = {name: value for name, value in facts.items() if _is_legible(name, value)}
    guessed = {
        "kind": _kind_of(row.window_id, facts["peer_name"]),
        "state": LedgerState.UNVERIFIED,
        # Never overdue: a live window is left alone, and a dead window counts as abandoned whatever its time.
        "close_by": _FAR,
        "parent_workflow_id": "unreadable",
        "parent_run_id": "unreadable",
    }
    return LedgerEntry.model_validate(guessed | legible)


def _is_legible(name: str, value: Any) -> bool:
    kind: Any = LedgerEntry.model_fields[name].annotation
    try:
        TypeAdapter(kind).validate_python(value)
    except ValueError:
        return False
    return True


def _kind_of(window_id: str, peer_name: Any) -> WindowKind | None:
    """Derive a window's kind from its id, else its peer name."""
    kind = _KINDS.get(window_id.split("/", 1)[0])
    if kind is None and isinstance(peer_name, str) and named_fault(peer_name):
        return WindowKind.FAULT
    return kind
