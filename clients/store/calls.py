"""Fallback calls, answers of really broken services, and the rounds of discovery that found them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col

from clients.store.call_tables import CallRoundRow, FallbackCallRow, RealCaseRow
from clients.store.columns import storable, utc_now
from clients.store.decoding import Damage, Rows
from clients.store.ended import refuse_ended
from clients.store.engine import reading, writing
from clients.store.tables import TestCase
from clients.store.unbroken import unbroken
from clients.store.upsert import insert_missing, insert_or_replace
from workflows.contracts.calls import CallRound, FallbackCall, RealCase
from workflows.contracts.errors import ErrorCode, HoldfastError


class Calls:
    """Repository of what discovery found.

    Writing is NOT_FOUND for an unknown run and STORE_CONFLICT for one that has ended; reading an unknown run is empty.
    """

    def __init__(self, engine: AsyncEngine, damage: Damage) -> None:
        self._engine = engine
        self._damage = damage

    @unbroken
    async def save_calls(self, execution_id: int, calls: Sequence[FallbackCall]) -> None:
        """Store calls; a repetition replaces them, by case, service, method and path."""
        rows = [_call_row(execution_id, call) for call in calls]
        async with writing(self._engine) as work:
            await refuse_ended(work, execution_id)
            await insert_or_replace(work, FallbackCallRow, rows, "execution_id", "call_key")

    @unbroken
    async def calls(self, execution_id: int) -> Rows[FallbackCall]:
        """Every call of a run, by case, service, path and method."""
        row = FallbackCallRow
        wanted = (
            select(row)
            .where(col(row.execution_id) == execution_id)
            .order_by(col(row.case_index), col(row.service_name), col(row.raw_path), col(row.request_method))
        )
        async with reading(self._engine) as work:
            return self._damage.all((await work.execute(wanted)).scalars(), _call)

    @unbroken
    async def save_real_case(self, execution_id: int, real: RealCase) -> None:
        """Store what really broken services made of a case, unless that is known already.

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

    @unbroken
    async def real_cases(self, execution_id: int) -> Rows[RealCase]:
        """Every case of a run that was asked while its services were really broken, by case index."""
        index = col(TestCase.case_index)
        wanted = (
            select(RealCaseRow, index)
            .join(TestCase, col(RealCaseRow.test_case_id) == col(TestCase.id))
            .where(col(RealCaseRow.execution_id) == execution_id)
            .order_by(index)
        )
        async with reading(self._engine) as work:
            return self._damage.all(await work.execute(wanted), lambda found: _real_case(*found))

    @unbroken
    async def save_round(self, execution_id: int, found: CallRound) -> None:
        """Store how a round of discovery went; a repetition replaces it."""
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

    @unbroken
    async def rounds(self, execution_id: int) -> Rows[CallRound]:
        """The rounds of a run's discovery, in order. Empty: there was none, as in runs of before."""
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
    # By the model: the columns hold whatever somebody has put there.
    return RealCase.model_validate({"case_index": index, "answers": row.answers, "measurement": row.measurement})


def _round(row: CallRoundRow) -> CallRound:
    return CallRound(round=row.round_number, complete=row.complete, detail=row.detail, unread=row.unread)
