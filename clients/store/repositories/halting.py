"""The flag that refuses new runs for every user of this store."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from clients.store.decoding import Damage
from clients.store.engine import reading, writing
from clients.store.read_models import Halt
from clients.store.repository import Repository
from clients.store.schema.columns import utc_now
from clients.store.schema.operator_tables import OperatorFlag
from clients.store.uncancellable import uncancellable
from clients.store.upsert import insert_or_replace

_HALTED = "halted"


class Halting(Repository):
    """Repository of the halt flag."""

    @uncancellable
    async def halt(self, reason: str, by: str) -> Halt:
        """Set the flag.

        If it is already set, the reason and the name are replaced, and the first time is kept.
        """
        row = {"name": _HALTED, "reason": reason, "set_by": by, "created_at": utc_now()}
        async with writing(self._engine) as work:
            await insert_or_replace(work, OperatorFlag, [row], "name")
            return self._halt(await _flag(work)) or Halt(reason=reason, by=by, since=utc_now())

    @uncancellable
    async def unhalt(self) -> Halt | None:
        """Clear the flag and return it; None when it was not set."""
        async with writing(self._engine) as work:
            previous = self._halt(await _flag(work))
            await work.execute(delete(OperatorFlag).where(col(OperatorFlag.name) == _HALTED))
            return previous

    @uncancellable
    async def halted(self) -> Halt | None:
        """Return the flag; None when new runs may begin."""
        async with reading(self._engine) as work:
            return await halt_of(work, self._damage)

    def _halt(self, row: OperatorFlag | None) -> Halt | None:
        return _halt(row, self._damage)


async def halt_of(work: AsyncSession, damage: Damage) -> Halt | None:
    """Return the flag, in the caller's transaction."""
    return _halt(await _flag(work), damage)


def _halt(row: OperatorFlag | None, damage: Damage) -> Halt | None:
    # A damaged flag still counts: it refuses new runs.
    return damage.decode(row, _read, salvage=_salvage)[0] if row else None


def _read(row: OperatorFlag) -> Halt:
    return Halt(reason=row.reason, by=row.set_by, since=row.created_at)


def _salvage(row: OperatorFlag) -> Halt:
    reason, by = (value if isinstance(value, str) else "unreadable" for value in (row.reason, row.set_by))
    return Halt(reason=reason, by=by, since=row.created_at if isinstance(row.created_at, datetime) else utc_now())


async def _flag(work: AsyncSession) -> OperatorFlag | None:
    wanted = select(OperatorFlag).where(col(OperatorFlag.name) == _HALTED)
    return (await work.execute(wanted)).scalar_one_or_none()
