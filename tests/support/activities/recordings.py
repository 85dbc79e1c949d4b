"""Recordings of the lab's proxy."""

from __future__ import annotations

from lab import Kind, Lab, LogEntry
from tests.support.http import http_client


async def recordings(lab: Lab) -> list[LogEntry]:
    """Return everything that the lab has recorded, with start and end."""
    async with http_client() as client:
        log = (await client.get(f"{lab.addresses.admin}/lab/log")).json()
    return [entry for entry in map(LogEntry.model_validate, log) if entry.kind is Kind.RECORDING]
