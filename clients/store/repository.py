"""What the repositories of a store have in common."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from clients.store.changes import Change, Report
from clients.store.decoding import Damage
from clients.store.engine import reading
from clients.store.repositories.reported import never_failing
from clients.store.uncancellable import uncancellable


@dataclass
class Shared:
    """The parts of a store that all its repositories use."""

    engine: AsyncEngine
    damage: Damage
    cleaned: Callable[[str], str] = str
    """What free text passes through before it is stored: it removes secrets. The worker sets it."""
    logs_lines: bool = False
    """Whether the lines of runs' logs are also lines of this process's log. The worker sets it."""
    report: Report | None = None
    """Called with every committed change, to count it. None: changes are not counted."""


class Repository:
    """Reads and writes the rows of one subject.

    All writes may be repeated; each method documents what a repetition does. A write is on disk when its method
    returns.

    Every method may raise `HoldfastError`: STORE_UNAVAILABLE when the database is away or locked (a retry may help),
    STORE_CONFLICT for what the database would refuse again, NOT_FOUND for a missing row.
    """

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._engine = shared.engine
        self._damage = shared.damage

    def _cleaned(self, text: str) -> str:
        return self._shared.cleaned(text)

    @property
    def _reports(self) -> bool:
        return self._shared.report is not None

    def _report(self, *changes: Change) -> None:
        if self._shared.report is not None:
            with never_failing():
                for change in changes:
                    self._shared.report(change)

    @uncancellable
    async def _report_read(self, read: Callable[[AsyncSession], Awaitable[list[Change]]]) -> None:
        """Report what can be read of a change that was committed."""
        if self._reports:
            with never_failing():
                async with reading(self._engine) as work:
                    changes = await read(work)
                self._report(*changes)
