"""What the repositories of a store have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine

from clients.store.decoding import Damage


@dataclass
class Shared:
    """The parts of a store that all its repositories use."""

    engine: AsyncEngine
    damage: Damage
    cleaned: Callable[[str], str] = str
    """What free text passes through before it is stored: it removes secrets. The worker sets it."""


class Repository:
    """Reads and writes the rows of one subject.

    All writes may be repeated; each method documents what a repetition does. A write is on disk when its method
    returns.

    Every method may raise `HoldfastError`: STORE_UNAVAILABLE when the database is away or locked (a retry may help),
    STORE_CONFLICT for what the database would refuse again, NOT_FOUND for a missing row.
    """

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._engine = shared.engine
        self._damage = shared.damage

    def _cleaned(self, text: str) -> str:
        return self._shared.cleaned(text)
