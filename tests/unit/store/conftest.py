"""Fixtures of the store's tests: an empty database for each test."""

from __future__ import annotations

from tests.support.store.fixtures import (
    execution,
    other_store,
    postgres,
    postgres_template,
    postgres_url,
    run,
    sqlite_url,
    store,
    url,
)

__all__ = [
    "execution",
    "other_store",
    "postgres",
    "postgres_template",
    "postgres_url",
    "run",
    "sqlite_url",
    "store",
    "url",
]
