"""Cases and baggage tokens."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import func, select
from sqlmodel import col

from clients.store.decoding import Rows
from clients.store.engine import reading, writing
from clients.store.read_models import StoredCase
from clients.store.repositories.ended import refuse_ended, unknown_execution
from clients.store.repository import Repository
from clients.store.schema.columns import utc_now
from clients.store.schema.tables import BaggageMap, TaskExecution, TestCase
from clients.store.uncancellable import uncancellable
from clients.store.upsert import insert_missing, insert_or_replace
from domain.measuring.load import Case, CaseType

CHUNK = 1000
"""Cases per transaction.

Other writers wait for one chunk at most, not for half a million rows.
"""


class Cases(Repository):
    """Repository of cases.

    They are never all in memory: they are written in chunks and read by index.
    """

    async def save(self, execution_id: int, cases: Iterable[StoredCase]) -> None:
        """Store cases, one transaction per chunk.

        Existing cases stay as they are, so a retry adds the missing ones.

        Raises:
            HoldfastError: NOT_FOUND for an unknown run, STORE_CONFLICT for a run that has ended.
        """
        rest = iter(cases)
        # An empty chunk first, so that an unknown or ended run raises even when there are no cases.
        await self._save_chunk(execution_id, [])
        while chunk := list(islice(rest, CHUNK)):
            await self._save_chunk(execution_id, chunk)

    @uncancellable
    async def _save_chunk(self, execution_id: int, chunk: list[StoredCase]) -> None:
        async with writing(self._engine) as work:
            await refuse_ended(work, execution_id)
            execution = await work.get(TaskExecution, execution_id)
            if execution is None:
                raise unknown_execution(execution_id)
            rows = [_row(execution_id, execution.task_id, case) for case in chunk]
            await insert_missing(work, TestCase, rows, "execution_id", "case_index")

    @uncancellable
    async def range(self, execution_id: int, first: int, end: int) -> Rows[Case]:
        """Return the cases with first <= index < end, in order.

        Empty for an unknown run.
        """
        index = col(TestCase.case_index)
        mine = col(TestCase.execution_id) == execution_id
        columns = (index, col(TestCase.case_id), col(TestCase.case_type), col(TestCase.services))
        async with reading(self._engine) as work:
            rows = await work.execute(select(*columns).where(mine, index >= first, index < end).order_by(index))
            return self._damage.all(rows, _case, label=lambda row: f"case {row[0]} of execution {execution_id}")

    @uncancellable
    async def counts(self, execution_id: int) -> dict[CaseType, int]:
        """Count the stored cases of each type, leaving out types without any."""
        kind = col(TestCase.case_type)
        wanted = select(kind, func.count()).where(col(TestCase.execution_id) == execution_id).group_by(kind)
        async with reading(self._engine) as work:
            return dict(
                self._damage.all(
                    await work.execute(wanted),
                    lambda row: (CaseType(row[0]), int(row[1])),
                    label=lambda row: f"cases of type {str(row[0])[:40]!r} of execution {execution_id}",
                )
            )

    @uncancellable
    async def save_tokens(self, execution_id: int, tokens: dict[str, str]) -> None:
        """Store the baggage token of each service; a retry replaces them.

        Raises:
            HoldfastError: NOT_FOUND for an unknown run, STORE_CONFLICT for a run that has ended.
        """
        rows = [
            {"execution_id": execution_id, "service_name": name, "value": token, "created_at": utc_now()}
            for name, token in tokens.items()
        ]
        async with writing(self._engine) as work:
            await refuse_ended(work, execution_id)
            await insert_or_replace(work, BaggageMap, rows, "execution_id", "service_name")

    @uncancellable
    async def tokens(self, execution_id: int) -> dict[str, str]:
        """Return the baggage token of each service, by service name.

        Empty for an unknown run.
        """
        wanted = (
            select(BaggageMap)
            .where(col(BaggageMap.execution_id) == execution_id)
            .order_by(col(BaggageMap.service_name))
        )
        async with reading(self._engine) as work:
            return dict(self._damage.all((await work.execute(wanted)).scalars(), _token))


def _case(row: Any) -> Case:
    number, case_id, kind, services = row
    return Case(index=number, case_id=case_id, case_type=CaseType(kind), services=services)


def _token(row: BaggageMap) -> tuple[str, str]:
    return TypeAdapter(tuple[str, str]).validate_python((row.service_name, row.value))


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
