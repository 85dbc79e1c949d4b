"""Repository of fallback calls, answers of really broken services, and discovery rounds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from sqlalchemy import select
from sqlmodel import col

from clients.store.decoding import Rows
from clients.store.engine import reading, writing
from clients.store.repositories.ended import refuse_ended
from clients.store.repository import Repository
from clients.store.schema.call_tables import CallRoundRow, FallbackCallRow, RealCaseRow
from clients.store.schema.columns import storable, utc_now
from clients.store.schema.tables import TestCase
from clients.store.uncancellable import uncancellable
from clients.store.upsert import insert_missing, insert_or_replace
from domain.calls.model import CallRound, FallbackCall, RealCase
from domain.errors import ErrorCode, HoldfastError


class Calls(Repository):
    """Repository of discovery results.

    Writing raises NOT_FOUND for an unknown run and STORE_CONFLICT for a run that has ended. Reading an unknown run
    returns nothing.
    """

    @uncancellable
    async def save(self, execution_id: int, calls: Sequence[FallbackCall]) -> None:
        """Store fallback calls.

        A retry replaces them by case, service, method and path.
        """
        rows = [_call_row(execution_id, call) for call in calls]
        async with writing(self._engine) as work:
            await refuse_ended(work, execution_id)
            await insert_or_replace(work, FallbackCallRow, rows, "execution_id", "call_key")

    @uncancellable
    async def all(self, execution_id: int) -> Rows[FallbackCall]:
        """Return a run's fallback calls, sorted by case, service, path and method."""
        row = FallbackCallRow
        wanted = (
            select(row)
            .where(col(row.execution_id) == execution_id)
            .order_by(col(row.case_index), col(row.service_name), col(row.raw_path), col(row.request_method))
        )
        async with reading(self._engine) as work:
            return self._damage.all((await work.execute(wanted)).scalars(), _call)

    @uncancellable
    async def save_real_case(self, execution_id: int, real: RealCase) -> None:
        """Store a case measured with really broken services; the first result stays.

        Raises:
            HoldfastError: NOT_FOUND also for an unknown case index.
        """
        case = select(col(TestCase.id)).where(
            col(TestCase.execution_id) == execution_id, col(TestCase.case_index) == real.case_index
        )
        async with writing(self._engine) as work:
            await refuse_ended(work, execution_id)
            case_id = (await work.execute(case)).scalar_one_or_none()
            if case_id is None:
                raise HoldfastError(ErrorCode.NOT_FOUND, f"execution {execution_id} has no case {real.case_index}")
            row = {
                "execution_id": execution_id,
                "test_case_id": case_id,
                "answers": [answer.model_dump(mode="json") for answer in real.answers],
                "measurement": real.measurement.model_dump(mode="json"),
                "created_at": utc_now(),
            }
            await insert_missing(work, RealCaseRow, [row], "execution_id", "test_case_id")

    @uncancellable
    async def real_cases(self, execution_id: int) -> Rows[RealCase]:
        """Return the cases measured with really broken services, by case index."""
        index = col(TestCase.case_index)
        wanted = (
            select(RealCaseRow, index)
            .join(TestCase, col(RealCaseRow.test_case_id) == col(TestCase.id))
            .where(col(RealCaseRow.execution_id) == execution_id)
            .order_by(index)
        )
        async with reading(self._engine) as work:
            return self._damage.all(await work.execute(wanted), lambda found: _real_case(*found))

    @uncancellable
    async def save_round(self, execution_id: int, found: CallRound) -> None:
        """Store the result of a discovery round; a retry replaces it."""
        row = {
            "execution_id": execution_id,
            "round_number": found.round,
            "complete": found.complete,
            "detail": found.detail,
            "unread": found.unread,
            "created_at": utc_now(),
        }
        async with writing(self._engine) as work:
            await refuse_ended(work, execution_id)
            await insert_or_replace(work, CallRoundRow, [row], "execution_id", "round_number")

    @uncancellable
    async def rounds(self, execution_id: int) -> Rows[CallRound]:
        """Return a run's discovery rounds, in order.

        Empty when there was no discovery, as in older runs.
        """
        number = col(CallRoundRow.round_number)
        wanted = select(CallRoundRow).where(col(CallRoundRow.execution_id) == execution_id).order_by(number)
        async with reading(self._engine) as work:
            return self._damage.all((await work.execute(wanted)).scalars(), _round)


def _call_row(execution_id: int, call: FallbackCall) -> dict[str, Any]:
    key = json.dumps([call.case_index, call.service, storable(call.method), storable(call.path)])
    return {
        "execution_id": execution_id,
        "call_key": sha256(key.encode()).hexdigest(),
        "case_index": call.case_index,
        "service_name": call.service,
        "request_method": call.method,
        "raw_path": call.path,
        "times": call.times,
        "healthy_times": call.healthy_times,
        "is_new": call.new,
        "round_number": call.round,
        "reason": call.reason,
        "created_at": utc_now(),
    }


def _call(row: FallbackCallRow) -> FallbackCall:
    return FallbackCall(
        service=row.service_name,
        method=row.request_method,
        path=row.raw_path,
        case_index=row.case_index,
        times=row.times,
        healthy_times=row.healthy_times,
        new=row.is_new,
        round=row.round_number,
        reason=row.reason,
    )


def _real_case(row: RealCaseRow, index: int) -> RealCase:
    # Validate with the model, because the JSON columns may hold anything.
    return RealCase.model_validate({"case_index": index, "answers": row.answers, "measurement": row.measurement})


def _round(row: CallRoundRow) -> CallRound:
    return CallRound(round=row.round_number, complete=row.complete, detail=row.detail, unread=row.unread)
