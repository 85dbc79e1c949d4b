"""The log of a run, in the format of the peers' table."""

from __future__ import annotations

import itertools
import logging
import secrets
import time
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlmodel import col

from clients.store.decoding import Rows
from clients.store.engine import reading, writing
from clients.store.read_models import LogEntry, LogLevel
from clients.store.repository import Repository
from clients.store.schema.columns import utc_now
from clients.store.schema.tables import TaskExecutionLog
from clients.store.uncancellable import uncancellable
from clients.store.upsert import insert_under_own_id

logger = logging.getLogger("holdfast.run")

_LEVELS = {
    LogLevel.DEBUG: logging.DEBUG,
    LogLevel.INFO: logging.INFO,
    LogLevel.WARN: logging.WARNING,
    LogLevel.ERROR: logging.ERROR,
}

_SEQUENCE_BITS = 20
_sequence = itertools.count(secrets.randbits(_SEQUENCE_BITS))


def new_log_id() -> int:
    """Create a log id as the peers do.

    It is (epoch milliseconds << 20) | sequence. Ids sort by time. Each process starts its sequence at a random number.
    """
    return (time.time_ns() // 1_000_000 << _SEQUENCE_BITS) | (next(_sequence) % (1 << _SEQUENCE_BITS))


class Logs(Repository):
    """Repository of log lines."""

    @uncancellable
    async def add(self, execution_id: int, key: str, level: LogLevel, message: str) -> None:
        """Append a line; per run and key, the first stays. A new line may also be one of this process's log."""
        cleaned = self._cleaned(message)
        line = select(TaskExecutionLog).where(
            col(TaskExecutionLog.execution_id) == execution_id, col(TaskExecutionLog.entry_key) == key
        )

        def row() -> dict[str, Any]:
            now = utc_now()
            return {
                "id": new_log_id(),
                "execution_id": execution_id,
                "entry_key": key,
                "ts": now,
                "level": int(level),
                "message": cleaned,
                "created_at": now,
            }

        async with writing(self._engine) as work:
            _, new = await insert_under_own_id(work, TaskExecutionLog, row, line)
        if self._shared.logs_lines and new:
            logger.log(_LEVELS[level], "%s", cleaned, extra={"execution": execution_id})

    @uncancellable
    async def of(self, execution_id: int, since: datetime | None = None) -> Rows[LogEntry]:
        """Return a run's log in order, from `since` if given.

        Empty for an unknown run.
        """
        lines = (
            select(TaskExecutionLog)
            .where(col(TaskExecutionLog.execution_id) == execution_id)
            .order_by(col(TaskExecutionLog.ts), col(TaskExecutionLog.id))
        )
        if since is not None:
            lines = lines.where(col(TaskExecutionLog.ts) >= since)
        async with reading(self._engine) as work:
            return self._damage.all((await work.execute(lines)).scalars(), _entry)

    @uncancellable
    async def newest(self, execution_id: int, limit: int) -> Rows[LogEntry]:
        """Return the newest `limit` lines of a run's log, in order."""
        lines = (
            select(TaskExecutionLog)
            .where(col(TaskExecutionLog.execution_id) == execution_id)
            .order_by(col(TaskExecutionLog.ts).desc(), col(TaskExecutionLog.id).desc())
            .limit(limit)
        )
        async with reading(self._engine) as work:
            newest = self._damage.all((await work.execute(lines)).scalars(), _entry)
        newest.reverse()
        return newest


def _entry(row: TaskExecutionLog) -> LogEntry:
    return LogEntry(ts=row.ts, level=LogLevel(row.level), message=row.message, entry_id=row.id)
