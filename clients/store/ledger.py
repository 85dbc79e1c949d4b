"""The ledger of windows. Intent is inserted; states only move forward; a settled row stays settled."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col

from clients.store.columns import utc_now
from clients.store.ended import has_ended
from clients.store.engine import reading, writing
from clients.store.tables import Ledger
from clients.store.unbroken import unbroken
from clients.store.upsert import insert_missing
from workflows.contracts.errors import ErrorCode, HoldfastError
from workflows.contracts.windows import SETTLED, LedgerEntry, LedgerState, LedgerUpdate

_SETTLED = [state.value for state in SETTLED]
_ORDER = {
    LedgerState.INTENT: 0,
    LedgerState.OPEN: 1,
    LedgerState.CLOSING: 2,
    LedgerState.UNVERIFIED: 3,
    LedgerState.CLOSED: 4,
    LedgerState.NEVER_OPENED: 4,
}
"""Forward: a call that was delayed must not take a row back."""


class LedgerRows:
    """Repository of windows."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @unbroken
    async def intent(self, entry: LedgerEntry) -> None:
        """Write that a window is about to open. A row that is there stays as it is.

        Raises:
            HoldfastError: STORE_CONFLICT when the execution has ended; when this run of the window is settled, so that
                its names are used up; or when it is in the ledger for another execution or under another name at the
                peer, which nobody would look for.
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
                    ErrorCode.STORE_CONFLICT, f"window {entry.window_id} is in the ledger already, {found.state}"
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

    @unbroken
    async def update(self, change: LedgerUpdate) -> None:
        """Move a row forward: intent, open, closing, unverified, settled. A call that would take it back is ignored.

        An empty detail leaves that column as it is.

        Raises:
            HoldfastError: NOT_FOUND when the intent was never written.
        """
        reached = [state.value for state in LedgerState if _ORDER[state] <= _ORDER[change.state]]
        facts: dict[str, Any] = {"state": change.state.value, "updated_at": change.at or utc_now()}
        if change.detail:
            facts["detail"] = change.detail
        open_row = update(Ledger).where(
            col(Ledger.window_id) == change.window_id,
            col(Ledger.run_id) == change.run_id,
            col(Ledger.state).in_(reached),
            col(Ledger.state).not_in(_SETTLED),
        )
        async with writing(self._engine) as work:
            await work.execute(open_row.values(**facts))
            if await work.get(Ledger, (change.window_id, change.run_id)) is None:
                raise HoldfastError(
                    ErrorCode.NOT_FOUND, f"the ledger has no window {change.window_id}, run {change.run_id}"
                )

    async def of(self, execution_id: int) -> list[LedgerEntry]:
        """All windows of a run, oldest first; empty for an unknown run."""
        return await self._select(col(Ledger.execution_id) == execution_id)

    async def unsettled(self) -> list[LedgerEntry]:
        """Everything that is on, or may be, oldest first."""
        return await self._select(col(Ledger.state).not_in(_SETTLED))

    @unbroken
    async def _select(self, condition: ColumnElement[bool]) -> list[LedgerEntry]:
        wanted = select(Ledger).where(condition).order_by(col(Ledger.created_at), col(Ledger.window_id))
        async with reading(self._engine) as work:
            rows = (await work.execute(wanted)).scalars()
            return [LedgerEntry.model_validate(row.model_dump()) for row in rows]
