"""Cases and baggage tokens."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from clients.store.engine import session
from clients.store.read_models import StoredCase
from clients.store.tables import BaggageMap, TaskExecution, TestCase, utc_now
from clients.store.upsert import CHUNK, insert_missing, insert_or_replace
from workflows.contracts.errors import ErrorCode, HoldfastError
from workflows.contracts.load import Case, CaseType


class Cases:
    """Repository of cases. They are never held all at once: written in chunks, read by index."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def save(self, execution_id: int, cases: Iterable[StoredCase]) -> None:
        """Store cases, a transaction per chunk; those that are there stay as they are."""
        rest = iter(cases)
        async with session(self._engine) as work:
            execution = await work.get(TaskExecution, execution_id)
        if execution is None:
            raise HoldfastError(ErrorCode.NOT_FOUND, f"the store has no execution {execution_id}")
        while chunk := list(islice(rest, CHUNK)):
            rows = [_row(execution_id, execution.task_id, case) for case in chunk]
            async with session(self._engine) as work:
                await insert_missing(work, TestCase, rows, "execution_id", "case_index")

    async def range(self, execution_id: int, first: int, end: int) -> list[Case]:
        """The cases with first <= index < end, in order."""
        index: Any = TestCase.case_index
        wanted = select(TestCase).where(_of(TestCase, execution_id), index >= first, index < end).order_by(index)
        async with session(self._engine) as work:
            rows = (await work.execute(wanted)).scalars()
            return [
                Case(
                    index=row.case_index,
                    case_id=row.case_id,
                    case_type=CaseType(row.case_type),
                    services=row.services,
                )
                for row in rows
            ]

    async def counts(self, execution_id: int) -> dict[CaseType, int]:
        """How many cases of each type are stored."""
        kind: Any = TestCase.case_type
        wanted = select(kind, func.count()).where(_of(TestCase, execution_id)).group_by(kind)
        async with session(self._engine) as work:
            return {CaseType(name): count for name, count in (await work.execute(wanted)).all()}

    async def save_tokens(self, execution_id: int, tokens: dict[str, str]) -> None:
        """Store the baggage token of each service; a repetition replaces them."""
        rows = [
            {"execution_id": execution_id, "service_name": name, "value": token, "created_at": utc_now()}
            for name, token in tokens.items()
        ]
        async with session(self._engine) as work:
            await insert_or_replace(work, BaggageMap, rows, "execution_id", "service_name")

    async def tokens(self, execution_id: int) -> dict[str, str]:
        """The baggage token of each service."""
        async with session(self._engine) as work:
            rows = (await work.execute(select(BaggageMap).where(_of(BaggageMap, execution_id)))).scalars()
            return {row.service_name: row.value for row in rows}


def _of(table: Any, execution_id: int) -> Any:
    return table.execution_id == execution_id


def _row(execution_id: int, task_id: int, case: StoredCase) -> dict[str, Any]:
    return {
        "execution_id": execution_id,
        "task_id": task_id,
        "case_type": case.case_type.value,
        "target_count": len(case.services),
        "faults_json": case.faults_json,
        "case_index": case.index,
        "case_id": case.case_id,
        "services": case.services,
        "created_at": utc_now(),
    }
