"""The ledger of windows. Intent is inserted; states only move forward; a settled row stays settled."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from clients.store.engine import session
from clients.store.tables import Ledger, utc_now
from clients.store.upsert import insert_missing
from workflows.contracts.errors import ErrorCode, HoldfastError
from workflows.contracts.windows import SETTLED, LedgerEntry, LedgerUpdate

_SETTLED = [state.value for state in SETTLED]


class LedgerRows:
    """Repository of windows."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def intent(self, entry: LedgerEntry) -> None:
        """Write that a window is about to open.

        Raises:
            HoldfastError: STORE_CONFLICT when this run of the window is settled: its names are used up.
        """
        now = utc_now()
        row = entry.model_dump() | {"kind": entry.kind.value, "state": entry.state.value}
        async with session(self._engine) as work:
            await insert_missing(work, Ledger, [row | {"created_at": now, "updated_at": now}], "window_id", "run_id")
            found = await work.get(Ledger, (entry.window_id, entry.run_id))
        if found is None or found.state in _SETTLED:
            raise HoldfastError(
                ErrorCode.STORE_CONFLICT,
                f"window {entry.window_id} is in the ledger already, {found.state if found else 'gone'}",
            )

    async def update(self, change: LedgerUpdate) -> None:
        """Move a row; a settled one is left as it is."""
        window, run, state = _columns()
        facts: dict[str, Any] = {"state": change.state.value, "updated_at": utc_now()}
        if change.detail:
            facts["detail"] = change.detail
        async with session(self._engine) as work:
            await work.execute(
                update(Ledger)
                .where(window == change.window_id, run == change.run_id, state.not_in(_SETTLED))
                .values(**facts)
            )
            row = await work.get(Ledger, (change.window_id, change.run_id))
        if row is None:
            raise HoldfastError(ErrorCode.NOT_FOUND, f"the ledger has no window {change.window_id}")

    async def of(self, execution_id: int) -> list[LedgerEntry]:
        """All windows of a run, oldest first."""
        column: Any = Ledger.execution_id
        return await self._select(column == execution_id)

    async def unsettled(self) -> list[LedgerEntry]:
        """Everything that is on, or may be."""
        column: Any = Ledger.state
        return await self._select(column.not_in(_SETTLED))

    async def get(self, window_id: str) -> LedgerEntry | None:
        """The newest run of a window; None when the ledger does not have it."""
        column: Any = Ledger.window_id
        rows = await self._select(column == window_id)
        return rows[-1] if rows else None

    async def _select(self, condition: Any) -> list[LedgerEntry]:
        created: Any = Ledger.created_at
        async with session(self._engine) as work:
            rows = (await work.execute(select(Ledger).where(condition).order_by(created))).scalars()
            return [LedgerEntry.model_validate(row.model_dump()) for row in rows]


def _columns() -> tuple[Any, Any, Any]:
    # SQLModel types columns as their values; SQLAlchemy's operators need them untyped.
    return Ledger.window_id, Ledger.run_id, Ledger.state
