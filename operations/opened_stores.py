"""The stores that a command has opened, so that it can report their damaged rows.

Separate from `stores.py`, which imports SQLAlchemy.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clients.store.store import Store

OPENED: ContextVar[list[Store] | None] = ContextVar("OPENED", default=None)
"""Where set, every store that is opened is added."""
