"""Access to a store that must be there already, for reading and for closing by hand."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from clients.settings import Settings
from clients.store.store import Store
from domain.errors import ErrorCode, HoldfastError
from operations.opened_stores import OPENED

T = TypeVar("T")

STORE_PATIENCE = 15.0
"""Seconds before we give up on a database that does not answer."""


async def query_store(
    question: Callable[[Store], Awaitable[T]], database_url: str | None = None, patience: float = STORE_PATIENCE
) -> T:
    """Open the existing store, run one query on it, and close it.

    A missing store is never created: an empty one would answer that all is well.

    Raises:
        HoldfastError: STORE_UNAVAILABLE.
    """
    try:
        async with asyncio.timeout(patience):
            store = await existing_store(database_url)
            try:
                return await question(store)
            finally:
                await store.close()
    except TimeoutError as error:
        raise HoldfastError(
            ErrorCode.STORE_UNAVAILABLE, "the database does not answer", hint="check HOLDFAST_DATABASE_URL"
        ) from error


async def existing_store(database_url: str | None = None) -> Store:
    """Open this store, or else the configured one. The caller closes it.

    Raises:
        HoldfastError: STORE_UNAVAILABLE, also when there is no store yet.
    """
    url = database_url or Settings.from_environment(os.environ).database_url
    _must_exist(url)
    store = await Store.open(url)
    opened = OPENED.get()
    if opened is not None:
        opened.append(store)
    return store


def _must_exist(url: str) -> None:
    try:
        parsed = make_url(url)
    except ArgumentError:
        return  # Opening the store reports this.
    file = parsed.database or ""
    if parsed.get_backend_name() == "sqlite" and not Path(file).is_file():
        raise HoldfastError(
            ErrorCode.STORE_UNAVAILABLE,
            f"there is no database {file}",
            hint="go to the folder where the worker runs, or set HOLDFAST_DATABASE_URL to the worker's value",
        )
