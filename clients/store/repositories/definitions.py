"""Stored requests: one row for each that any run has sent."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from clients.http.request_definitions import RequestDefinition
from clients.store.schema.columns import utc_now
from clients.store.schema.tables import HttpReqDef
from clients.store.upsert import insert_missing


async def save_definition(work: AsyncSession, definition: RequestDefinition) -> None:
    """Store a request, in the transaction of whoever needs it. One that is there stays as it is."""
    now = utc_now()
    row = definition.model_dump(mode="json") | {"created_at": now, "updated_at": now}
    await insert_missing(work, HttpReqDef, [row], "id")
