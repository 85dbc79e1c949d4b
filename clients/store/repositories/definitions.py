"""Stored requests: one row per distinct request, shared by all runs."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from clients.http.request_definitions import RequestDefinition
from clients.store.schema.columns import utc_now
from clients.store.schema.tables import HttpReqDef
from clients.store.upsert import insert_missing


async def save_definition(work: AsyncSession, definition: RequestDefinition) -> None:
    """Store a request in the caller's transaction; an existing row stays."""
    now = utc_now()
    row = definition.model_dump(mode="json") | {"created_at": now, "updated_at": now}
    await insert_missing(work, HttpReqDef, [row], "id")
