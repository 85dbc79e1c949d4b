"""The stores that a command has opened. Apart from `stores.py`, so that who only asks imports no database."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clients.store.store import Store

OPENED: ContextVar[list[Store] | None] = ContextVar("OPENED", default=None)
"""Where set, every store that is opened is added: its damaged rows must not be overlooked."""
