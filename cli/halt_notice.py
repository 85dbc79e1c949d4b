"""The notice of an active halt, in commands that show runs."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from cli.console import complain
from clients.store.read_models import Halt
from domain.errors import HoldfastError
from operations.stores import query_store

MENTION_PATIENCE = 2.0
"""Seconds for reading the halt flag, in commands that only mention it."""


async def mention_halt() -> Halt | None:
    """Report an active halt on standard error, and return it.

    Does nothing if the store cannot be read.
    """
    with suppress(HoldfastError, TimeoutError):
        async with asyncio.timeout(MENTION_PATIENCE):
            halt = await query_store(lambda store: store.halting.halted())
        if halt is not None:
            complain(f"({halt}. `holdfast unhalt` lets runs begin again)")
        return halt
    return None
