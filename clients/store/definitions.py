"""Stored requests: one row for each that any run has sent."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from clients.request_definitions import RequestDefinition
from clients.store.columns import utc_now
from clients.store.engine import reading
from clients.store.tables import HttpReqDef
from clients.store.unbroken import unbroken
from clients.store.upsert import insert_missing
from workflows.contracts.errors import ErrorCode, HoldfastError


async def save_definition(work: AsyncSession, definition: RequestDefinition) -> None:
    """Store a request, in the transaction of whoever needs it. One that is there stays as it is."""
    now = utc_now()
    row = definition.model_dump(mode="json") | {"created_at": now, "updated_at": now}
    await insert_missing(work, HttpReqDef, [row], "id")


class Definitions:
    """Repository of requests, for reading: they are written with the run that needs them."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @unbroken
    async def get(self, req_def_id: int) -> RequestDefinition:
        """One request.

        Raises:
            HoldfastError: NOT_FOUND for an unknown one.
        """
        async with reading(self._engine) as work:
            row = await work.get(HttpReqDef, req_def_id)
        if row is None:
            raise HoldfastError(ErrorCode.NOT_FOUND, f"the store has no request {req_def_id}")
        return RequestDefinition.model_validate(row.model_dump())
