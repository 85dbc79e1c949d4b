"""The log pane of the live view: the run's log from the store; where that cannot be read, what the run itself tells."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime

from cli.results import existing_store
from cli.ui.progress import Progress
from clients.store.read_models import LogEntry, LogLevel
from clients.store.store import Store
from domain.errors import HoldfastError
from domain.executions.status import RunState

SHOWN_LINES = 200
"""Lines of the log that are read: more than any terminal is high."""

READ_EVERY = 1.0
"""Seconds between two looks at the store."""

STORE_PATIENCE = 5.0
"""Seconds for one look."""

_ERRORS = ("!!",)
_WARNINGS = (" failed: ", "no effect", "no baggage reaches", "not stable", "waiting: ", "paused: ")


class RunLog:
    """Gathers lines from all who know of the run."""

    def __init__(self) -> None:
        self._progress = Progress()
        self._told: list[LogEntry] = []
        self._stored: list[LogEntry] = []
        self._remarks: list[LogEntry] = []

    @property
    def of_store(self) -> bool:
        """Whether the lines are the store's."""
        return bool(self._stored)

    def state(self, state: RunState) -> None:
        """What the run tells, for when the store says nothing."""
        self._told += [_entry(line.strip(), _level(line)) for line in self._progress.lines(state)]

    def remark(self, text: str) -> None:
        """Something that we ourselves have to say of the run."""
        self._remarks.append(_entry(text, LogLevel.WARN))

    def stored(self, entries: list[LogEntry]) -> None:
        """What the store has of it."""
        self._stored = entries

    def entries(self) -> list[LogEntry]:
        """Every line, oldest first."""
        return sorted([*(self._stored or self._told), *self._remarks], key=lambda one: one.ts)


class LogReader:
    """Reads a run's log again and again, from a store that may not be there: the live view does without it."""

    def __init__(self, log: RunLog) -> None:
        self._log = log
        self._store: Store | None = None

    async def again_and_again(self, execution_id: int) -> None:
        """Until cancelled."""
        while True:
            await self.read(execution_id)
            await asyncio.sleep(READ_EVERY)

    async def read(self, execution_id: int) -> None:
        """One look."""
        with suppress(HoldfastError, TimeoutError):
            async with asyncio.timeout(STORE_PATIENCE):
                if self._store is None:
                    self._store = await existing_store()
                self._log.stored(await self._store.newest_log_entries(execution_id, SHOWN_LINES))

    async def close(self) -> None:
        """Give the store back."""
        if self._store is not None:
            await self._store.close()
            self._store = None


def _entry(message: str, level: LogLevel) -> LogEntry:
    return LogEntry(ts=datetime.now(UTC), level=level, message=message)


def _level(line: str) -> LogLevel:
    if line.startswith(_ERRORS):
        return LogLevel.ERROR
    return LogLevel.WARN if any(words in line for words in _WARNINGS) else LogLevel.INFO
