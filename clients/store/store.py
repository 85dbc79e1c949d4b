"""The store: one database, with a repository for each subject."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

from sqlalchemy.ext.asyncio import AsyncEngine

from clients.store.changes import Report
from clients.store.decoding import Damage, DamagedRow
from clients.store.engine import close, create_engine
from clients.store.migrating import migrate
from clients.store.repositories.calls import Calls
from clients.store.repositories.cases import Cases
from clients.store.repositories.executions import Executions
from clients.store.repositories.halting import Halting
from clients.store.repositories.ledger import LedgerRows
from clients.store.repositories.logs import Logs
from clients.store.repositories.pair_checks import PairChecks
from clients.store.repositories.progress import Progress
from clients.store.repositories.results import Results
from clients.store.repositories.samples import Samples
from clients.store.repositories.stability import StabilityRows
from clients.store.repositories.standings import Standings
from clients.store.repositories.traffic import Traffic
from clients.store.repository import Shared


class Store:
    """SQLite or PostgreSQL behind typed repositories. `Repository` says what holds for all of them."""

    def __init__(self, engine: AsyncEngine) -> None:
        """Use `open`, which also migrates."""
        self.engine = engine
        self._shared = Shared(engine, Damage())
        self.executions = Executions(self._shared)
        self.progress = Progress(self._shared)
        self.standings = Standings(self._shared)
        self.halting = Halting(self._shared)
        self.ledger = LedgerRows(self._shared)
        self.logs = Logs(self._shared)
        self.traffic = Traffic(self._shared)
        self.cases = Cases(self._shared)
        self.results = Results(self._shared)
        self.samples = Samples(self._shared)
        self.pairs = PairChecks(self._shared)
        self.calls = Calls(self._shared)
        self.stability = StabilityRows(self._shared)

    @classmethod
    async def open(cls, url: str) -> Self:
        """Connect to a database, create its folder, and migrate its schema.

        Raises:
            HoldfastError: VALIDATION_ERROR for a URL that cannot be used, STORE_CONFLICT for a schema newer than this
                code, STORE_UNAVAILABLE when the database does not answer.
        """
        engine = create_engine(url)
        try:
            await migrate(engine)
        except BaseException:
            await engine.dispose()
            raise
        return cls(engine)

    def keep_out(self, cleaned: Callable[[str], str]) -> None:
        """Pass log messages, error messages and details of checks through `cleaned` before they are stored.

        This applies to what is stored from now on.
        """
        self._shared.cleaned = cleaned

    def log_lines_too(self) -> None:
        """Let new lines of runs' logs also be lines of this process's log, from now on."""
        self._shared.logs_lines = True

    def report_changes(self, report: Report) -> None:
        """Tell `report` of every change that this store commits from now on."""
        self._shared.report = report

    async def close(self) -> None:
        """Close all connections, once all requested work is done. See `engine.close`."""
        await close(self.engine)

    @property
    def damaged(self) -> list[DamagedRow]:
        """Damaged rows that reads have met so far, once each, for reporting."""
        return self._shared.damage.rows
