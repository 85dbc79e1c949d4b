"""The log pane of the live view.

It shows the log in the store, or, where that cannot be read, the run's own progress.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime

from cli.ui.progress import Progress
from clients.store.read_models import LogEntry, LogLevel
from clients.store.store import Store
from domain.errors import HoldfastError
from domain.executions.state import ExecutionState
from operations.stores import existing_store

SHOWN_LINES = 200
"""Log lines that are read: more than any terminal shows."""

READ_EVERY = 1.0
"""Seconds between two reads of the store."""

STORE_PATIENCE = 5.0
"""Seconds before one read of the store is given up."""


class RunLog:
    """Collects log lines from the store, the run itself, and us."""

    def __init__(self) -> None:
        self._progress = Progress()
        self._own_progress: list[LogEntry] = []
        self._stored: list[LogEntry] = []
        self._remarks: list[LogEntry] = []

    @property
    def of_store(self) -> bool:
        """Whether the lines come from the store."""
        return bool(self._stored)

    def state(self, state: ExecutionState) -> None:
        """Add the run's own progress, shown while the store has no lines."""
        self._own_progress += [_entry(line.text.strip(), line.level) for line in self._progress.new(state)]

    def remark(self, text: str) -> None:
        """Add a remark of ours about the run."""
        self._remarks.append(_entry(text, LogLevel.WARN))

    def stored(self, entries: list[LogEntry]) -> None:
        """Replace the lines from the store."""
        self._stored = entries

    def entries(self) -> list[LogEntry]:
        """Return every line, oldest first."""
        return sorted([*(self._stored or self._own_progress), *self._remarks], key=lambda entry: entry.ts)


class LogReader:
    """Reads a run's log repeatedly, if there is a store.

    The live view also works without one.
    """

    def __init__(self, log: RunLog) -> None:
        self._log = log
        self._store: Store | None = None

    async def again_and_again(self, execution_id: int) -> None:
        """Read repeatedly, until cancelled."""
        while True:
            await self.read(execution_id)
            await asyncio.sleep(READ_EVERY)

    async def read(self, execution_id: int) -> None:
        """Read once. Trouble with the store is ignored."""
        with suppress(HoldfastError, TimeoutError):
            async with asyncio.timeout(STORE_PATIENCE):
                if self._store is None:
                    self._store = await existing_store()
                self._log.stored(await self._store.logs.newest(execution_id, SHOWN_LINES))

    async def close(self) -> None:
        """Close the store, if it is open."""
        if self._store is not None:
            await self._store.close()
            self._store = None


def _entry(message: str, level: LogLevel) -> LogEntry:
    return LogEntry(ts=datetime.now(UTC), level=level, message=message)
